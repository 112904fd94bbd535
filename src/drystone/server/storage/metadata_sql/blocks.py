# SPDX-License-Identifier: Apache-2.0
"""The block index and who holds what, in SQL."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from drystone.core.ids import BLOCK_ID_BYTES, BlockId, NamespaceId, PackId
from drystone.server.ports.collecting import BlocksRemoved
from drystone.server.ports.metadata import BlockPlace
from drystone.server.storage.metadata_sql.collecting import put_pack, revive_blocks
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.rows import join_ids, many
from drystone.server.storage.metadata_sql.session import Session


class SqlBlocks:
    """Implements the port ``BlocksUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def find_held(self, namespace_id: NamespaceId, block_ids: Collection[BlockId]) -> set[BlockId]:
        return set(self.find_leases(namespace_id, block_ids))

    def find_damaged(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "ids": join_ids(block_ids, BLOCK_ID_BYTES),
        }
        places = (BlockPlace(*row) for row in self._session.execute(_FIND_DAMAGED, values))
        return {place.block_id: place for place in places}

    def mark(self, places: Collection[BlockPlace], *, is_damaged: bool) -> None:
        statement = _MARK_DAMAGED if is_damaged else _MARK_WHOLE
        values = [(place.block_id, place.offset_bytes, place.pack_id) for place in places]
        self._session.executemany(statement, values)

    def hold(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], leased_until_s: int
    ) -> None:
        distinct = set(block_ids)
        ids = join_ids(distinct, BLOCK_ID_BYTES)
        values = {
            "ns": self._numbers.get_ns(namespace_id),
            "ids": ids,
            "until_s": leased_until_s,
        }
        revive_blocks(self._session, ids)
        held = self._session.execute(_HOLD, values)
        if held.rowcount != len(distinct):
            raise BlocksRemoved(len(distinct) - held.rowcount)

    def renew(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], below_s: int, until_s: int
    ) -> None:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "ids": join_ids(block_ids, BLOCK_ID_BYTES),
            "below_s": below_s,
            "until_s": until_s,
        }
        self._session.execute(_RENEW, values)

    def find_leases(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, int]:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "ids": join_ids(block_ids, BLOCK_ID_BYTES),
        }
        return dict(self._session.execute(_FIND_LEASES, values).fetchall())

    def locate(self, block_ids: Collection[BlockId]) -> dict[BlockId, BlockPlace]:
        values = {"ids": join_ids(block_ids, BLOCK_ID_BYTES)}
        places = (BlockPlace(*row) for row in self._session.execute(_LOCATE, values))
        return {place.block_id: place for place in places}

    def add_pack(
        self,
        pack_id: PackId,
        length_bytes: int,
        places: Sequence[BlockPlace],
        *,
        is_there: bool = False,
    ) -> None:
        assert all(place.pack_id == pack_id for place in places), "a block of another pack"
        pack = put_pack(self._session, pack_id, length_bytes, is_there=is_there)
        # By position: a dictionary per row costs as much as the row. Sorted, neighbours of the
        # index are written one after the other.
        rows = [
            (p.block_id, pack, p.offset_bytes, p.stored_bytes, p.plain_bytes, p.codec)
            for p in sorted(places)
        ]
        if self._session.execute(_HAS_DAMAGED).fetchone():
            self._session.executemany(_REPLACE_DAMAGED, [(*row[1:], row[0]) for row in rows])
            ids = join_ids([place.block_id for place in places], BLOCK_ID_BYTES)
            self._session.execute(_FORGET_DAMAGED, {"ids": ids})
        self._session.executemany(_ADD_BLOCK, rows)

    def totals(self) -> Mapping[str, int]:
        names = ("packs", "pack_bytes", "blocks", "plain_bytes", "stored_bytes")
        # PostgreSQL's sums are of a type of their own.
        totals = map(int, self._session.execute(_TOTALS).fetchone())
        return dict(zip(names, totals, strict=True))


_MANY_BLOCKS: Final = many(BLOCK_ID_BYTES)

