# SPDX-License-Identifier: Apache-2.0
"""What collecting and scrubbing ask of the metadata, in SQL."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from drystone.core.content.frame import HEADER_BYTES
from drystone.core.ids import BLOCK_ID_BYTES, BlockId, FileId, NamespaceId, PackId, Rev, Seq
from drystone.server.ports.collecting import (
    BlockLine,
    PackLine,
    PackRemoved,
    RetiredPack,
    RetiredState,
    Root,
    Why,
)
from drystone.server.ports.places import BlockPlace
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.rows import TAKE, TAKING, join_ids, many
from drystone.server.storage.metadata_sql.session import Session


class SqlHistory:
    """Implements the port ``HistoryUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def list_namespaces(self, after: NamespaceId, limit: int) -> list[NamespaceId]:
        values = {"after": after, "limit": limit}
        return [ns for (ns,) in self._session.execute(_LIST_NAMESPACES, values)]

    def kept_after(self, namespace_id: NamespaceId) -> Seq:
        values = {"ns": self._numbers.find_ns(namespace_id)}
        row = self._session.execute(_FIND_HORIZON, values).fetchone()
        return Seq(0 if row is None else row[0])

    def find_horizon(self, namespace_id: NamespaceId, before_ns: int) -> Seq:
        # The head first: a record that is added meanwhile is younger, but not looked at.
        head = self._numbers.find_head(namespace_id)
        kept_after = self.kept_after(namespace_id)
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "after_seq": kept_after, "before_ns": before_ns}
        row = self._session.execute(_FIND_YOUNGER, values).fetchone()
        return max(kept_after, Seq(head if row is None else row[0] - 1))

    def set_kept_after(self, namespace_id: NamespaceId, kept_after: Seq) -> None:
        values = {"ns": self._numbers.get_ns(namespace_id), "kept_after": kept_after}
        self._session.execute(_MOVE_HORIZON, values)

    def find_superseding(self, namespace_id: NamespaceId, file_id: FileId, rev: Rev) -> Seq:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "file_id": file_id, "rev": rev}
        (seq,) = self._session.execute(_FIND_SUPERSEDING, values).fetchone()
        return Seq(seq)

    def list_roots(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> tuple[list[Root], Seq]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "after_seq": after_seq, "limit": limit}
        rows = self._session.execute(_LIST_ROOTS, values).fetchall()
        roots: dict[Root, None] = {}
        for _, root, chunked, before, before_chunked in rows:
            if root:
                roots[Root(root, chunked == 1)] = None
            if before:
                roots[Root(before, before_chunked == 1)] = None
        return list(roots), Seq(rows[-1][0] if len(rows) == limit else 0)


