# SPDX-License-Identifier: Apache-2.0
"""NativeWatcher: hints from inotify, gathered for a moment so that one save is one hint."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from drystone.client.adapters.watch.polling import ALL, NOTHING, POLL_S
from drystone.client.adapters.watch.watched import Watched
from drystone.client.ports import Hints

_QUIET_S: Final = 0.01
"""Hints are handed out when nothing has happened for this long: a program that saves makes,
writes and renames within a few milliseconds."""

_WRITING_S: Final = 0.05
"""Between two looks while somebody does nothing but write to a file."""

_GATHER_S_MAX: Final = 0.2
"""And after this long in any case."""

_RESTLESS_S: Final = 5.0
"""After this long a file is looked at that is written to and never closed."""


class NativeWatcher:
    """See ``Watcher``.

    Args:
        root: The synced folder.
        tell: Is told once, in words, if not all folders can be watched.
    """

    def __init__(self, root: Path, tell: Callable[[str], None]) -> None:
        self._root = root
        self._tell = tell
        self._restless_until_s = 0.0
        self._watched: Watched | None = None

    @property
    def is_whole(self) -> bool:
        return self._watched is not None and not self._watched.is_partial

    async def hints(self) -> AsyncIterator[Hints]:
        watched = Watched(self._root)
        try:
            await asyncio.to_thread(watched.begin)
            self._watched = watched
            yield NOTHING
            has_told = False
            while True:
                if watched.is_partial and not has_told:
                    has_told = True
                    self._tell(
                        "This system lets a user watch only so many folders: "
                        f"{len(watched)} of those in {self._root} are watched, in the others "
                        f"changes are found by a scan every {POLL_S:.0f} s. To watch all: "
                        "sudo sysctl fs.inotify.max_user_watches=1048576 (to keep it, put that "
                        "setting into a file in /etc/sysctl.d), then drystone stop, drystone start."
                    )
                yield await self._gather(watched)
        finally:
            self._watched = None
            watched.close()

    async def _gather(self, watched: Watched) -> Hints:
        """Waits until something happens and then is quiet; returns it."""
        loop = asyncio.get_running_loop()
        folders: set[str] = set()
        is_all = False
        end_s = 0.0
        while True:
            if not folders and not is_all:
                timeout_s = POLL_S if watched.is_partial else None
                if watched.restless:
                    timeout_s = max(self._restless_until_s - loop.time(), 0.0)
                if not await _wait_readable(watched.inotify.fd, timeout_s):
                    restless, watched.restless = watched.restless, set()
                    return Hints(frozenset(restless)) if restless else ALL
                end_s = loop.time() + _GATHER_S_MAX
            was_restless = bool(watched.restless)
            hints = await asyncio.to_thread(watched.read)
            if watched.restless and not was_restless:
                self._restless_until_s = loop.time() + _RESTLESS_S
            is_quiet = not hints.folders and not hints.all
            folders |= hints.folders
            is_all |= hints.all
            if (folders or is_all) and (is_quiet or loop.time() >= end_s):
                return Hints(frozenset(folders), is_all)
            # Not read again at once: what happens meanwhile is merged by the system. Who only
            # writes, all the time, is not to keep us awake all the time.
            await asyncio.sleep(_QUIET_S if folders or is_all else _WRITING_S)


async def _wait_readable(fd: int, timeout_s: float | None) -> bool:
    """Waits until a descriptor can be read; returns False if the time is over."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await asyncio.wait_for(ready.wait(), timeout_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True
