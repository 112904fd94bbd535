# SPDX-License-Identifier: Apache-2.0
"""A watcher that says what it is told to say."""

import asyncio
from collections.abc import AsyncIterator

from drystone.client.ports import Hints


class FakeWatcher:
    """See ``Watcher``. Hints told before somebody listens are kept."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[Hints] = asyncio.Queue()
        self.is_whole = True

    def tell(self, *folders: str) -> None:
        """Hints at folders."""
        self._told.put_nowait(Hints(frozenset(folders)))

    def tell_all(self) -> None:
        """Says that anything may have changed."""
        self._told.put_nowait(Hints(frozenset(), all=True))

    async def hints(self) -> AsyncIterator[Hints]:
        yield Hints(frozenset())
        while True:
            yield await self._told.get()
