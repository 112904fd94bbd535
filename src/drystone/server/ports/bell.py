# SPDX-License-Identifier: Apache-2.0
"""Bell: "there is more", told to whoever listens. Losing a ring costs delay, never truth."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from drystone.core.ids import NamespaceId


class Bell(Protocol):
    """Rings for namespaces whose head moved."""

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        """Tells all listeners of the namespace. Never blocks, never raises.

        Called after the commit is durable, from the event loop's thread.
        """
        ...

    def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[NamespaceId, int]]]:
        """Opens a listener: inside the context, rings since its opening are yielded.

        Rings of one namespace that the listener has not taken yet are coalesced into the
        highest head: memory per listener is bounded by its namespaces.
        """
        ...

    def listen_all(
        self,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[NamespaceId, int]]]:
        """Opens a listener for all namespaces, as ``listen`` does. For background work, of which
        there are a few in a cluster: each hears every ring.
        """
        ...
