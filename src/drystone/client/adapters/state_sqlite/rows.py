# SPDX-License-Identifier: Apache-2.0
"""Entries and fingerprints as tuples for SQLite, and back. Run once per file: kept flat."""

from collections.abc import Sequence
from typing import Any, Final

from drystone.client.ports import Stat, SyncedRow
from drystone.core.content.content import Content
from drystone.core.ids import FileId, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind

ENTRY_COLUMNS: Final = (
    "file_id, parent_id, name, kind, size_bytes, root, chunked, content_hash,"
    " mode, mtime_ns, target, rev"
)
SYNCED_COLUMNS: Final = (
    f"{ENTRY_COLUMNS}, stat_size_bytes, stat_mtime_ns, stat_ctime_ns, stat_ino, stat_dev,"
    " stat_mode, seq"
)
REMOTE_COLUMNS: Final = f"{ENTRY_COLUMNS}, seq, action"

STAT_COLUMNS: Final = (
    "name, file_id, kind, stat_size_bytes, stat_mtime_ns, stat_ctime_ns, stat_ino, stat_dev,"
    " stat_mode"
)

Columns = tuple[Any, ...]

# Kind(number) costs more than the rest of a row.
_KINDS: Final = (Kind.FILE, Kind.FILE, Kind.FOLDER, Kind.SYMLINK)
_ACTIONS: Final = {int(action): action for action in Action}

_SIGN: Final = 1 << 63
_WRAP: Final = 1 << 64


def to_column(number: int) -> int:
    """Returns an unsigned 64-bit number (inode, device) as SQLite's signed one."""
    return number if number < _SIGN else number - _WRAP


def from_column(number: int) -> int:
    """Undoes ``to_column``."""
    return number if number >= 0 else number + _WRAP


def entry_columns(entry: Entry) -> Columns:
    """Returns the values of ``ENTRY_COLUMNS``."""
    file_id, parent_id, name, kind, content, mode, mtime_ns, target, rev = entry
    if content is None:
        size_bytes = root = chunked = content_hash = None
    else:
        size_bytes, root, chunked, content_hash = content
    return (
        file_id, parent_id, name, int(kind), size_bytes, root, chunked, content_hash,
        mode, mtime_ns, target, rev,
    )  # fmt: skip


def synced_columns(row: SyncedRow, batch: int) -> Columns:
    """Returns the values of ``SYNCED_COLUMNS`` and the batch."""
    entry, stat, seq = row
    return (
        *entry_columns(entry),
        stat.size_bytes, stat.mtime_ns, stat.ctime_ns, to_column(stat.ino), to_column(stat.dev),
        stat.mode, seq, batch,
    )  # fmt: skip


def remote_columns(stored: StoredEntry) -> Columns:
    """Returns the values of ``REMOTE_COLUMNS``."""
    return (*entry_columns(stored.entry), stored.seq, int(stored.action))


def make_entry(columns: Sequence[Any]) -> Entry:
    """Returns the entry whose ``ENTRY_COLUMNS`` come first in ``columns``."""
    size_bytes = columns[4]
    content = (
        None if size_bytes is None else Content(size_bytes, columns[5], columns[6] == 1, columns[7])
    )
    return Entry(
        columns[0], columns[1], columns[2], _KINDS[columns[3]], content,
        columns[8], columns[9], columns[10], columns[11],
    )  # fmt: skip


def make_synced(columns: Sequence[Any]) -> SyncedRow:
    """Returns the row of the values of ``SYNCED_COLUMNS``."""
    stat = Stat(
        _KINDS[columns[3]], columns[12], columns[13], columns[14],
        from_column(columns[15]), from_column(columns[16]), columns[17],
    )  # fmt: skip
    return SyncedRow(make_entry(columns), stat, Seq(columns[18]))


def make_named_stat(columns: Columns) -> tuple[FileId, Stat]:
    """Returns the id and the fingerprint of the values of ``STAT_COLUMNS``."""
    _, file_id, kind, size_bytes, mtime_ns, ctime_ns, ino, dev, mode = columns
    if ino < 0 or dev < 0:
        ino, dev = from_column(ino), from_column(dev)
    # Run for every file at every scan: Stat(...) would take twice as long.
    stat = tuple.__new__(Stat, (_KINDS[kind], size_bytes, mtime_ns, ctime_ns, ino, dev, mode))
    return file_id, stat


def make_stored(columns: Sequence[Any]) -> StoredEntry:
    """Returns the stored entry of the values of ``REMOTE_COLUMNS``."""
    return StoredEntry(make_entry(columns), Seq(columns[12]), _ACTIONS[columns[13]])
