# SPDX-License-Identifier: Apache-2.0
"""Arrivals in memory. The port tells what each method does."""

from collections.abc import Collection, Sequence

from drystone.core.ids import BlockId, NamespaceId, PackId
from drystone.server.ports.arrivals import Arrival, ArrivalState, parse_arrival_name
from drystone.server.ports.places import BlockPlace
from drystone.server.storage.metadata_memory.tables import Tables


class MemoryArrivals:
    """Implements the port ``ArrivalsUnit``."""

    def __init__(self, tables: Tables) -> None:
        self._arrivals = tables.arrivals
        self._places = tables.arrived
        self._namespaces = tables.namespaces

    def add(self, arrival: Arrival) -> None:
        assert arrival.namespace_id in self._namespaces, "there is no such namespace"
        key = arrival.namespace_id, arrival.arrival_id
        assert key not in self._arrivals, "an arrival's id comes twice"
        self._arrivals[key] = arrival

    def find(self, namespace_id: NamespaceId, arrival_ids: Collection[bytes]) -> list[Arrival]:
        found = (self._arrivals.get((namespace_id, arrival_id)) for arrival_id in set(arrival_ids))
        return [arrival for arrival in found if arrival is not None]

    def find_promised(
        self, namespace_id: NamespaceId, pack_ids: Collection[PackId]
    ) -> dict[PackId, Arrival]:
        return {a.pack_id: a for a in self._list_promised(namespace_id) if a.pack_id in pack_ids}

    def count_promised(self, namespace_id: NamespaceId) -> int:
        return len(self._list_promised(namespace_id))

    def change(self, arrival: Arrival) -> None:
        key = arrival.namespace_id, arrival.arrival_id
        if known := self._arrivals.get(key):
            self._arrivals[key] = known._replace(
                state=arrival.state, due_s=arrival.due_s, upload=arrival.upload
            )

    def add_places(self, places: Sequence[BlockPlace]) -> None:
        for place in places:
            self._places[(*_key_of(place), place.block_id)] = place, False

    def mark(self, places: Collection[BlockPlace], *, is_damaged: bool) -> None:
        for place in places:
            key = (*_key_of(place), place.block_id)
            if key in self._places:
                self._places[key] = place, is_damaged

    def remove(self, namespace_id: NamespaceId, arrival_id: bytes) -> None:
        self._arrivals.pop((namespace_id, arrival_id), None)
        self.drop_places(namespace_id, arrival_id)

    def drop_places(self, namespace_id: NamespaceId, arrival_id: bytes) -> None:
        for key in [key for key in self._places if key[:2] == (namespace_id, arrival_id)]:
            del self._places[key]

    def locate(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        return self._find(namespace_id, block_ids, is_damaged=False)

    def find_damaged(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        return self._find(namespace_id, block_ids, is_damaged=True)

    def list_due(self, state: int, until_s: int, limit: int) -> list[Arrival]:
        due = [a for a in self._arrivals.values() if a.state == state and a.due_s <= until_s]
        return sorted(due, key=lambda arrival: arrival.due_s)[:limit]

    def count_blocks(self) -> tuple[int, int]:
        waiting = [a for a in self._arrivals.values() if a.state == ArrivalState.UNVERIFIED]
        return len(waiting), sum(arrival.length_bytes for arrival in waiting)

    def _list_promised(self, namespace_id: NamespaceId) -> list[Arrival]:
        return [
            arrival
            for arrival in self._arrivals.values()
            if arrival.namespace_id == namespace_id and arrival.state == ArrivalState.PROMISED
        ]

    def _find(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], *, is_damaged: bool
    ) -> dict[BlockId, BlockPlace]:
        wanted = set(block_ids)
        return {
            block_id: place
            for (holder, _, block_id), (place, damaged) in self._places.items()
            if holder == namespace_id and block_id in wanted and damaged == is_damaged
        }


def _key_of(place: BlockPlace) -> tuple[NamespaceId, bytes]:
    """Returns in which arrival a place is."""
    found = parse_arrival_name(place.object_name)
    assert found is not None, "that is no place in an arrival"
    return found
