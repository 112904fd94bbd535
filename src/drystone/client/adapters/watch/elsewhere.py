# SPDX-License-Identifier: Apache-2.0
"""ElsewhereWatcher: hints from ``watchfiles``, for systems without inotify."""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from drystone.client.adapters.watch.polling import ALL, NOTHING, PollingWatcher
from drystone.client.ports import Hints

_CONTROL_NAME: Final = ".drystone"
_STEP_MS: Final = 50
_DEBOUNCE_MS: Final = 400
_WAKE_MS: Final = 30_000


class ElsewhereWatcher:
    """See ``Watcher``.

    Args:
        root: The synced folder.
        tell: Is told once, in words, if watching fails and scans stand in.
    """

    def __init__(self, root: Path, tell: Callable[[str], None]) -> None:
        self._root = root
        self._tell = tell
        self.is_whole = False

    async def hints(self) -> AsyncIterator[Hints]:
        # What happens before the first look of awatch is not told: the listener scans fully
        # after the first hint anyway.
        yield NOTHING
        self.is_whole = True
        try:
            async for changes in awatch(
                self._root,
                watch_filter=None,
                step=_STEP_MS,
                debounce=_DEBOUNCE_MS,
                rust_timeout=_WAKE_MS,
                ignore_permission_denied=True,
            ):
                folders = find_folders(self._root, changes)
                if folders:
                    yield Hints(folders)
        except (OSError, RuntimeError) as error:
            self.is_whole = False
            self._tell(f"{self._root} cannot be watched ({error}): it is scanned at intervals.")
        yield ALL
        async for hints in PollingWatcher().hints():
            if hints.all:
                yield hints


def find_folders(root: Path, changes: Iterable[tuple[Change, str]]) -> frozenset[str]:
    """Returns the folders that changes hint at, as paths below the root.

    What was added may be a folder with things in it: it is hinted at itself, too.
    """
    folders: set[str] = set()
    for change, path in changes:
        place = Path(path)
        if place == root or root not in place.parents:
            folders.add("")
            continue
        below = place.relative_to(root)
        if below.parts[0] == _CONTROL_NAME:
            continue
        folders.add("" if len(below.parts) == 1 else str(below.parent.as_posix()))
        if change == Change.added:
            folders.add(below.as_posix())
    return frozenset(folders)
