# SPDX-License-Identifier: Apache-2.0
"""Rows: how records and entries stand in the tables, and how they are read from there."""

from collections.abc import Iterable
from typing import Any, Final

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.journal.record import Action, Record, StoredEntry
from drystone.core.tree.entry import Entry, Kind

Row = tuple[Any, ...]

STORED_COLUMNS: Final = (
    "r.seq, r.action, r.file_id, r.parent_id, r.name, r.kind, r.size_bytes, r.root, r.chunked,"
    " r.content_hash, r.mode, r.mtime_ns, r.target, r.rev"
)
"""What ``parse_stored`` reads, of a ``record r``."""

RECORD_COLUMNS: Final = f"{STORED_COLUMNS}, a.account_id, a.device_id, r.at_ns"
"""What ``parse_record`` reads, of a ``record r`` and its ``author a``."""


LOCKED: Final = "/* locked */"
"""Ends a statement whose rows nobody else may change until the end of a writing transaction. A
comment to SQLite, where nobody else writes; what it means to PostgreSQL stands in ``dialect``."""


TAKE: Final = "SELECT 1 /* take */"
TAKING: Final = "SELECT 1 WHERE 1 = 0 /* taking */"
"""Says that this transaction is about to hold blocks; and lists those that said so and have not
ended. Nothing to SQLite, where nobody else writes; what they mean to PostgreSQL stands in
``dialect``."""


def parse_stored(row: Row) -> StoredEntry:
    """Returns the entry that a row of ``STORED_COLUMNS`` tells of. Cost: 1.5 microseconds."""
    (
        seq, action, file_id, parent_id, name, kind, size_bytes, root, chunked, content_hash,
        mode, mtime_ns, target, rev,
    ) = row  # fmt: skip
    # A page has thousands of rows: tuples are made without the detour through their classes,
    # which would cost another microsecond each.
    content = None
    if root:
        content_hash = content_hash or content_hash_of_block_id(root)
        content = _new(Content, (size_bytes, root, chunked == 1, content_hash))
    elif root is not None:
        content = EMPTY_CONTENT
    fields = (file_id, parent_id, name, _KINDS[kind], content, mode, mtime_ns, target, rev)
    return _new(StoredEntry, (_new(Entry, fields), seq, _ACTIONS[action]))


def parse_record(row: Row) -> Record:
    """Returns the record that a row of ``RECORD_COLUMNS`` is."""
    entry, seq, action = parse_stored(row[:-3])
    account_id, device_id, at_ns = row[-3:]
    return Record(seq, action, entry, account_id, device_id, at_ns)


def format_record(ns: int, record: Record, previous: int, author: int) -> Row:
    """Returns the row of the table ``record``, in the order of its columns."""
    seq, action, entry, _, _, at_ns = record
    file_id, parent_id, name, kind, content, mode, mtime_ns, target, rev = entry
    size = root = content_hash = None
    chunked = 0
    if content is not None:
        size, root, is_chunked, content_hash = content
        if is_chunked:
            chunked = 1
        elif content_hash == content_hash_of_block_id(root):
            content_hash = None
    return (
        ns, int(seq), int(action), file_id, previous, parent_id, name, int(kind),
        size, root, chunked, content_hash, mode, mtime_ns, target, rev, author, at_ns,
    )  # fmt: skip


def join_ids(ids: Iterable[bytes], length_bytes: int) -> bytes:
    """Returns ids back to back, to be cut up by ``many``; those of another length are nobody's.

    Sorted, so that those that lie on one page are looked up one after the other.
    """
    return b"".join(sorted(i for i in ids if len(i) == length_bytes))


def many(length_bytes: int) -> str:
    """Returns the beginning of a statement that looks up many ids, given as ``:ids``.

    It makes a table ``many (id)``, a row for each ``length_bytes`` of the parameter.

    What is joined to it, or to another table, is joined with LEFT JOIN, and rows that are not
    there are dropped at the end by a condition that says so of itself (``coalesce``). That keeps
    both planners to the order in which the statement is written: PostgreSQL's would start from the
    other end, and read a whole namespace, while it has not yet looked at what was just added.
    """
    return (
        f"WITH RECURSIVE cut (at) AS (SELECT 1 WHERE length(:ids) > 0 UNION ALL"
        f" SELECT at + {length_bytes} FROM cut WHERE at + {length_bytes} <= length(:ids)),"
        f" many (id) AS (SELECT substr(:ids, at, {length_bytes}) FROM cut)"
    )


_new = tuple.__new__

# A call of an enum costs a third of a microsecond, a dictionary next to nothing.
_KINDS: Final = {kind.value: kind for kind in Kind}
_ACTIONS: Final = {action.value: action for action in Action}
