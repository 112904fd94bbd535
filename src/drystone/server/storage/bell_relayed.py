# SPDX-License-Identifier: Apache-2.0
"""Bell among the workers of one machine: each rings its own listeners, and tells the others."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager

from drystone.core.ids import NamespaceId
from drystone.server.ports.bell import Bell


class RelayedBell:
    """Implements the port ``Bell`` for one of several workers.

    Args:
        own: The bell within this process.

    Attributes:
        relay: Tells the other workers; never blocks, never raises. Set once they can be reached;
            until then there is nobody whom a ring could be kept from.
    """

    def __init__(self, own: Bell) -> None:
        self._own = own
        self.relay: Callable[[NamespaceId, int], None] = lambda _id, _head: None

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        self._own.ring(namespace_id, head)
        self.relay(namespace_id, head)

    def hear(self, namespace_id: NamespaceId, head: int) -> None:
        """Rings for what another worker told: only here."""
        self._own.ring(namespace_id, head)

    def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[NamespaceId, int]]]:
        return self._own.listen(namespace_ids)

    def listen_all(
        self,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[NamespaceId, int]]]:
        return self._own.listen_all()
