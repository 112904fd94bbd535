# SPDX-License-Identifier: Apache-2.0
"""Pages of everything, in SQL. Each is a walk over one index, from where the last page ended."""

from collections.abc import Collection
from typing import Final

from drystone.core.ids import ID_BYTES, FileId, NamespaceId, PackId, Seq
from drystone.core.journal.record import Record
from drystone.server.ports.metadata import BlockPlace
from drystone.server.ports.survey import EntryRow, NamespaceLine, PackLine, PlaceLine
from drystone.server.storage.metadata_sql.keeping.adopting import SqlAdopting
from drystone.server.storage.metadata_sql.rows import (
    RECORD_COLUMNS,
    Row,
    join_ids,
    many,
    parse_record,
)


class SqlSurvey(SqlAdopting):
    """Implements ``server.ports.survey.SurveyUnit`` inside the transaction of its connection."""

    def list_namespaces(self, after: bytes, limit: int) -> list[NamespaceLine]:
        rows = self._session.execute(_LIST_NAMESPACES, {"after": after, "limit": limit})
        return [NamespaceLine(*row) for row in rows]

    def list_records(self, namespace_id: NamespaceId, after_seq: Seq, limit: int) -> list[Record]:
        return [
            parse_record(row) for row in self._page(_LIST_RECORDS, namespace_id, after_seq, limit)
        ]

    def list_last_records(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[Record]:
        rows = self._page(_LIST_LAST_RECORDS, namespace_id, after_seq, limit)
        return [parse_record(row) for row in rows]

    def list_entry_rows(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[EntryRow]:
        rows = self._page(_LIST_ENTRY_ROWS, namespace_id, after_seq, limit)
        return [_parse_entry_row(row) for row in rows]

    def find_entry_rows(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, EntryRow]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "ids": join_ids(file_ids, ID_BYTES)}
        found = map(_parse_entry_row, self._session.execute(_FIND_ENTRY_ROWS, values))
        return {row.file_id: row for row in found}

    def list_packs(self, after: bytes, limit: int) -> list[PackLine]:
        rows = self._session.execute(_LIST_PACKS, {"after": after, "limit": limit})
        return [PackLine(*row) for row in rows]

    def list_places(self, after: int, limit: int) -> list[PlaceLine]:
        rows = self._session.execute(_LIST_PLACES, {"after": after, "limit": limit})
        return [_parse_place(row) for row in rows]

    def _page(
        self, statement: str, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[Row]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "after_seq": after_seq, "limit": limit}
        return self._session.execute(statement, values).fetchall()


def _parse_entry_row(row: Row) -> EntryRow:
    file_id, parent_id, name, folded, kind, seq, rev, deleted = row
    return EntryRow(file_id, parent_id, name, folded, kind, seq, rev, deleted == 1)


def _parse_place(row: Row) -> PlaceLine:
    number, block_id, pack_id, *rest, pack_bytes, damaged = row
    place = BlockPlace(block_id, PackId(pack_id or b""), *rest)
    return PlaceLine(number, place, pack_bytes or 0, damaged is not None)


_LIST_NAMESPACES: Final = """
    SELECT n.namespace_id, n.account_id, coalesce(j.head, 0)
    FROM namespace AS n LEFT JOIN journal AS j ON j.ns = n.ns
    WHERE n.namespace_id > :after
    ORDER BY n.namespace_id
    LIMIT :limit
"""

_LIST_RECORDS: Final = f"""
    SELECT {RECORD_COLUMNS}
    FROM record AS r LEFT JOIN author AS a ON a.author = r.author
    WHERE r.ns = :ns AND r.seq > :after_seq
    ORDER BY r.seq
    LIMIT :limit
"""

_LIST_LAST_RECORDS: Final = f"""
    SELECT {RECORD_COLUMNS}
    FROM entry AS e
        LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
        LEFT JOIN author AS a ON a.author = r.author
    WHERE e.ns = :ns AND e.seq > :after_seq AND coalesce(r.seq, 0) > 0
    ORDER BY e.seq
    LIMIT :limit
"""

_ENTRY_COLUMNS: Final = "e.file_id, e.parent_id, e.name, e.folded, e.kind, e.seq, e.rev, e.deleted"

_LIST_ENTRY_ROWS: Final = f"""
    SELECT {_ENTRY_COLUMNS}
    FROM entry AS e
    WHERE e.ns = :ns AND e.seq > :after_seq
    ORDER BY e.seq
    LIMIT :limit
"""

_FIND_ENTRY_ROWS: Final = f"""
    {many(ID_BYTES)}
    SELECT {_ENTRY_COLUMNS}
    FROM many LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = many.id
    WHERE coalesce(e.seq, 0) > 0
"""

_LIST_PACKS: Final = """
    SELECT pack_id, length_bytes
    FROM pack
    WHERE pack_id > :after
    ORDER BY pack_id
    LIMIT :limit
"""

_LIST_PLACES: Final = """
    SELECT b.block, b.block_id, p.pack_id, b.offset_bytes, b.stored_bytes, b.plain_bytes,
        b.codec, p.length_bytes, d.block
    FROM block AS b
        LEFT JOIN pack AS p ON p.pack = b.pack
        LEFT JOIN damaged_block AS d ON d.block = b.block
    WHERE b.block > :after
    ORDER BY b.block
    LIMIT :limit
"""
