# SPDX-License-Identifier: Apache-2.0
"""Adopting: a tree taken over from the last records of its entries, in SQL."""

from collections.abc import Sequence
from typing import Final

from drystone.core.ids import ID_BYTES, NamespaceId
from drystone.core.journal.record import Action, Record
from drystone.core.names.folding import fold_name
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.rows import format_record, join_ids, many
from drystone.server.storage.metadata_sql.session import Session


class SqlAdopting:
    """Implements ``server.ports.survey.Adopting`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def adopt_records(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        ns = self._numbers.get_ns(namespace_id)
        head = self._numbers.find_head(namespace_id)
        values = {"ns": ns, "ids": join_ids({r.entry.file_id for r in records}, ID_BYTES)}
        last = dict(self._session.execute(_FIND_SEQS, values).fetchall())
        for record in records:
            assert record.seq > head, "a record of a seq that is there already"
            head = record.seq
            entry = record.entry
            author = self._numbers.get_author(record.account_id, record.device_id)
            row = format_record(ns, record, last.get(entry.file_id, 0), author)
            self._session.execute(_ADD_RECORD, row)
            deleted = 1 if record.action is Action.DELETE else 0
            self._session.execute(
                _PUT_ENTRY,
                (
                    ns, entry.file_id, entry.parent_id, entry.name, fold_name(entry.name),
                    int(entry.kind), record.seq, entry.rev, deleted,
                ),
            )  # fmt: skip
            last[entry.file_id] = record.seq
        self._numbers.move_head(namespace_id, head)


_FIND_SEQS: Final = f"""
    {many(ID_BYTES)}
    SELECT e.file_id, e.seq
    FROM many LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = many.id
    WHERE coalesce(e.seq, 0) > 0
"""

_ADD_RECORD: Final = """
    INSERT INTO record (
        ns, seq, action, file_id, previous, parent_id, name, kind, size_bytes, root, chunked,
        content_hash, mode, mtime_ns, target, rev, author, at_ns
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_PUT_ENTRY: Final = """
    INSERT INTO entry (ns, file_id, parent_id, name, folded, kind, seq, rev, deleted)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (ns, file_id) DO UPDATE SET
        parent_id = excluded.parent_id, name = excluded.name, folded = excluded.folded,
        kind = excluded.kind, seq = excluded.seq, rev = excluded.rev, deleted = excluded.deleted
"""
