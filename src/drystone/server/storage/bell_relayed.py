# SPDX-License-Identifier: Apache-2.0
"""Bell among the workers of one machine: each rings its own listeners, and tells the others."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from drystone.core.ids import NamespaceId
from drystone.server.storage.bell_local import LocalBell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class RelayedBell:
    """Implements the port ``Bell`` for one of several workers.

    Rings until there is somebody to relay them stay in this process: nobody else is to be reached
    yet.
    """

    def __init__(self) -> None:
        self._own = LocalBell()
        self.relay: Callable[[NamespaceId, int], None] = lambda _id, _head: None
        """Tells the other workers; never blocks, never raises. Set once they can be reached."""

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        self._own.ring(namespace_id, head)
        self.relay(namespace_id, head)

    def hear(self, namespace_id: NamespaceId, head: int) -> None:
        """Rings for what another worker told: only here."""
        self._own.ring(namespace_id, head)

    def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> "AbstractAsyncContextManager[AsyncIterator[tuple[NamespaceId, int]]]":
        return self._own.listen(namespace_ids)
