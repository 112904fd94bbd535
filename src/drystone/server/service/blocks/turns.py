# SPDX-License-Identifier: Apache-2.0
"""Turns: how many may do something heavy at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drystone.core.errors import Unavailable
from drystone.core.limits import TURN_WAIT_S


class ServerBusy(Unavailable):
    """Too many others are doing the same now."""

    code = "server-busy"

    def __init__(self, what: str) -> None:
        super().__init__(f"the server is busy with other {what}", retry_after_s=5.0)


class Turns:
    """Hands out turns in the order in which they were asked for. Lives on one event loop.

    Args:
        count: How many may have one at once.
        what: What they do, in the plural, for the error.

    Attributes:
        taken_count: How many have one now.
    """

    def __init__(self, count: int, what: str) -> None:
        self._free = asyncio.Semaphore(count)
        self._what = what
        self.taken_count = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Waits for a turn and has it while the context lasts.

        Raises:
            ServerBusy: None became free in ``TURN_WAIT_S``.
        """
        try:
            async with asyncio.timeout(TURN_WAIT_S):
                await self._free.acquire()
        except TimeoutError as error:
            raise ServerBusy(self._what) from error
        self.taken_count += 1
        try:
            yield
        finally:
            self.taken_count -= 1
            self._free.release()