class SqlHolders:
    """Implements the port ``HoldersUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def number(self, block_ids: Collection[BlockId]) -> dict[BlockId, int]:
        values = {"ids": join_ids(block_ids, BLOCK_ID_BYTES)}
        return dict(self._session.execute(_NUMBER, values).fetchall())

    def list_holders(
        self, namespace_id: NamespaceId, after: int, limit: int
    ) -> list[tuple[int, int]]:
        values = {"ns": self._numbers.find_ns(namespace_id), "after": after, "limit": limit}
        return self._session.execute(_LIST_HOLDERS, values).fetchall()

    def let_go(self, namespace_id: NamespaceId, numbers: Collection[int], now_s: int) -> int:
        ns = self._numbers.get_ns(namespace_id)
        rows = [(-now_s, ns, number, now_s) for number in numbers]
        return self._session.executemany(_LET_GO, rows).rowcount if rows else 0

    def drop_holders(self, namespace_id: NamespaceId, numbers: Collection[int], upto_s: int) -> int:
        ns = self._numbers.get_ns(namespace_id)
        rows = [(ns, number, -upto_s) for number in numbers]
        return self._session.executemany(_DROP_HOLDER, rows).rowcount if rows else 0

    def take_back(self, namespace_id: NamespaceId, numbers: Collection[int], until_s: int) -> int:
        ns = self._numbers.get_ns(namespace_id)
        self._session.execute(TAKE)
        self.forget_unheld(numbers)
        rows = [(ns, until_s, number) for number in numbers]
        return self._session.executemany(_TAKE_HOLDER_BACK, rows).rowcount if rows else 0

    def list_blocks(self, after: int, limit: int) -> list[BlockLine]:
        rows = self._session.execute(_LIST_BLOCKS, {"after": after, "limit": limit})
        return [BlockLine(*row) for row in rows]

    def note_unheld(self, numbers: Collection[int], now_s: int) -> int:
        rows = [(now_s, number) for number in numbers]
        return self._session.executemany(_NOTE_UNHELD, rows).rowcount if rows else 0

    def forget_unheld(self, numbers: Collection[int]) -> None:
        if numbers:
            self._session.executemany(_FORGET_UNHELD, [(number,) for number in numbers])

    def list_unheld(self, after: int, upto_s: int, limit: int) -> list[int]:
        values = {"after": after, "upto_s": upto_s, "limit": limit}
        return [number for (number,) in self._session.execute(_LIST_UNHELD, values)]

    def list_taking(self) -> Collection[str]:
        return {name for (name,) in self._session.execute(TAKING)}

    def drop_blocks(self, numbers: Collection[int], upto_s: int) -> tuple[int, int]:
        if not numbers:
            return 0, 0
        # First of all: whoever holds such a block drops its row, and one of the two waits.
        self._session.executemany(_CONDEMN, [(number, upto_s) for number in numbers])
        count, length_bytes = self._session.execute(_MEASURE_CONDEMNED).fetchone()
        for statement in (_DROP_DAMAGED, _DROP_BLOCKS, _DROP_UNHELD):
            self._session.execute(statement)
        return int(count), int(length_bytes)


class SqlPacks:
    """Implements the port ``PacksUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list_packs(self, after: int, limit: int) -> list[PackLine]:
        return self._list(_LIST_PACKS, {"after": after, "limit": limit})

    def list_unverified(self, upto_s: int, limit: int) -> list[PackLine]:
        return self._list(_LIST_UNVERIFIED, {"upto_s": upto_s, "limit": limit})

    def measure_verified(self, upto_s: int) -> tuple[int, int]:
        [(due_count, oldest_s)] = self._session.execute(_MEASURE_VERIFIED, {"upto_s": upto_s})
        return int(due_count), int(oldest_s)

    def note_verified(self, pack_id: PackId, at_s: int) -> None:
        self._session.execute(_NOTE_VERIFIED, {"pack_id": pack_id, "at_s": at_s})

    def list_pack_blocks(self, pack_id: PackId) -> list[BlockPlace]:
        rows = self._session.execute(_LIST_PACK_BLOCKS, {"pack_id": pack_id})
        return [BlockPlace(*row) for row in rows]

    def list_damaged(self, limit: int) -> list[BlockPlace]:
        return [BlockPlace(*row) for row in self._session.execute(_LIST_DAMAGED, {"limit": limit})]

    def find_unknown(self, pack_ids: Collection[PackId]) -> set[PackId]:
        values = {"ids": join_ids(pack_ids, BLOCK_ID_BYTES)}
        return {pack_id for (pack_id,) in self._session.execute(_FIND_UNKNOWN, values)}

    def move_blocks(
        self,
        pack_id: PackId,
        length_bytes: int,
        moves: Sequence[tuple[BlockPlace, BlockPlace]],
    ) -> int:
        pack = put_pack(self._session, pack_id, length_bytes, is_there=False)
        rows = [
            (
                pack, new.offset_bytes, new.stored_bytes, new.codec,
                old.block_id, old.offset_bytes, old.pack_id,
            )
            for old, new in moves
        ]  # fmt: skip
        return self._session.executemany(_MOVE_BLOCK, rows).rowcount

    def retire(self, pack_id: PackId, length_bytes: int, why: Why, now_s: int) -> bool:
        values: dict[str, Any] = {"pack_id": pack_id}
        self._session.execute(_DROP_PACK, values)
        if self._session.execute(_FIND_PACK, values).fetchone() is not None:
            return False
        values |= {"length_bytes": length_bytes, "why": int(why), "now_s": now_s}
        return self._session.execute(_RETIRE, values).rowcount == 1

    def list_retired(self, after: PackId, limit: int) -> list[RetiredPack]:
        rows = self._session.execute(_LIST_RETIRED, {"after": after, "limit": limit})
        return [
            RetiredPack(pack_id, length_bytes, Why(why), RetiredState(state), since_s)
            for pack_id, length_bytes, why, state, since_s in rows
        ]

    def begin_removal(self, pack_id: PackId, upto_s: int, now_s: int) -> bool:
        values = {"pack_id": pack_id, "upto_s": upto_s, "now_s": now_s}
        self._session.execute(_BEGIN_REMOVAL, values)
        row = self._session.execute(_FIND_RETIRED, values).fetchone()
        return row is not None and row[0] == RetiredState.REMOVING

    def end_removal(self, pack_id: PackId, now_s: int) -> None:
        self._session.execute(_END_REMOVAL, {"pack_id": pack_id, "now_s": now_s})

    def forget_removed(self, upto_s: int) -> int:
        return self._session.execute(_FORGET_REMOVED, {"upto_s": upto_s}).rowcount

    def _list(self, statement: str, values: dict[str, int]) -> list[PackLine]:
        return [
            PackLine(number, pack_id, length_bytes, verified_s, count, int(live_bytes))
            for number, pack_id, length_bytes, verified_s, count, live_bytes in (
                self._session.execute(statement, values)
            )
        ]


