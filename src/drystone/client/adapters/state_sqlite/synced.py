# SPDX-License-Identifier: Apache-2.0
"""The synced tree: a table, with what is being worked on kept at hand.

Rows are gathered and written in batches; reading a folder brings it whole into a bounded
cache, so that planning tens of thousands of entries costs one query per folder.
"""

from collections import OrderedDict
from collections.abc import Collection, ItemsView, Iterator, Mapping
from typing import Final

from drystone.client.adapters.state_sqlite.database import Database
from drystone.client.adapters.state_sqlite.rows import (
    STAT_COLUMNS,
    SYNCED_COLUMNS,
    make_named_stat,
    make_synced,
    synced_columns,
    to_column,
)
from drystone.client.ports import Stat, SyncedRow
from drystone.core.ids import BlockId, FileId
from drystone.core.tree.entry import Entry, Kind

_CACHED_ROWS_MAX: Final = 10_000
"""About 10 MB. More than the largest batch that is planned at once touches. (With twice as many,
a device kept 15 MB more after its first sync: what else was made meanwhile stays between them.)"""

_FOUND_ROWS_MAX: Final = 8_000
_PENDING_ROWS_MAX: Final = 8_000

_INSERT: Final = f"INSERT OR REPLACE INTO synced ({SYNCED_COLUMNS}, batch) VALUES ({'?, ' * 19}?)"
# Inside parentheses: rowcount is told only of statements that begin with DELETE.
_BELOW: Final = """
(WITH RECURSIVE below (id) AS (
  SELECT ?
  UNION
  SELECT synced.file_id FROM synced JOIN below ON synced.parent_id = below.id
)
SELECT id FROM below)
"""


