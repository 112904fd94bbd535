# SPDX-License-Identifier: Apache-2.0
"""Waking: where the next round is to look, and when there is something to do."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from drystone.client.ports import Disk, Hints, Remote, Watcher
from drystone.core.errors import DrystoneError, Misconfigured, Refused
from drystone.core.ids import Seq

_UNKNOWN_HEAD = -1


class Look(NamedTuple):
    """What one round is to look at.

    Attributes:
        hints: Where on the disk.
        pull: Whether at the server.
        head_told: Newest head that the bell had told.
    """

    hints: Hints
    pull: bool
    head_told: int


class Looks:
    """Gathers what may have changed until a round takes it. In the beginning that is all."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._is_all = True
        self._head_told = _UNKNOWN_HEAD
        """Newest head the bell told; -1: something may have been missed."""

    @property
    def has_hints(self) -> bool:
        """True if something on the disk may have changed."""
        return self._is_all or bool(self._folders)

    def hint(self, hints: Hints) -> None:
        """Something on the disk may have changed."""
        self._folders |= hints.folders
        self._is_all |= hints.all

    def hint_folders(self, folders: Collection[str]) -> None:
        """Something in these folders may have changed."""
        self._folders.update(folders)

    def hint_all(self) -> None:
        """Anything on the disk may have changed."""
        self._is_all = True

    def tell_head(self, head: int) -> None:
        """The bell told the head; 0: it was opened anew and may have missed something."""
        self._head_told = _UNKNOWN_HEAD if head == 0 else max(head, self._head_told)

    def doubt_head(self) -> None:
        """Something on the server may have changed."""
        self._head_told = _UNKNOWN_HEAD

    def needs_pull(self, seen_seq: Seq) -> bool:
        """Tells whether the server may have changes after ``seen_seq``."""
        return self._head_told < 0 or self._head_told > seen_seq

    def take(self, seen_seq: Seq) -> Look:
        """Returns what was gathered, and begins anew."""
        hints = Hints(frozenset(self._folders), self._is_all)
        look = Look(hints, self.needs_pull(seen_seq), self._head_told)
        self._folders, self._is_all, self._head_told = set(), False, 0
        return look

    def put_back(self, look: Look) -> None:
        """A round did not come to its end: what it took is still to be looked at."""
        self.hint(look.hints)
        told = look.head_told, self._head_told
        self._head_told = _UNKNOWN_HEAD if min(told) < 0 else max(told)


class Ears:
    """Hears what the disk and the server tell, and wakes whoever waits for it.

    Args:
        looks: Is told.
        wake: Is set when there is something to look at.

    Attributes:
        has_begun: Set once it is watched what changes on the disk. Who looks before that misses
            what changes after a folder was listed and before it was watched.
    """

    def __init__(self, looks: Looks, wake: asyncio.Event) -> None:
        self.has_begun = asyncio.Event()
        self._looks = looks
        self._wake = wake
        self._watcher: Watcher | None = None

    @property
    def is_watched(self) -> bool:
        """True if whatever changes on the disk is told."""
        return self._watcher is not None and self._watcher.is_whole

    async def watch(self, watcher: Watcher, disk: Disk) -> None:
        """Hears a watcher of a disk until cancelled."""
        self._watcher = watcher
        is_narrow = disk.traits.names.is_narrow
        async for hints in watcher.hints():
            if is_narrow:
                folders = frozenset(map(disk.true_path, hints.folders))
                self._looks.hint(hints._replace(folders=folders))
            else:
                self._looks.hint(hints)
            self.has_begun.set()
            if hints.folders or hints.all:
                self._wake.set()

    async def listen(
        self, remote: Remote, note_deaf: Callable[[DrystoneError], None], again_s: float
    ) -> None:
        """Hears a server's bell until cancelled.

        Args:
            remote: The server.
            note_deaf: Is told why there is no bell for us, if there is none.
            again_s: After so long it is tried again then.
        """
        while True:
            try:
                async for head in remote.listen():
                    self._looks.tell_head(head)
                    self._wake.set()
            except (Refused, Misconfigured) as error:
                note_deaf(error)
            await asyncio.sleep(again_s)


class Deadlines:
    """Moments, by name, at which there is something to do.

    Args:
        monotonic_s: The clock that they are moments of.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._at_s: dict[str, float] = {}

    def set(self, name: str, wait_s: float) -> None:
        """Sets or moves one."""
        self._at_s[name] = self._monotonic_s() + wait_s

    def drop(self, name: str) -> None:
        """Removes one, if there is one."""
        self._at_s.pop(name, None)

    def has(self, name: str) -> bool:
        """Tells whether there is one of this name."""
        return name in self._at_s

    def is_due(self, name: str) -> bool:
        """Tells whether one has come."""
        at_s = self._at_s.get(name)
        return at_s is not None and at_s <= self._monotonic_s()

    def find_next_s(self, names: frozenset[str]) -> float | None:
        """Returns the seconds until the first of these; None if there is none of them."""
        return self.find_wait_s(names, 0.0) if names & self._at_s.keys() else None

    def find_wait_s(self, names: Iterable[str], most_s: float) -> float:
        """Returns the seconds until the first of these; 0 if it has come."""
        now_s = self._monotonic_s()
        waits = [self._at_s[name] - now_s for name in names if name in self._at_s]
        return max(min(waits, default=most_s), 0.0)


class Delay:
    """A delay that doubles each time it is taken.

    Args:
        first_s: The first, and the first after ``reset``.
        most_s: The longest.
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = self._next_s = first_s
        self._most_s = most_s

    def take_s(self) -> float:
        """Returns it, and doubles it."""
        taken_s, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        return taken_s

    def reset(self) -> None:
        """Begins anew with the first."""
        self._next_s = self._first_s
