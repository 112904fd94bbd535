# SPDX-License-Identifier: Apache-2.0
"""Watched: which watch stands for which folder, through moves; and what events hint at."""

import os
from pathlib import Path
from typing import Final

from drystone.client.adapters.watch import inotify
from drystone.client.adapters.watch.inotify import Event, Inotify, NoMoreWatches
from drystone.client.ports import Hints

_CONTROL_NAME: Final = ".drystone"
_CHANGED: Final = (
    inotify.ATTRIB | inotify.CLOSE_WRITE | inotify.MOVED_FROM | inotify.MOVED_TO
    | inotify.CREATE | inotify.DELETE
)  # fmt: skip


class _Folder:
    """A watched folder: its place is its name in the folder above it."""

    __slots__ = ("above", "below", "name", "watch")

    def __init__(self, watch: int, name: str, above: "_Folder | None") -> None:
        self.watch = watch
        self.name = name
        self.above = above
        self.below: dict[str, _Folder] = {}

    def path(self) -> str:
        names: list[str] = []
        folder = self
        while folder.above is not None:
            names.append(folder.name)
            folder = folder.above
        return "/".join(reversed(names))


class Watched:
    """All folders below a root, watched. Not for several threads at once.

    Attributes:
        is_partial: The system did not let us watch all of them.
        restless: Folders in which a file is being written and was not closed yet.
    """

    def __init__(self, root: Path) -> None:
        self.is_partial = False
        self.restless: set[str] = set()
        self.inotify = Inotify()
        self._root_path = os.fsencode(root)
        self._folders: dict[int, _Folder] = {}
        self._root: _Folder | None = None
        self._leaving: dict[int, _Folder] = {}

    def __len__(self) -> int:
        return len(self._folders)

    def begin(self) -> None:
        """Watches the root and all below it. About 40 microseconds per folder."""
        self._root = self._add("", "", None)
        if self._root is not None:
            self._add_below(self._root, "")

    def read(self) -> Hints:
        """Returns what has happened since the last time, and watches folders that are new."""
        hinted: set[str] = set()
        is_all = False
        for event in self.inotify.read():
            if event.mask & (inotify.OVERFLOW | inotify.UNMOUNT):
                is_all = True
            elif event.mask & inotify.IGNORED:
                self._forget(event.watch)
            else:
                self._take(event, hinted)
        # Folders that left and did not come back elsewhere are no longer ours.
        for folder in self._leaving.values():
            self._drop(folder)
        self._leaving.clear()
        self.restless -= hinted
        if is_all:
            # What was lost may be new folders, too.
            self.begin()
        return Hints(frozenset(hinted), is_all)

    def close(self) -> None:
        """Ends all watching. Idempotent."""
        self.inotify.close()
        self._folders.clear()

    # --- inside ------------------------------------------------------------------------------

    def _take(self, event: Event, hinted: set[str]) -> None:
        folder = self._folders.get(event.watch)
        if folder is None or (folder is self._root and event.name == _CONTROL_NAME):
            return
        path = folder.path()
        if not event.mask & _CHANGED:
            if event.mask & inotify.MODIFY:
                self.restless.add(path)
            return
        if not event.name:
            # The folder's own attributes: those stand in the listing of the one above.
            hinted.add(path.rpartition("/")[0])
            return
        hinted.add(path)
        if event.mask & inotify.IS_FOLDER:
            self._take_folder(event, folder, path, hinted)

    def _take_folder(self, event: Event, above: _Folder, path: str, hinted: set[str]) -> None:
        name = event.name
        if event.mask & inotify.MOVED_FROM:
            moved = above.below.pop(name, None)
            if moved is not None:
                self._leaving[event.cookie] = moved
            return
        if not event.mask & (inotify.MOVED_TO | inotify.CREATE):
            return
        place = f"{path}/{name}" if path else name
        hinted.add(place)
        came = self._leaving.pop(event.cookie, None) if event.cookie else None
        if came is not None:
            came.above, came.name = above, name
            above.below[name] = came
        else:
            new = self._add(place, name, above)
            if new is not None:
                self._add_below(new, place)

    def _add(self, path: str, name: str, above: _Folder | None) -> _Folder | None:
        whole = self._root_path + b"/" + os.fsencode(path) if path else self._root_path
        try:
            watch = self.inotify.add(whole)
        except NoMoreWatches:
            self.is_partial = True
            return None
        if watch is None:
            return None
        folder = self._folders.get(watch)
        if folder is None:
            folder = self._folders[watch] = _Folder(watch, name, above)
        elif folder.above is not None and above is not None and folder is not above:
            # Known already, perhaps under another name.
            _detach(folder)
            folder.name, folder.above = name, above
        else:
            return folder if above is None else None  # The root, or a ring of mounts.
        if above is not None:
            above.below[name] = folder
        return folder

    def _add_below(self, top: _Folder, top_path: str) -> None:
        """Watches all below a folder. What is made meanwhile gives events of its own."""
        waiting = [(top, top_path)]
        while waiting and not self.is_partial:
            folder, path = waiting.pop()
            whole = self._root_path + b"/" + os.fsencode(path) if path else self._root_path
            try:
                with os.scandir(whole) as entries:
                    names = [
                        os.fsdecode(entry.name)
                        for entry in entries
                        if entry.is_dir(follow_symlinks=False)
                    ]
            except OSError:
                continue  # Gone again, or not for us.
            for name in names:
                if not path and name == _CONTROL_NAME:
                    continue
                place = f"{path}/{name}" if path else name
                below = self._add(place, name, folder)
                if below is not None:
                    waiting.append((below, place))

    def _forget(self, watch: int) -> None:
        folder = self._folders.pop(watch, None)
        if folder is not None:
            _detach(folder)

    def _drop(self, top: _Folder) -> None:
        """Ends the watches of a folder and of all below it."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            waiting += folder.below.values()
            if self._folders.pop(folder.watch, None) is not None:
                self.inotify.remove(folder.watch)


def _detach(folder: _Folder) -> None:
    if folder.above is not None and folder.above.below.get(folder.name) is folder:
        del folder.above.below[folder.name]