class EntriesByName(Mapping[str, Entry]):
    """A folder's rows, seen as entries, without a copy."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[str, SyncedRow]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> Entry:
        return self._rows[name].entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def items(self) -> ItemsView[str, Entry]:
        """Returns names and entries; quicker than the inherited way."""
        return {name: row.entry for name, row in self._rows.items()}.items()


class SyncedTable:
    """The rows of ``synced``. Writes join the open transaction of the connection."""

    def __init__(self, db: Database, batch: int) -> None:
        self.batch = batch
        self.paths: dict[FileId, str] = {}
        self._db = db
        self._pending: dict[FileId, SyncedRow | None] = {}
        self._found: dict[FileId, SyncedRow | None] = {}
        self._folders: OrderedDict[FileId, dict[str, SyncedRow]] = OrderedDict()
        self._cached_rows_count = 0
        self._absent: set[FileId] = set()
        """Ids that were asked for and never had a row: nor has anything below them."""
        self._ids_by_root: dict[BlockId, FileId] | None = None
        self._count: int = db.select("SELECT count(*) FROM synced")[0][0]
        self._id_max: bytes = db.select("SELECT max(file_id) FROM synced")[0][0] or b""

    def __len__(self) -> int:
        return self._count

    # --- the view ----------------------------------------------------------------------------

    def find(self, file_id: FileId) -> Entry | None:
        """See ``TreeView``."""
        row = self.find_row(file_id)
        return None if row is None else row.entry

    def children(self, parent_id: FileId) -> Mapping[str, Entry]:
        """See ``TreeView``."""
        return EntriesByName(self.rows(parent_id))

    # --- reading -----------------------------------------------------------------------------

    def find_row(self, file_id: FileId) -> SyncedRow | None:
        """Returns the row of an entry, or None.

        Cost: nothing for an id greater than all in the table, which is what new ids are.
        """
        if file_id > self._id_max:
            self._absent.add(file_id)
            return None
        if file_id in self._absent:
            return None
        if file_id in self._pending:
            return self._pending[file_id]
        if file_id in self._found:
            return self._found[file_id]
        columns = self._db.find(
            f"SELECT {SYNCED_COLUMNS} FROM synced WHERE file_id = ?", (file_id,)
        )
        row = None if columns is None else make_synced(columns)
        if len(self._found) >= _FOUND_ROWS_MAX:
            self._found.clear()
        self._found[file_id] = row
        return row

    def rows(self, parent_id: FileId) -> Mapping[str, SyncedRow]:
        """Returns a folder's rows by name. One query, or none."""
        folder = self._folders.get(parent_id)
        if folder is not None:
            self._folders.move_to_end(parent_id)
            return folder
        if parent_id > self._id_max or parent_id in self._absent:
            return {}
        self.write_pending()
        found = self._db.select(
            f"SELECT {SYNCED_COLUMNS} FROM synced WHERE parent_id = ?", (parent_id,)
        )
        return self._cache(parent_id, {columns[2]: make_synced(columns) for columns in found})

    def stats(self, parent_id: FileId) -> Mapping[str, tuple[FileId, Stat]]:
        """Returns ids and fingerprints of a folder's rows by name. One query; not cached."""
        if parent_id in self._folders:
            rows = self._folders[parent_id].values()
            return {row.entry.name: (row.entry.file_id, row.stat) for row in rows}
        self.write_pending()
        found = self._db.select(
            f"SELECT {STAT_COLUMNS} FROM synced WHERE parent_id = ?", (parent_id,)
        )
        return {columns[0]: make_named_stat(columns) for columns in found}

    def list_by_inode(self, dev: int, ino: int) -> list[SyncedRow]:
        """Returns the rows with this inode; those first that were agreed on last."""
        if not self._count:
            return []
        self.write_pending()
        found = self._db.select(
            f"SELECT {SYNCED_COLUMNS} FROM synced WHERE stat_ino = ? AND stat_dev = ?"
            " ORDER BY batch DESC, file_id",
            (to_column(ino), to_column(dev)),
        )
        return [make_synced(columns) for columns in found]

    def find_by_roots(self, roots: Collection[BlockId]) -> dict[BlockId, SyncedRow]:
        """Returns a row for each root that some row has.

        The first call reads the roots of all rows, about 1 microsecond each; they are kept,
        about 150 bytes each, until ``forget_cached``.
        """
        if not self._count:
            return {}
        self.write_pending()
        if self._ids_by_root is None:
            self._ids_by_root = dict(
                self._db.select("SELECT root, file_id FROM synced WHERE size_bytes > 0")
            )
        found: dict[BlockId, SyncedRow] = {}
        for root in roots:
            file_id = self._ids_by_root.get(root)
            row = None if file_id is None else self.find_row(file_id)
            # What was noted may have changed or gone since.
            if row is not None and row.entry.content is not None and row.entry.content.root == root:
                found[root] = row
        return found

    def find_named(self, part: str) -> list[FileId]:
        """Returns the ids of rows whose names contain a text."""
        self.write_pending()
        found = self._db.select("SELECT file_id FROM synced WHERE instr(name, ?) > 0", (part,))
        return [columns[0] for columns in found]

    def list_after_batch(self, batch: int, before: int, limit: int) -> list[SyncedRow]:
        """Returns rows with ``batch`` < their batch < ``before``, in no order."""
        self.write_pending()
        found = self._db.select(
            f"SELECT {SYNCED_COLUMNS} FROM synced WHERE batch > ? AND batch < ? LIMIT ?",
            (batch, before, limit),
        )
        return [make_synced(columns) for columns in found]

    # --- writing -----------------------------------------------------------------------------

    def put(self, file_id: FileId, row: SyncedRow) -> SyncedRow | None:
        """Sets a row and returns the one before."""
        before = self.find_row(file_id)
        if before is None:
            self._count += 1
            if file_id in self._absent:
                self._absent.remove(file_id)
                if row.entry.kind == Kind.FOLDER:
                    self._cache(file_id, {})
            self._id_max = max(self._id_max, file_id)
        else:
            self._uncache(before)
        self._expect_folder(row.entry.parent_id)
        folder = self._folders.get(row.entry.parent_id)
        if folder is not None:
            folder[row.entry.name] = row
            self._cached_rows_count += 1
            self._drop_oldest()
        content = row.entry.content
        if self._ids_by_root is not None and content is not None and content.root:
            self._ids_by_root[content.root] = file_id
        self._note(file_id, row)
        return before

    def remove(self, file_id: FileId, *, with_below: bool = True) -> SyncedRow | None:
        """Removes a row, a folder's with all below it; returns the one before."""
        before = self.find_row(file_id)
        if before is None:
            return None
        self._uncache(before)
        self._count -= 1
        self._note(file_id, None)
        if before.entry.kind == Kind.FOLDER:
            self.paths.clear()
            if with_below:
                self._remove_below(file_id)
        return before

    def count_below(self, folder_id: FileId) -> int:
        """Returns how many rows there are below a folder. Cost: an index look-up per row."""
        self.write_pending()
        found: int = self._db.select(f"SELECT count(*) FROM {_BELOW}", (folder_id,))[0][0]
        return found - 1

    def list_ids_below(self, folder_id: FileId) -> list[FileId]:
        """Returns the ids of all below a folder."""
        self.write_pending()
        found = self._db.select(f"SELECT id FROM {_BELOW}", (folder_id,))
        return [columns[0] for columns in found if columns[0] != folder_id]

    def write_pending(self) -> None:
        """Hands gathered rows to the database, inside its open transaction."""
        if not self._pending:
            return
        batch = self.batch
        kept = [synced_columns(row, batch) for row in self._pending.values() if row is not None]
        gone = [(file_id,) for file_id, row in self._pending.items() if row is None]
        if gone:
            self._db.write_many("DELETE FROM synced WHERE file_id = ?", gone)
        if kept:
            self._db.write_many(_INSERT, kept)
        self._pending.clear()

    def forget_cached(self) -> None:
        """Empties what is only kept for speed."""
        self._found.clear()
        self._folders.clear()
        self._cached_rows_count = 0
        self._absent.clear()
        self._ids_by_root = None
        self.paths.clear()

    # --- inside ------------------------------------------------------------------------------

    def _expect_folder(self, folder_id: FileId) -> None:
        """A row may come before that of its folder: then there is something below that one."""
        self._absent.discard(folder_id)
        self._id_max = max(self._id_max, folder_id)

    def _note(self, file_id: FileId, row: SyncedRow | None) -> None:
        self._found.pop(file_id, None)
        self._pending[file_id] = row
        if len(self._pending) >= _PENDING_ROWS_MAX:
            self.write_pending()

    def _cache(self, folder_id: FileId, rows: dict[str, SyncedRow]) -> dict[str, SyncedRow]:
        self._folders[folder_id] = rows
        self._cached_rows_count += len(rows) + 1
        self._drop_oldest()
        return rows

    def _drop_oldest(self) -> None:
        """Keeps the cache within its bound, all but the folder that was used last."""
        while self._cached_rows_count > _CACHED_ROWS_MAX and len(self._folders) > 1:
            _, dropped = self._folders.popitem(last=False)
            self._cached_rows_count -= len(dropped) + 1

    def _uncache(self, row: SyncedRow) -> None:
        folder = self._folders.get(row.entry.parent_id, {})
        cached = folder.get(row.entry.name)
        if cached is not None and cached.entry.file_id == row.entry.file_id:
            del folder[row.entry.name]
            self._cached_rows_count -= 1

    def _remove_below(self, folder_id: FileId) -> None:
        self.write_pending()
        removed_count = self._db.write(
            f"DELETE FROM synced WHERE file_id IN {_BELOW}", (folder_id,)
        )
        if removed_count > 0:
            self._count -= removed_count
            self.forget_cached()
