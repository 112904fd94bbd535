# SPDX-License-Identifier: Apache-2.0
"""Namespaces, entries and journal in SQL."""

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Final

from drystone.core import limits
from drystone.core.ids import ID_BYTES, AccountId, BlockId, DeviceId, FileId, NamespaceId, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal.eras import NO_MARK, Era, make_mark
from drystone.core.journal.record import Action, Record, StoredEntry
from drystone.core.names.folding import fold_name
from drystone.core.names.path import find_name_fault
from drystone.server.ports.metadata import JournalEnd
from drystone.server.storage.metadata_sql.below import Walk
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.rows import (
    RECORD_COLUMNS,
    STORED_COLUMNS,
    Row,
    format_record,
    join_ids,
    many,
    parse_record,
    parse_stored,
)
from drystone.server.storage.metadata_sql.session import Session


class SqlTree:
    """Implements the port ``TreeUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def may_open(self, account_id: AccountId, namespace_id: NamespaceId) -> bool:
        values = {"namespace_id": namespace_id, "account_id": account_id}
        return self._session.execute(_FIND_OPEN, values).fetchone() is not None

    def head(self, namespace_id: NamespaceId) -> Seq:
        return Seq(self._numbers.find_head(namespace_id))

    def find_end(self, account_id: AccountId, namespace_id: NamespaceId) -> JournalEnd | None:
        values = {"namespace_id": namespace_id, "account_id": account_id}
        found = self._session.execute(_FIND_OPEN, values).fetchone()
        if found is None:
            return None
        # A statement of its own: one that names the number goes to that namespace's shard alone.
        *row, head, era_id = self._session.execute(_FIND_END, {"ns": found[0]}).fetchone()
        mark = make_mark(parse_record(tuple(row))) if head else NO_MARK
        return JournalEnd(Seq(head), mark, era_id or b"")

    def find_heads(self, namespace_ids: Collection[NamespaceId]) -> dict[NamespaceId, Seq]:
        values = {"ids": join_ids(namespace_ids, ID_BYTES)}
        return dict(self._session.execute(_FIND_HEADS, values).fetchall())

    def find_entries(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        return self._find_many(_FIND_ENTRIES, namespace_id, file_ids)

    def find_lineage(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        return self._find_many(_FIND_LINEAGE, namespace_id, file_ids)

    def find_child(
        self, namespace_id: NamespaceId, parent_id: FileId, name: str
    ) -> StoredEntry | None:
        # SQLite would not take every text; those that it would not are nobody's name.
        if find_name_fault(name):
            return None
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "parent_id": parent_id, "name": name}
        row = self._session.execute(_FIND_CHILD, values).fetchone()
        return None if row is None else parse_stored(row)

    def find_children(
        self, namespace_id: NamespaceId, places: Collection[tuple[FileId, str]]
    ) -> dict[tuple[FileId, str], StoredEntry]:
        usable = [p for p in places if len(p[0]) == ID_BYTES and not find_name_fault(p[1])]
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "parent_ids": b"".join([parent_id for parent_id, _ in usable]),
            "names": json.dumps([name for _, name in usable]),
        }
        found = map(parse_stored, self._session.execute(_FIND_CHILDREN, values))
        return {(stored.entry.parent_id, stored.entry.name): stored for stored in found}

    def list_folders(
        self, namespace_id: NamespaceId, parent_ids: Collection[FileId]
    ) -> list[FileId]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "ids": join_ids(set(parent_ids), ID_BYTES)}
        return [file_id for (file_id,) in self._session.execute(_LIST_FOLDERS, values)]

    def list_children(
        self, namespace_id: NamespaceId, parent_id: FileId, after_name: str, limit: int
    ) -> list[StoredEntry]:
        return self._walk(namespace_id).list_children(parent_id, after_name, limit)

    def list_below(
        self, namespace_id: NamespaceId, folder_id: FileId, after: str, limit: int
    ) -> tuple[list[StoredEntry], str]:
        return self._walk(namespace_id).list_below(folder_id, after, limit)

    def count_below(
        self, namespace_id: NamespaceId, folder_id: FileId, upto_rev: Seq, limit: int
    ) -> int:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "folder_id": folder_id, "upto_rev": upto_rev, "limit": limit}
        (count,) = self._session.execute(_COUNT_BELOW, values).fetchone()
        return int(count)

    def append(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        ns = self._numbers.get_ns(namespace_id)
        head = self.head(namespace_id)
        seqs = [record.seq for record in records]
        assert seqs == list(range(head + 1, head + 1 + len(records))), (
            f"records do not follow the head {head}: {seqs[:5]}"
        )
        self._session.executemany(_ADD_RECORD, self._format_records(ns, records))
        # Runs keep the order of the records, without which places would be taken twice.
        for is_new, run in groupby(records, key=_is_creation):
            rows = [_format_entry(ns, record) for record in run]
            put = self._session.executemany(_ADD_ENTRY if is_new else _CHANGE_ENTRY, rows)
            assert put.rowcount == len(rows), "a record of an entry that was never created"
        self._numbers.move_head(namespace_id, head + len(records))

    def list_changes(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[StoredEntry]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "after_seq": after_seq, "limit": limit}
        return [parse_stored(row) for row in self._session.execute(_LIST_CHANGES, values)]

    def list_revisions(
        self, namespace_id: NamespaceId, file_id: FileId, limit: int
    ) -> list[Record]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "file_id": file_id, "limit": limit}
        return [parse_record(row) for row in self._session.execute(_LIST_REVISIONS, values)]

    def list_deleted(self, namespace_id: NamespaceId, before_seq: Seq, limit: int) -> list[Record]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "before_seq": before_seq or _SEQ_MAX, "limit": limit}
        return [parse_record(row) for row in self._session.execute(_LIST_DELETED, values)]

    def find_record(self, namespace_id: NamespaceId, seq: Seq) -> Record | None:
        values = {"ns": self._numbers.find_ns(namespace_id), "seq": seq}
        row = self._session.execute(_FIND_RECORD, values).fetchone()
        return None if row is None else parse_record(row)

    def list_records(self, namespace_id: NamespaceId, after_seq: Seq, limit: int) -> list[Record]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "after_seq": after_seq, "limit": limit}
        return [parse_record(row) for row in self._session.execute(_LIST_RECORDS, values)]

    def list_eras(self, namespace_id: NamespaceId, upto_seq: Seq, limit: int) -> list[Era]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "upto_seq": upto_seq, "limit": limit}
        rows = self._session.execute(_LIST_ERAS, values)
        return [Era(era_id, Seq(first_seq)) for era_id, first_seq in rows]

    def begin_era(self, namespace_id: NamespaceId, era: Era) -> None:
        self._session.execute(_BEGIN_ERA, (self._numbers.get_ns(namespace_id), *era))

    def find_idempotent(
        self, namespace_id: NamespaceId, device_id: DeviceId, key: str
    ) -> bytes | None:
        values = {"ns": self._numbers.find_ns(namespace_id), "device_id": device_id, "key": key}
        row = self._session.execute(_FIND_ANSWER, values).fetchone()
        return None if row is None else row[0]

    def keep_idempotent(
        self, namespace_id: NamespaceId, device_id: DeviceId, key: str, answer: bytes, until_ns: int
    ) -> None:
        # Every answer is kept equally long, so this one's end tells the time.
        now_ns = until_ns - limits.IDEMPOTENCY_S * NS_PER_S
        ns = self._numbers.get_ns(namespace_id)
        self._session.execute(_DROP_ANSWERS, {"ns": ns, "now_ns": now_ns})
        values = {
            "ns": ns,
            "device_id": device_id,
            "key": key,
            "answer": answer,
            "until_ns": until_ns,
        }
        self._session.execute(_KEEP_ANSWER, values)

    def has_manifest(self, namespace_id: NamespaceId, manifest_id: BlockId) -> bool:
        values = {"ns": self._numbers.find_ns(namespace_id), "manifest_id": manifest_id}
        return self._session.execute(_HAS_MANIFEST, values).fetchone() is not None

    def keep_manifest(
        self,
        namespace_id: NamespaceId,
        manifest_id: BlockId,
        size_bytes: int,
        content_hash: bytes,
        chunks_count: int,
    ) -> None:
        values = {
            "ns": self._numbers.get_ns(namespace_id),
            "manifest_id": manifest_id,
            "size_bytes": size_bytes,
            "content_hash": content_hash,
            "chunks_count": chunks_count,
        }
        self._session.execute(_KEEP_MANIFEST, values)

    def _find_many(
        self, statement: str, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        ns = self._numbers.find_ns(namespace_id)
        values = {"ns": ns, "ids": join_ids(file_ids, ID_BYTES)}
        found = map(parse_stored, self._session.execute(statement, values))
        return {stored.entry.file_id: stored for stored in found}

    def _walk(self, namespace_id: NamespaceId) -> Walk:
        return Walk(self._session, self._numbers.find_ns(namespace_id))

    def _format_records(self, ns: int, records: Sequence[Record]) -> Iterator[Row]:
        """Yields the rows of records, each chained to the one of the same entry before it."""
        last = self._find_seqs(ns, {r.entry.file_id for r in records if not _is_creation(r)})
        get_author = self._numbers.get_author
        for record in records:
            file_id = record.entry.file_id
            author = get_author(record.account_id, record.device_id)
            yield format_record(ns, record, last.get(file_id, 0), author)
            last[file_id] = record.seq

    def _find_seqs(self, ns: int, file_ids: set[FileId]) -> dict[FileId, int]:
        if not file_ids:
            return {}
        values = {"ns": ns, "ids": join_ids(file_ids, ID_BYTES)}
        return dict(self._session.execute(_FIND_SEQS, values).fetchall())


def _is_creation(record: Record) -> bool:
    return record.action is Action.CREATE


def _format_entry(ns: int, record: Record) -> Row:
    """Returns what both ``_ADD_ENTRY`` and ``_CHANGE_ENTRY`` take, in that order."""
    entry = record.entry
    deleted = 1 if record.action is Action.DELETE else 0
    return (
        entry.parent_id, entry.name, fold_name(entry.name), int(entry.kind), int(record.seq),
        entry.rev, deleted, ns, entry.file_id,
    )  # fmt: skip


_SEQ_MAX: Final = (1 << 63) - 1

_MANY_IDS: Final = many(ID_BYTES)

_FIND_OPEN: Final = """
    SELECT ns FROM namespace WHERE namespace_id = :namespace_id AND account_id = :account_id
