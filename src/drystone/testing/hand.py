# SPDX-License-Identifier: Apache-2.0
"""The person at a real machine: changes a real folder beside the client."""

import os
import shutil
from pathlib import Path

CONTROL_NAME = ".drystone"


class RealHand:
    """See ``testing.conformance.disk.Hand``.

    Args:
        root: The synced folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, content: bytes) -> None:
        """Writes a file in place, making it if it is missing."""
        (self._root / path).write_bytes(content)

    def read(self, path: str) -> bytes:
        """Returns what a file holds."""
        return (self._root / path).read_bytes()

    def make_folder(self, path: str) -> None:
        """Makes a folder."""
        (self._root / path).mkdir()

    def make_symlink(self, path: str, target: str) -> None:
        """Makes a symlink."""
        (self._root / path).symlink_to(target)

    def make_pipe(self, path: str) -> None:
        """Makes a pipe."""
        os.mkfifo(self._root / path)

    def link(self, path: str, new_path: str) -> None:
        """Gives a file a second name."""
        (self._root / new_path).hardlink_to(self._root / path)

    def rename(self, path: str, new_path: str) -> None:
        """Renames, replacing what stands at the new path."""
        (self._root / path).replace(self._root / new_path)

    def remove(self, path: str) -> None:
        """Removes a file or a folder with all below it."""
        place = self._root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()

    def set_mode(self, path: str, mode: int) -> None:
        """Changes permission bits."""
        (self._root / path).chmod(mode)

    def touch(self, path: str, mtime_ns: int) -> None:
        """Sets the mtime."""
        os.utime(self._root / path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def list_tree(self) -> dict[str, bytes | str | None]:
        """Returns all there is: content of files, targets of symlinks, None for folders."""
        found = _collect(self._root)
        return {p: c for p, c in found.items() if p.split("/")[0] != CONTROL_NAME}

    def list_trash(self) -> list[tuple[str, bytes]]:
        """Returns paths and contents of the files in the trash, sorted; paths without the day,
        names as they were.
        """
        lines: list[tuple[str, bytes]] = []
        for path, content in _collect(self._root / CONTROL_NAME / "trash").items():
            if isinstance(content, bytes):
                lines.append((path.partition("/")[2].partition("~")[0], content))
        return sorted(lines)


def _collect(top: Path) -> dict[str, bytes | str | None]:
    found: dict[str, bytes | str | None] = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            place = Path(folder, name)
            shown = str(place.relative_to(top))
            if place.is_symlink():
                found[shown] = str(place.readlink())
            elif place.is_dir():
                found[shown] = None
            elif place.is_file():
                found[shown] = place.read_bytes()
    return found
