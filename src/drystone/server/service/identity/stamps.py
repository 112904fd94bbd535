# SPDX-License-Identifier: Apache-2.0
"""Stamps: whether what was remembered of accounts and devices may still be believed.

Everybody who ends a token moves the stamp, and is answered after that; everybody who believes a
token looks at the stamp first, for each request. So an ended token is refused by every worker, for
every request that begins after the ending was acknowledged.
"""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Protocol

from drystone.core.errors import DrystoneError
from drystone.server.service.writer import Writer


class Stamp(Protocol):
    """What differs once anybody has ended a token. Lives on the event loop."""

    async def find(self) -> Hashable:
        """Returns the stamp as it is now, or was at a moment since the call. For every request:
        it must be quick.
        """
        ...

    def move(self) -> None:
        """Moves it, once a change is durable, for whoever does not look into the metadata."""
        ...


class ToldStamp:
    """A stamp that is told from process to process, on one machine.

    Args:
        find: Returns it; called for every request.
        move: Moves it.
    """

    def __init__(self, find: Callable[[], Hashable], move: Callable[[], None]) -> None:
        self._find = find
        self._move = move

    async def find(self) -> Hashable:
        """Returns it."""
        return self._find()

    def move(self) -> None:
        """Moves it."""
        self._move()


class SharedStamp:
    """The stamp in the metadata, for workers on several machines.

    However many requests come at once, one reading is under way and one waits to begin: a request
    takes the result of one that began after it did.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._running: asyncio.Task[Hashable] | None = None
        self._next: asyncio.Task[Hashable] | None = None

    async def find(self) -> Hashable:
        """Reads it, together with whoever asks meanwhile."""
        if self._next is None:
            self._next = asyncio.create_task(self._read(self._running))
        # One request that is given up takes nothing from the others.
        return await asyncio.shield(self._next)

    def move(self) -> None:
        """Nothing: it was moved in the work that changed something."""

    async def _read(self, before: "asyncio.Task[Hashable] | None") -> Hashable:
        if before is not None:
            with suppress(DrystoneError):
                await before
        self._running, self._next = self._next, None
        return await self._writer.read(lambda unit: unit.shared.find_stamp())