def put_pack(session: Session, pack_id: PackId, length_bytes: int, *, is_there: bool) -> int:
    """Puts a pack into the index and returns its number; see ``BlocksUnit.add_pack``."""
    values = {"pack_id": pack_id, "length_bytes": length_bytes, "is_there": int(is_there)}
    session.execute(_TAKE_BACK, values)
    row = session.execute(_FIND_RETIRED, values).fetchone()
    if row is not None:
        raise PackRemoved(pack_id, is_over=row[0] == RetiredState.REMOVED)
    session.execute(_ADD_PACK, values)
    return int(session.execute(_FIND_PACK, values).fetchone()[0])


def revive_blocks(session: Session, ids: bytes) -> None:
    """Somebody is about to hold these blocks, given as ``join_ids`` makes them."""
    session.execute(TAKE)
    if session.execute(_HAS_UNHELD).fetchone():
        session.execute(_REVIVE, {"ids": ids})


_MANY_BLOCKS: Final = many(BLOCK_ID_BYTES)

_LIST_NAMESPACES: Final = """
    SELECT namespace_id FROM namespace WHERE namespace_id > :after
    ORDER BY namespace_id LIMIT :limit
"""

_FIND_HORIZON: Final = "SELECT kept_after FROM horizon WHERE ns = :ns"

_FIND_YOUNGER: Final = """
    SELECT seq FROM record WHERE ns = :ns AND seq > :after_seq AND at_ns >= :before_ns
    ORDER BY seq LIMIT 1
"""

_MOVE_HORIZON: Final = """
    INSERT INTO horizon (ns, kept_after) VALUES (:ns, :kept_after)
    ON CONFLICT (ns) DO UPDATE SET kept_after = excluded.kept_after
"""

_FIND_SUPERSEDING: Final = """
    WITH RECURSIVE chain (seq, rev, previous) AS (
        SELECT r.seq, r.rev, r.previous
        FROM entry AS e LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
        WHERE e.ns = :ns AND e.file_id = :file_id
        UNION ALL
        SELECT r.seq, r.rev, r.previous
        FROM chain LEFT JOIN record AS r ON r.ns = :ns AND r.seq = chain.previous
        WHERE chain.rev > :rev AND coalesce(r.seq, 0) > 0
    )
    SELECT coalesce(min(seq), 0) FROM chain WHERE rev > :rev
"""

