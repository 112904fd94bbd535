# SPDX-License-Identifier: Apache-2.0
"""Bell within one process: a ring reaches the listeners of this event loop, nobody else."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from drystone.core.ids import NamespaceId


class LocalBell:
    """Implements the port ``Bell`` for a server of one process."""

    def __init__(self) -> None:
        self._listeners: dict[NamespaceId, set[_Listener]] = {}
        self._listeners_to_all: set[_Listener] = set()

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        for listener in self._listeners.get(namespace_id, ()):
            listener.note(namespace_id, head)
        for listener in self._listeners_to_all:
            listener.note(namespace_id, head)

    @asynccontextmanager
    async def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        listener = _Listener()
        wanted = frozenset(namespace_ids)
        for namespace_id in wanted:
            self._listeners.setdefault(namespace_id, set()).add(listener)
        try:
            yield listener
        finally:
            for namespace_id in wanted:
                self._listeners[namespace_id].discard(listener)
                if not self._listeners[namespace_id]:
                    del self._listeners[namespace_id]

    @asynccontextmanager
    async def listen_all(self) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        listener = _Listener()
        self._listeners_to_all.add(listener)
        try:
            yield listener
        finally:
            self._listeners_to_all.discard(listener)

    def count_listeners(self) -> int:
        """Returns how many listeners are open, each once per namespace."""
        return sum(len(listeners) for listeners in self._listeners.values())


class _Listener:
    """The rings that one listener has not taken yet: at most one per namespace."""

    def __init__(self) -> None:
        self._pending: dict[NamespaceId, int] = {}
        self._rung = asyncio.Event()

    def note(self, namespace_id: NamespaceId, head: int) -> None:
        self._pending[namespace_id] = max(head, self._pending.get(namespace_id, 0))
        self._rung.set()

    def __aiter__(self) -> AsyncIterator[tuple[NamespaceId, int]]:
        return self

    async def __anext__(self) -> tuple[NamespaceId, int]:
        while not self._pending:
            self._rung.clear()
            await self._rung.wait()
        return self._pending.popitem()