"""

_FIND_END: Final = f"""
    SELECT {RECORD_COLUMNS}, j.head, (
        SELECT e.era_id
        FROM era AS e
        WHERE e.ns = :ns AND e.first_seq <= j.head
        ORDER BY e.first_seq DESC
        LIMIT 1
    )
    FROM journal AS j
        LEFT JOIN record AS r ON r.ns = :ns AND r.seq = j.head
        LEFT JOIN author AS a ON a.author = r.author
    WHERE j.ns = :ns
"""

_FIND_HEADS: Final = f"""
    {_MANY_IDS}
    SELECT n.namespace_id, j.head
    FROM many
        LEFT JOIN namespace AS n ON n.namespace_id = many.id
        LEFT JOIN journal AS j ON j.ns = n.ns
    WHERE coalesce(j.head, -1) >= 0
"""

_FIND_ENTRIES: Final = f"""
    {_MANY_IDS}
    SELECT {STORED_COLUMNS}
    FROM many
        LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = many.id
        LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
    WHERE coalesce(r.seq, 0) > 0
"""

# UNION drops what is found twice, so a folder above many is walked through once.
_FIND_LINEAGE: Final = f"""
    {_MANY_IDS},
    up (file_id, seq, parent_id) AS (
        SELECT e.file_id, e.seq, e.parent_id
        FROM many LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = many.id
        WHERE coalesce(e.seq, 0) > 0
        UNION
        SELECT e.file_id, e.seq, e.parent_id
        FROM up LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = up.parent_id
        WHERE coalesce(e.seq, 0) > 0
    )
    SELECT {STORED_COLUMNS}
    FROM up LEFT JOIN record AS r ON r.ns = :ns AND r.seq = up.seq