_LIST_ROOTS: Final = """
    SELECT r.seq, r.root, r.chunked, p.root, p.chunked
    FROM record AS r
        LEFT JOIN record AS p ON p.ns = :ns AND p.seq = r.previous AND p.seq <= :after_seq
    WHERE r.ns = :ns AND r.seq > :after_seq
    ORDER BY r.seq
    LIMIT :limit
"""

_NUMBER: Final = f"""
    {_MANY_BLOCKS}
    SELECT block.block_id, block.block
    FROM many LEFT JOIN block ON block.block_id = many.id
    WHERE coalesce(block.block, 0) > 0
"""

_LIST_HOLDERS: Final = """
    SELECT block, leased_until_s FROM namespace_block WHERE ns = :ns AND block > :after
    ORDER BY block LIMIT :limit
"""

_LET_GO: Final = """
    UPDATE namespace_block SET leased_until_s = ?
    WHERE ns = ? AND block = ? AND leased_until_s >= 0 AND leased_until_s < ?
"""

_DROP_HOLDER: Final = """
    DELETE FROM namespace_block
    WHERE ns = ? AND block = ? AND leased_until_s < 0 AND leased_until_s >= ?
"""

_TAKE_HOLDER_BACK: Final = """
    INSERT INTO namespace_block (ns, block, leased_until_s)
    SELECT ?, block, ? FROM block WHERE block = ?
    ON CONFLICT (ns, block) DO NOTHING
"""

_LIST_BLOCKS: Final = f"""
    SELECT block, pack, stored_bytes + {HEADER_BYTES} FROM block WHERE block > :after
    ORDER BY block LIMIT :limit
"""

_HAS_UNHELD: Final = "SELECT 1 FROM unheld_block LIMIT 1"

_NOTE_UNHELD: Final = """
    INSERT INTO unheld_block (since_s, block) VALUES (?, ?) ON CONFLICT (block) DO NOTHING
"""

_FORGET_UNHELD: Final = "DELETE FROM unheld_block WHERE block = ?"

_REVIVE: Final = f"""
    {_MANY_BLOCKS}
    DELETE FROM unheld_block
    WHERE block IN (SELECT block.block FROM many CROSS JOIN block WHERE block.block_id = many.id)
"""

_LIST_UNHELD: Final = """
    SELECT block FROM unheld_block WHERE block > :after AND since_s <= :upto_s
    ORDER BY block LIMIT :limit
"""

_CONDEMN: Final = "UPDATE unheld_block SET since_s = -1 WHERE block = ? AND since_s <= ?"

_MEASURE_CONDEMNED: Final = f"""
    SELECT count(*), coalesce(sum(block.stored_bytes + {HEADER_BYTES}), 0)
    FROM unheld_block AS page CROSS JOIN block
    WHERE page.since_s = -1 AND block.block = page.block
"""

_DROP_DAMAGED: Final = """
    DELETE FROM damaged_block
    WHERE block IN (SELECT block FROM unheld_block WHERE since_s = -1)
"""

_DROP_BLOCKS: Final = """
    DELETE FROM block WHERE block IN (SELECT block FROM unheld_block WHERE since_s = -1)
"""

_DROP_UNHELD: Final = "DELETE FROM unheld_block WHERE since_s = -1"

_PACK_LINES: Final = f"""
    SELECT page.pack, page.pack_id, page.length_bytes, page.verified_s, count(block.block),
        coalesce(sum(CASE WHEN damaged.block IS NULL THEN block.stored_bytes + {HEADER_BYTES} END),
            0)
    FROM page
        LEFT JOIN block ON block.pack = page.pack
        LEFT JOIN damaged_block AS damaged ON damaged.block = block.block
    GROUP BY page.pack, page.pack_id, page.length_bytes, page.verified_s
"""

_LIST_PACKS: Final = f"""
    WITH page AS (
        SELECT pack, pack_id, length_bytes, verified_s FROM pack WHERE pack > :after
        ORDER BY pack LIMIT :limit
    )
    {_PACK_LINES}
    ORDER BY page.pack
"""

