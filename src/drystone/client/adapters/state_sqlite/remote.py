# SPDX-License-Identifier: Apache-2.0
"""What is kept of the remote overlay: observations that are not settled yet."""

from drystone.client.adapters.freed import give_up_room
from drystone.client.adapters.state_sqlite.database import Database
from drystone.client.adapters.state_sqlite.overlay import OverlayTree
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
        overlay: The remote tree, which is told all of them.
        changes: They, by file id; changed by ``note`` and ``forget`` only.
    """

    def __init__(self, db: Database, overlay: OverlayTree) -> None:
        self.overlay = overlay
        self._db = db
        rows = [
            make_stored(columns) for columns in db.select(f"SELECT {REMOTE_COLUMNS} FROM remote")
        ]
        self.changes: dict[FileId, StoredEntry] = {row.entry.file_id: row for row in rows}
        self._saved = set(self.changes)
        self._touched: set[FileId] = set()
        for file_id, row in self.changes.items():
            overlay.put(file_id, None if row.is_deleted else row.entry)

    def note(self, stored: StoredEntry) -> None:
        """Adds or replaces what is known of an entry."""
        file_id = stored.entry.file_id
        self.changes[file_id] = stored
        self.overlay.put(file_id, None if stored.is_deleted else stored.entry)
        self._touched.add(file_id)

    def forget(self, file_id: FileId) -> None:
        """Nothing is known of an entry but what synced says."""
        if self.changes.pop(file_id, None) is not None:
            self.overlay.drop(file_id)
            self._touched.add(file_id)

    def forget_cached(self) -> None:
        """Keeps no memory for more than there is."""
        self.overlay.forget_cached()
        give_up_room(self.changes, self._saved, self._touched)

    def save(self) -> None:
        """Writes what was noted or forgotten. Cost: nothing if nothing was."""
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
