# SPDX-License-Identifier: Apache-2.0
"""Linking: an object of one folder under the same name in another folder of the same disk."""

import os
from pathlib import Path


class FileLinks:
    """Gives objects a second name instead of a second copy: objects are never changed in place.

    Args:
        source: The folder of the objects.
        target: The folder in which they are to be, too.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source = source
        self._target = target
        self._folders: set[Path] = set()
        self._is_possible = True

    def link(self, name: str) -> bool:
        """Tells whether the object has a name in the target now. Durable after ``flush``."""
        if not self._is_possible:
            return False
        place = self._target / name
        try:
            for folder in reversed(place.relative_to(self._target).parents):
                (self._target / folder).mkdir(mode=0o700, exist_ok=True)
            place.hardlink_to(self._source / name)
        except FileNotFoundError:
            return False
        except FileExistsError:
            return True
        except OSError:
            # Another disk, or one that knows no links: neither will the next one be linked.
            self._is_possible = False
            return False
        self._folders.update({place.parent, *list(place.parents)[1:3]})
        return True

    def flush(self) -> None:
        """Waits until all names that were given are on the medium."""
        for folder in sorted(self._folders):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._folders.clear()