_FIND_LEASES: Final = f"""
    {_MANY_BLOCKS}
    SELECT block.block_id, held.leased_until_s
    FROM many
        LEFT JOIN block ON block.block_id = many.id
        LEFT JOIN namespace_block AS held ON held.ns = :ns AND held.block = block.block
    WHERE coalesce(held.block, 0) > 0
        AND NOT EXISTS (SELECT 1 FROM damaged_block AS d WHERE d.block = block.block)
"""

_FIND_DAMAGED: Final = f"""
    {_MANY_BLOCKS}
    SELECT block.block_id, pack.pack_id, block.offset_bytes, block.stored_bytes,
        block.plain_bytes, block.codec
    FROM many
        LEFT JOIN block ON block.block_id = many.id
        LEFT JOIN namespace_block AS held ON held.ns = :ns AND held.block = block.block
        LEFT JOIN pack ON pack.pack = block.pack
    WHERE coalesce(held.block, 0) > 0
        AND EXISTS (SELECT 1 FROM damaged_block AS d WHERE d.block = block.block)
"""

_MARK_DAMAGED: Final = """
    INSERT INTO damaged_block (block)
    SELECT block.block FROM block CROSS JOIN pack
    WHERE block.block_id = ? AND block.offset_bytes = ? AND pack.pack = block.pack
        AND pack.pack_id = ?
    ON CONFLICT (block) DO NOTHING
"""

_MARK_WHOLE: Final = """
    DELETE FROM damaged_block
    WHERE block IN (
        SELECT block.block FROM block CROSS JOIN pack
        WHERE block.block_id = ? AND block.offset_bytes = ? AND pack.pack = block.pack
            AND pack.pack_id = ?
    )
"""

_HAS_DAMAGED: Final = "SELECT 1 FROM damaged_block LIMIT 1"

_REPLACE_DAMAGED: Final = """
    UPDATE block
    SET pack = ?, offset_bytes = ?, stored_bytes = ?, plain_bytes = ?, codec = ?
    WHERE block_id = ? AND block IN (SELECT block FROM damaged_block)
"""

_FORGET_DAMAGED: Final = f"""
    {_MANY_BLOCKS}
    DELETE FROM damaged_block
    WHERE block IN (SELECT block.block FROM many CROSS JOIN block WHERE block.block_id = many.id)
"""

_HOLD: Final = f"""
    INSERT INTO namespace_block (ns, block, leased_until_s)
    {_MANY_BLOCKS}
    SELECT :ns, block.block, :until_s
    FROM many LEFT JOIN block ON block.block_id = many.id
    WHERE coalesce(block.block, 0) > 0
    ORDER BY block.block
    ON CONFLICT (ns, block)
    DO UPDATE SET leased_until_s = max(namespace_block.leased_until_s, excluded.leased_until_s)
"""

_RENEW: Final = f"""
    {_MANY_BLOCKS}
    UPDATE namespace_block
    SET leased_until_s = :until_s
    WHERE ns = :ns AND leased_until_s < :below_s AND block IN (
        SELECT block.block FROM many CROSS JOIN block WHERE block.block_id = many.id
    )
"""

_LOCATE: Final = f"""
    {_MANY_BLOCKS}
    SELECT block.block_id, pack.pack_id, block.offset_bytes, block.stored_bytes,
        block.plain_bytes, block.codec
    FROM many
        LEFT JOIN block ON block.block_id = many.id
        LEFT JOIN pack ON pack.pack = block.pack
    WHERE coalesce(block.block, 0) > 0
        AND NOT EXISTS (SELECT 1 FROM damaged_block AS d WHERE d.block = block.block)
"""

_ADD_BLOCK: Final = """
    INSERT INTO block (block_id, pack, offset_bytes, stored_bytes, plain_bytes, codec)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (block_id) DO NOTHING
"""

_TOTALS: Final = """
    SELECT packs.count, packs.length_bytes, blocks.count, blocks.plain_bytes, blocks.stored_bytes
    FROM
        (SELECT count(*) AS count, coalesce(sum(length_bytes), 0) AS length_bytes FROM pack)
            AS packs,
        (SELECT count(*) AS count, coalesce(sum(plain_bytes), 0) AS plain_bytes,
            coalesce(sum(stored_bytes), 0) AS stored_bytes FROM block)
            AS blocks
"""
