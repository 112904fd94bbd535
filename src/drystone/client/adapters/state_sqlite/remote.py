# SPDX-License-Identifier: Apache-2.0
"""What is kept of the remote overlay: observations that are not settled yet."""

from drystone.client.adapters.state_sqlite.database import Database
from drystone.client.adapters.state_sqlite.rows import (
    REMOTE_COLUMNS,
    make_stored,
    remote_columns,
)
from drystone.core.ids import FileId
from drystone.core.journal.record import StoredEntry


class RemoteTable:
    """The rows of ``remote``, all of them in memory. Writes join the open transaction.

    Attributes:
        changes: By file id. Who changes it tells ``touch``.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        rows = [
            make_stored(columns) for columns in db.select(f"SELECT {REMOTE_COLUMNS} FROM remote")
        ]
        self.changes: dict[FileId, StoredEntry] = {row.entry.file_id: row for row in rows}
        self._saved = set(self.changes)
        self._touched: set[FileId] = set()

    def touch(self, file_id: FileId) -> None:
        """Has what ``changes`` says of an entry, or no longer says, written by ``save``."""
        self._touched.add(file_id)

    def save(self) -> None:
        """Writes what was touched. Cost: nothing if nothing was."""
        if not self._touched:
            return
        touched, saved = self._touched, self._saved
        kept = [self.changes[i] for i in touched if i in self.changes]
        gone = [i for i in touched if i in saved and i not in self.changes]
        if gone:
            self._db.write_many("DELETE FROM remote WHERE file_id = ?", [(i,) for i in gone])
        if kept:
            self._db.write_many(
                f"INSERT OR REPLACE INTO remote ({REMOTE_COLUMNS}) VALUES ({'?, ' * 13}?)",
                [remote_columns(stored) for stored in kept],
            )
        saved.difference_update(gone)
        saved.update(stored.entry.file_id for stored in kept)
        touched.clear()