_LIST_UNVERIFIED: Final = f"""
    WITH page AS (
        SELECT pack, pack_id, length_bytes, verified_s FROM pack WHERE verified_s <= :upto_s
        ORDER BY verified_s, pack LIMIT :limit
    )
    {_PACK_LINES}
    ORDER BY page.verified_s, page.pack
"""

# Both by the index on what was verified when; the first counts what is to be looked at.
_MEASURE_VERIFIED: Final = """
    SELECT (SELECT count(*) FROM pack WHERE verified_s <= :upto_s),
           (SELECT coalesce(min(verified_s), 0) FROM pack WHERE verified_s > 0)
"""

_NOTE_VERIFIED: Final = "UPDATE pack SET verified_s = :at_s WHERE pack_id = :pack_id"

_PLACE_COLUMNS: Final = (
    "block.block_id, pack.pack_id, block.offset_bytes, block.stored_bytes, block.plain_bytes,"
    " block.codec"
)

_LIST_PACK_BLOCKS: Final = f"""
    SELECT {_PLACE_COLUMNS}
    FROM pack CROSS JOIN block
    WHERE pack.pack_id = :pack_id AND block.pack = pack.pack
    ORDER BY block.offset_bytes
"""

_LIST_DAMAGED: Final = f"""
    WITH page AS (SELECT block FROM damaged_block ORDER BY block LIMIT :limit)
    SELECT {_PLACE_COLUMNS}
    FROM page CROSS JOIN block CROSS JOIN pack
    WHERE block.block = page.block AND pack.pack = block.pack
"""

_FIND_UNKNOWN: Final = f"""
    {_MANY_BLOCKS}
    SELECT many.id
    FROM many
        LEFT JOIN pack ON pack.pack_id = many.id
        LEFT JOIN retired_pack AS retired ON retired.pack_id = many.id
    WHERE pack.pack IS NULL AND retired.state IS NULL
"""

_MOVE_BLOCK: Final = """
    UPDATE block SET pack = ?, offset_bytes = ?, stored_bytes = ?, codec = ?
    WHERE block_id = ? AND offset_bytes = ?
        AND pack = (SELECT old.pack FROM pack AS old WHERE old.pack_id = ?)
        AND NOT EXISTS (SELECT 1 FROM damaged_block AS d WHERE d.block = block.block)
"""

_DROP_PACK: Final = """
    DELETE FROM pack
    WHERE pack_id = :pack_id AND NOT EXISTS (SELECT 1 FROM block WHERE block.pack = pack.pack)
"""

_RETIRE: Final = """
    INSERT INTO retired_pack (pack_id, length_bytes, why, state, since_s)
    VALUES (:pack_id, :length_bytes, :why, 0, :now_s)
    ON CONFLICT (pack_id) DO NOTHING
"""

_LIST_RETIRED: Final = """
    SELECT pack_id, length_bytes, why, state, since_s
    FROM retired_pack
    WHERE pack_id > :after
    ORDER BY pack_id
    LIMIT :limit
"""

_BEGIN_REMOVAL: Final = """
    UPDATE retired_pack SET state = 1, since_s = :now_s
    WHERE pack_id = :pack_id AND state = 0 AND since_s <= :upto_s
        AND NOT EXISTS (SELECT 1 FROM pack WHERE pack.pack_id = retired_pack.pack_id)
"""

_END_REMOVAL: Final = """
    UPDATE retired_pack SET state = 2, since_s = :now_s WHERE pack_id = :pack_id AND state = 1
"""

_FORGET_REMOVED: Final = "DELETE FROM retired_pack WHERE state = 2 AND since_s <= :upto_s"

_TAKE_BACK: Final = """
    DELETE FROM retired_pack
    WHERE pack_id = :pack_id AND (state = 0 OR (state = 2 AND :is_there = 1))
"""

_FIND_RETIRED: Final = "SELECT state FROM retired_pack WHERE pack_id = :pack_id"

_ADD_PACK: Final = """
    INSERT INTO pack (pack_id, length_bytes) VALUES (:pack_id, :length_bytes)
    ON CONFLICT (pack_id) DO NOTHING
"""

_FIND_PACK: Final = "SELECT pack FROM pack WHERE pack_id = :pack_id"