"""

_FIND_SEQS: Final = f"""
    {_MANY_IDS}
    SELECT e.file_id, e.seq
    FROM many LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = many.id
    WHERE coalesce(e.seq, 0) > 0
"""

_FIND_CHILD: Final = f"""
    SELECT {STORED_COLUMNS}
    FROM entry AS e LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
    WHERE e.ns = :ns AND e.parent_id = :parent_id AND e.name = :name AND e.deleted = 0
"""

_FIND_CHILDREN: Final = f"""
    SELECT {STORED_COLUMNS}
    FROM json_each(:names) AS wanted
        LEFT JOIN entry AS e ON e.ns = :ns AND e.name = wanted.value AND e.deleted = 0
            AND e.parent_id = substr(:parent_ids, wanted.key * {ID_BYTES} + 1, {ID_BYTES})
        LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
    WHERE coalesce(r.seq, 0) > 0
"""

# No name is empty: saying so is what makes the planner take the index of folders.
_LIST_FOLDERS: Final = f"""
    {_MANY_IDS}
    SELECT e.file_id
    FROM many
        LEFT JOIN entry AS e ON e.ns = :ns AND e.parent_id = many.id AND e.name > ''
            AND e.deleted = 0 AND e.kind = 2
    WHERE coalesce(e.seq, 0) > 0
