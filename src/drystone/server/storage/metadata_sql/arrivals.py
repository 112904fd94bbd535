# SPDX-License-Identifier: Apache-2.0
"""Packs that devices put into the object store themselves, in SQL."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from drystone.core.ids import BLOCK_ID_BYTES, ID_BYTES, BlockId, NamespaceId, PackId
from drystone.server.ports.arrivals import ARRIVING, Arrival, ArrivalState, parse_arrival_name
from drystone.server.ports.places import BlockPlace
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.rows import join_ids, many
from drystone.server.storage.metadata_sql.session import Session


class SqlArrivals:
    """Implements the port ``ArrivalsUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def add(self, arrival: Arrival) -> None:
        ns = self._numbers.get_ns(arrival.namespace_id)
        self._session.execute(_ADD, (ns, *arrival[1:]))

    def find(self, namespace_id: NamespaceId, arrival_ids: Collection[bytes]) -> list[Arrival]:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "ids": join_ids(set(arrival_ids), ID_BYTES),
        }
        return _parse(self._session.execute(_FIND, values))

    def find_promised(
        self, namespace_id: NamespaceId, pack_ids: Collection[PackId]
    ) -> dict[PackId, Arrival]:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "ids": join_ids(set(pack_ids), BLOCK_ID_BYTES),
            "state": int(ArrivalState.PROMISED),
        }
        found = _parse(self._session.execute(_FIND_PROMISED, values))
        return {arrival.pack_id: arrival for arrival in found}

    def count_promised(self, namespace_id: NamespaceId) -> int:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "state": int(ArrivalState.PROMISED),
        }
        return int(self._session.execute(_COUNT_PROMISED, values).fetchone()[0])

    def change(self, arrival: Arrival) -> None:
        values = {
            "ns": self._numbers.find_ns(arrival.namespace_id),
            "arrival_id": arrival.arrival_id,
            "state": int(arrival.state),
            "due_s": arrival.due_s,
            "upload": arrival.upload,
        }
        self._session.execute(_CHANGE, values)

    def add_places(self, places: Sequence[BlockPlace]) -> None:
        rows = [
            (*self._key_of(p), p.block_id, p.offset_bytes, p.stored_bytes, p.plain_bytes, p.codec)
            for p in sorted(places)
        ]
        self._session.executemany(_ADD_PLACE, rows)

    def mark(self, places: Collection[BlockPlace], *, is_damaged: bool) -> None:
        rows = [(int(is_damaged), *self._key_of(place), place.block_id) for place in places]
        self._session.executemany(_MARK, rows)

    def remove(self, namespace_id: NamespaceId, arrival_id: bytes) -> None:
        self.drop_places(namespace_id, arrival_id)
        values = {"ns": self._numbers.find_ns(namespace_id), "arrival_id": arrival_id}
        self._session.execute(_REMOVE, values)

    def drop_places(self, namespace_id: NamespaceId, arrival_id: bytes) -> None:
        values = {"ns": self._numbers.find_ns(namespace_id), "arrival_id": arrival_id}
        self._session.execute(_DROP_PLACES, values)

    def locate(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        return self._find_places(namespace_id, block_ids, is_damaged=False)

    def find_damaged(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        return self._find_places(namespace_id, block_ids, is_damaged=True)

    def list_due(self, state: int, until_s: int, limit: int) -> list[Arrival]:
        values = {"state": int(state), "until_s": until_s, "limit": limit}
        return _parse(self._session.execute(_LIST_DUE, values))

    def count_blocks(self) -> tuple[int, int]:
        values = {"state": int(ArrivalState.UNVERIFIED)}
        count, length_bytes = self._session.execute(_COUNT, values).fetchone()
        return int(count), int(length_bytes)

    def _key_of(self, place: BlockPlace) -> tuple[int, bytes]:
        """Returns in which arrival a place is: its namespace's number, and its id."""
        found = parse_arrival_name(place.object_name)
        assert found is not None, "that is no place in an arrival"
        return self._numbers.find_ns(found[0]), found[1]

    def _find_places(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], *, is_damaged: bool
    ) -> dict[BlockId, BlockPlace]:
        ns = self._numbers.find_ns(namespace_id)
        if not block_ids or not self._session.execute(_HAS_ANY, {"ns": ns}).fetchone():
            return {}
        values = {
            "ns": ns,
            "ids": join_ids(set(block_ids), BLOCK_ID_BYTES),
            "damaged": int(is_damaged),
        }
        folder = f"{ARRIVING}{namespace_id.hex()}/"
        places = (
            BlockPlace(*row)._replace(object_name=folder + row[-1].hex())
            for row in self._session.execute(_FIND_PLACES, values)
        )
        return {place.block_id: place for place in places}


def _parse(rows: Iterable[Any]) -> list[Arrival]:
    return [Arrival(*row) for row in rows]


_COLUMNS: Final = (
    "namespace.namespace_id, arrival.arrival_id, arrival.device_id, arrival.pack_id,"
    " arrival.length_bytes, arrival.heads, arrival.state, arrival.due_s, arrival.upload"
)

_ADD: Final = """
    INSERT INTO arrival
        (ns, arrival_id, device_id, pack_id, length_bytes, heads, state, due_s, upload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_FIND: Final = f"""
    {many(ID_BYTES)}
    SELECT {_COLUMNS}
    FROM many
        LEFT JOIN arrival ON arrival.ns = :ns AND arrival.arrival_id = many.id
        LEFT JOIN namespace ON namespace.ns = arrival.ns
    WHERE coalesce(arrival.ns, 0) > 0
"""

_FIND_PROMISED: Final = f"""
    {many(BLOCK_ID_BYTES)}
    SELECT {_COLUMNS}
    FROM many
        LEFT JOIN arrival
            ON arrival.ns = :ns AND arrival.pack_id = many.id AND arrival.state = :state
        LEFT JOIN namespace ON namespace.ns = arrival.ns
    WHERE coalesce(arrival.ns, 0) > 0
"""

_COUNT_PROMISED: Final = "SELECT count(*) FROM arrival WHERE ns = :ns AND state = :state"

_CHANGE: Final = """
    UPDATE arrival SET state = :state, due_s = :due_s, upload = :upload
    WHERE ns = :ns AND arrival_id = :arrival_id
"""

_ADD_PLACE: Final = """
    INSERT INTO arrival_block
        (ns, arrival_id, block_id, offset_bytes, stored_bytes, plain_bytes, codec, damaged)
    VALUES (?, ?, ?, ?, ?, ?, ?, 0)
    ON CONFLICT (ns, block_id, arrival_id) DO NOTHING
"""

_MARK: Final = """
    UPDATE arrival_block SET damaged = ? WHERE ns = ? AND arrival_id = ? AND block_id = ?
"""

_DROP_PLACES: Final = "DELETE FROM arrival_block WHERE ns = :ns AND arrival_id = :arrival_id"

_REMOVE: Final = "DELETE FROM arrival WHERE ns = :ns AND arrival_id = :arrival_id"

_HAS_ANY: Final = "SELECT 1 FROM arrival_block WHERE ns = :ns LIMIT 1"

_FIND_PLACES: Final = f"""
    {many(BLOCK_ID_BYTES)}
    SELECT place.block_id, arrival.pack_id, place.offset_bytes, place.stored_bytes,
        place.plain_bytes, place.codec, place.arrival_id
    FROM many
        LEFT JOIN arrival_block AS place ON place.ns = :ns AND place.block_id = many.id
        LEFT JOIN arrival ON arrival.ns = :ns AND arrival.arrival_id = place.arrival_id
    WHERE coalesce(arrival.ns, 0) > 0 AND place.damaged = :damaged
"""

_LIST_DUE: Final = f"""
    SELECT {_COLUMNS}
    FROM arrival
        CROSS JOIN namespace
    WHERE arrival.state = :state AND arrival.due_s <= :until_s AND namespace.ns = arrival.ns
    ORDER BY arrival.due_s
    LIMIT :limit
"""

_COUNT: Final = """
    SELECT count(*), coalesce(sum(length_bytes), 0) FROM arrival WHERE state = :state
"""