"""

# No name is empty: saying so is what makes the planner take the index of places.
_COUNT_BELOW: Final = """
    WITH RECURSIVE below (file_id, kind, rev) AS (
        SELECT e.file_id, e.kind, e.rev
        FROM entry AS e
        WHERE e.ns = :ns AND e.parent_id = :folder_id AND e.name > '' AND e.deleted = 0
        UNION ALL
        SELECT e.file_id, e.kind, e.rev
        FROM below
            LEFT JOIN entry AS e ON e.ns = :ns AND e.parent_id = below.file_id AND e.name > ''
                AND e.deleted = 0
        WHERE below.kind = 2 AND coalesce(e.seq, 0) > 0
    )
    SELECT count(*) FROM (
        SELECT 1 FROM below WHERE rev <= :upto_rev LIMIT :limit
    ) AS counted
"""

_ADD_RECORD: Final = """
    INSERT INTO record (
        ns, seq, action, file_id, previous, parent_id, name, kind, size_bytes, root, chunked,
        content_hash, mode, mtime_ns, target, rev, author, at_ns
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_ADD_ENTRY: Final = """
    INSERT INTO entry (parent_id, name, folded, kind, seq, rev, deleted, ns, file_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_CHANGE_ENTRY: Final = """
    UPDATE entry
    SET parent_id = ?, name = ?, folded = ?, kind = ?, seq = ?, rev = ?, deleted = ?
    WHERE ns = ? AND file_id = ?
"""

_LIST_CHANGES: Final = f"""
    SELECT {STORED_COLUMNS}
    FROM entry AS e LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
    WHERE e.ns = :ns AND e.seq > :after_seq
    ORDER BY e.seq
    LIMIT :limit
"""

_LIST_REVISIONS: Final = f"""
    WITH RECURSIVE chain (seq, count) AS (
        SELECT e.seq, 1 FROM entry AS e WHERE e.ns = :ns AND e.file_id = :file_id
        UNION ALL
        SELECT r.previous, chain.count + 1
        FROM chain LEFT JOIN record AS r ON r.ns = :ns AND r.seq = chain.seq
        WHERE coalesce(r.previous, 0) > 0 AND chain.count < :limit
    )
    SELECT {RECORD_COLUMNS}
    FROM chain
        LEFT JOIN record AS r ON r.ns = :ns AND r.seq = chain.seq
        LEFT JOIN author AS a ON a.author = r.author
    ORDER BY chain.seq DESC
"""

_LIST_DELETED: Final = f"""
    SELECT {RECORD_COLUMNS}
    FROM entry AS e
        LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
        LEFT JOIN author AS a ON a.author = r.author
    WHERE e.ns = :ns AND e.deleted = 1 AND e.seq < :before_seq
    ORDER BY e.seq DESC
    LIMIT :limit
"""

_FIND_RECORD: Final = f"""
    SELECT {RECORD_COLUMNS}
    FROM record AS r LEFT JOIN author AS a ON a.author = r.author
    WHERE r.ns = :ns AND r.seq = :seq
"""

_LIST_RECORDS: Final = f"""
    SELECT {RECORD_COLUMNS}
    FROM record AS r LEFT JOIN author AS a ON a.author = r.author
    WHERE r.ns = :ns AND r.seq > :after_seq
    ORDER BY r.seq
    LIMIT :limit
"""

_LIST_ERAS: Final = """
    SELECT era_id, first_seq
    FROM era
    WHERE ns = :ns AND first_seq <= :upto_seq
    ORDER BY first_seq DESC
    LIMIT :limit
"""

_BEGIN_ERA: Final = "INSERT INTO era (ns, era_id, first_seq) VALUES (?, ?, ?)"

_FIND_ANSWER: Final = """
    SELECT answer FROM idempotency WHERE ns = :ns AND device_id = :device_id AND key = :key
"""

_DROP_ANSWERS: Final = "DELETE FROM idempotency WHERE ns = :ns AND until_ns <= :now_ns"

_KEEP_ANSWER: Final = """
    INSERT INTO idempotency (ns, device_id, key, answer, until_ns)
    VALUES (:ns, :device_id, :key, :answer, :until_ns)
    ON CONFLICT (ns, device_id, key)
    DO UPDATE SET answer = excluded.answer, until_ns = excluded.until_ns
"""

_HAS_MANIFEST: Final = "SELECT 1 FROM manifest WHERE ns = :ns AND manifest_id = :manifest_id"

_KEEP_MANIFEST: Final = """
    INSERT INTO manifest (ns, manifest_id, size_bytes, content_hash, chunks_count)
    VALUES (:ns, :manifest_id, :size_bytes, :content_hash, :chunks_count)
    ON CONFLICT (ns, manifest_id) DO NOTHING
"""
