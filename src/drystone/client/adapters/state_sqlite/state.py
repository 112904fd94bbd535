# SPDX-License-Identifier: Apache-2.0
"""SqliteState: the ``State`` port over the synced table, two overlays and the ledger."""

from collections.abc import Collection, Mapping

from drystone.client.adapters.freed import give_back_freed
from drystone.client.adapters.state_sqlite.batches import BATCH_KEY, Batches
from drystone.client.adapters.state_sqlite.database import Database
from drystone.client.adapters.state_sqlite.ledger import Ledger
from drystone.client.adapters.state_sqlite.overlay import OverlayTree
from drystone.client.adapters.state_sqlite.paths import find_path
from drystone.client.adapters.state_sqlite.remote import RemoteTable
from drystone.client.adapters.state_sqlite.synced import SyncedTable
from drystone.client.ports import LocalChange, Stat, SyncedRow
from drystone.core.ids import BlockId, FileId, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView


class SqliteState(Ledger):
    """See ``client.ports.State``. Made by ``open_state``.

    Cost: settling and saving 4,000 rows takes about 40 ms; memory grows with the overlays
    and stays within about 30 MB for the rest.
    """

    def __init__(self, db: Database, boot_id: str) -> None:
        super().__init__(db)
        self._synced = SyncedTable(db, batch=int(self.get(BATCH_KEY) or 1))
        self._local = OverlayTree(self._synced)
        self._remote = OverlayTree(self._synced)
        self._remote_rows = RemoteTable(db, self._remote)
        self._batches = Batches(self, self._synced)
        self.local_changes: dict[FileId, LocalChange] = {}
        self.remote_changes = self._remote_rows.changes
        self._batches.note_boot(boot_id)
        self.collect_manifests()

    # --- the trees ---------------------------------------------------------------------------

    @property
    def synced(self) -> TreeView:
        return self._synced

    @property
    def local(self) -> TreeView:
        return self._local

    @property
    def remote(self) -> TreeView:
        return self._remote

    def path_of(self, view: TreeView, file_id: FileId) -> str | None:
        return find_path(view, file_id)

    # --- observations ------------------------------------------------------------------------

    def note_local(self, file_id: FileId, change: LocalChange | None) -> None:
        if change is None:
            self._forget(self._local, file_id)
            return
        row = self._synced.find_row(file_id)
        if change.entry is None and row is None:
            self._forget(self._local, file_id)
            self._forget_placed_below(self._local, file_id)
        elif row is not None and _is_settled(change.entry, row.entry):
            # Nothing but the fingerprint differs: that is no difference to the server.
            if change.stat is not None and change.stat != row.stat:
                self._synced.put(file_id, row._replace(stat=change.stat))
            self._forget(self._local, file_id)
        else:
            self.local_changes[file_id] = change
            self._local.put(file_id, change.entry)

    def is_local_changed_in(self, folder_id: FileId) -> bool:
        return self._local.has_placed_in(folder_id)

    def note_remote(self, stored: StoredEntry) -> None:
        file_id = stored.entry.file_id
        row = self._synced.find_row(file_id)
        known = self.remote_changes.get(file_id)
        if (known is not None and stored.seq < known.seq) or (row and stored.seq < row.seq):
            return
        if stored.is_deleted and row is None:
            self._remote_rows.forget(file_id)
            if stored.entry.kind == Kind.FOLDER:
                self._forget_placed_below(self._remote, file_id)
        elif row is not None and not stored.is_deleted and stored.entry == row.entry:
            self._remote_rows.forget(file_id)
        else:
            self._remote_rows.note(stored)

    def forget_remote(self) -> None:
        for file_id in list(self.remote_changes):
            self.drop_remote(file_id)

    def drop_remote(self, file_id: FileId) -> None:
        self._remote_rows.forget(file_id)

    def settle(self, file_id: FileId, row: SyncedRow | None, seq: Seq = Seq(0)) -> None:  # noqa: B008
        if row is None:
            self._settle_gone(file_id, seq)
            return
        before = self._synced.put(file_id, row)
        old = None if before is None else before.entry
        if old is not None and old.kind == Kind.FOLDER and not old.is_at_same_place(row.entry):
            self._synced.paths.clear()
        self._note_synced_changed(file_id, old, row.entry)
        change = self.local_changes.get(file_id)
        if change is not None and _is_settled(change.entry, row.entry):
            self._forget(self._local, file_id)
        stored = self.remote_changes.get(file_id)
        if stored is not None and _is_told(stored, row, seq):
            self._remote_rows.forget(file_id)

    def rename_id(self, file_id: FileId, new_id: FileId) -> None:
        change = self.local_changes[file_id]
        below = self._local.list_ids_in(file_id)
        self._forget(self._local, file_id)
        if change.entry is not None:
            change = change._replace(entry=change.entry._replace(file_id=new_id))
        self.note_local(new_id, change)
        self._hand_over(below, new_id)

    def renew_local(self, file_id: FileId, new_id: FileId) -> None:
        below, rows = self._local.list_ids_in(file_id), self._synced.rows(file_id).values()
        agreed = [row.entry.file_id for row in rows if row.entry.file_id not in self.local_changes]
        self._forget(self._local, file_id)
        self._hand_over([*below, *agreed], new_id)
        # What the server changed in it before it was deleted there, or a folder above it was.
        self._drop_row(file_id, is_gone=self.path_of(self._remote, file_id) is None)

    def renew_remote(self, file_id: FileId) -> None:
        row = self._synced.find_row(file_id)
        if row and file_id not in self.remote_changes and self.path_of(self._remote, file_id):
            self._remote_rows.note(StoredEntry(row.entry, row.seq, Action.EDIT))
        stored = self.remote_changes.get(file_id)
        self._drop_row(file_id, is_gone=stored is not None and stored.is_deleted)
        change = self.local_changes.get(file_id)
        if change is not None and change.entry is None:
            self._forget(self._local, file_id)

    # --- synced ------------------------------------------------------------------------------

    def synced_rows(self, parent_id: FileId) -> Mapping[str, SyncedRow]:
        return self._synced.rows(parent_id)

    def synced_stats(self, parent_id: FileId) -> Mapping[str, tuple[FileId, Stat]]:
        return self._synced.stats(parent_id)

    def find_synced_row(self, file_id: FileId) -> SyncedRow | None:
        return self._synced.find_row(file_id)

    def list_by_inode(self, dev: int, ino: int) -> list[SyncedRow]:
        return self._synced.list_by_inode(dev, ino)

    def find_by_roots(self, roots: Collection[BlockId]) -> dict[BlockId, SyncedRow]:
        return self._synced.find_by_roots(roots)

    def find_named(self, part: str) -> list[FileId]:
        found = self._synced.find_named(part)
        found += [i for i in self.local_changes if i not in set(found)]
        entries = ((file_id, self._local.find(file_id)) for file_id in found)
        return [i for i, entry in entries if entry is not None and part in entry.name]

    def count_synced(self) -> int:
        return len(self._synced)

    def count_below(self, folder_id: FileId) -> int:
        return self._synced.count_below(folder_id)

    # --- durability --------------------------------------------------------------------------

    def save(self) -> None:
        self._synced.write_pending()
        self._remote_rows.save()
        self._db.commit()

    def begin_flush(self) -> int:
        return self._batches.begin_flush()

    def note_flushed(self, batch: int) -> None:
        self._batches.note_flushed(batch)

    def list_doubtful(self, limit: int) -> list[SyncedRow]:
        return self._batches.list_doubtful(limit)

    def shrink(self) -> None:
        self._synced.forget_cached()
        self._local.forget_cached()
        self._remote_rows.forget_cached()
        self._db.select("PRAGMA shrink_memory")
        give_back_freed(self.local_changes)

    def close(self) -> None:
        self._db.close()

    # --- inside ------------------------------------------------------------------------------

    def _hand_over(self, file_ids: Collection[FileId], folder_id: FileId) -> None:
        """These entries of the disk are in a folder with this id now."""
        for file_id in file_ids:
            row = self._synced.find_row(file_id)
            change = self.local_changes.get(file_id)
            if change is None and row is not None:
                change = LocalChange(row.entry, row.stat)
            if change is not None and change.entry is not None:
                moved = change._replace(entry=change.entry._replace(parent_id=folder_id))
                self.note_local(file_id, moved)

    def _drop_row(self, file_id: FileId, *, is_gone: bool) -> None:
        row = self._synced.remove(file_id, with_below=False)
        if row is not None:
            self._note_synced_changed(file_id, row.entry, None)
        if is_gone:  # The server no longer has it either: nothing is left to be settled.
            self.drop_remote(file_id)
            self._forget_placed_below(self._remote, file_id)

    def _settle_gone(self, file_id: FileId, seq: Seq) -> None:
        row = self._synced.find_row(file_id)
        is_folder = row is not None and row.entry.kind == Kind.FOLDER
        touched = is_folder and bool(self.local_changes or self.remote_changes)
        below = self._synced.list_ids_below(file_id) if touched else []
        self._synced.remove(file_id)
        if row is not None:
            self._note_synced_changed(file_id, row.entry, None)
        self._forget(self._local, file_id)
        stored = self.remote_changes.get(file_id)
        if stored is not None and (stored.is_deleted or stored.seq <= seq):
            self.drop_remote(file_id)
        for overlay in (self._local, self._remote):
            if overlay.find(file_id) is None:
                self._forget_below(overlay, file_id, below)

    def _forget_below(self, overlay: OverlayTree, folder_id: FileId, below: list[FileId]) -> None:
        """Drops what an overlay says of entries that went with a folder."""
        for child_id in below:
            # Synced no longer has it. What moved elsewhere is a new entry now.
            if overlay.find(child_id) is None:
                self._forget(overlay, child_id)
        for parent_id in (folder_id, *below):
            self._forget_placed_below(overlay, parent_id)

    def _forget_placed_below(self, overlay: OverlayTree, folder_id: FileId) -> None:
        """A folder is gone from one side, and with it what that side had put below it."""
        waiting = [folder_id]
        while waiting:
            below = overlay.list_ids_in(waiting.pop())
            for child_id in below:
                if self._synced.find_row(child_id) is None:
                    self._forget(overlay, child_id)
                else:
                    self._note_gone(overlay, child_id)
            waiting.extend(below)

    def _note_gone(self, overlay: OverlayTree, file_id: FileId) -> None:
        """An entry that had moved below a folder went with it."""
        if overlay is self._local:
            self.local_changes[file_id] = LocalChange(None, None)
            overlay.put(file_id, None)
        else:
            stored = self.remote_changes[file_id]
            self._remote_rows.note(stored._replace(action=Action.DELETE))

    def _forget(self, overlay: OverlayTree, file_id: FileId) -> None:
        if overlay is self._remote:
            return self.drop_remote(file_id)
        self.local_changes.pop(file_id, None)
        return self._local.drop(file_id)

    def _note_synced_changed(self, file_id: FileId, old: Entry | None, new: Entry | None) -> None:
        self._local.note_synced_changed(file_id, old, new)
        self._remote.note_synced_changed(file_id, old, new)


def _is_settled(local: Entry | None, agreed: Entry) -> bool:
    return local is not None and local.is_at_same_place(agreed) and local.is_same_state(agreed)


def _is_told(stored: StoredEntry, row: SyncedRow, seq: Seq) -> bool:
    """Tells whether a row already says what this observation of the server says."""
    known_seq = max(row.seq, seq)
    if stored.is_deleted:
        return stored.seq <= known_seq
    if stored.seq == known_seq:
        # Of its own edit a device is not told the place: somebody may have moved the entry before.
        return stored.entry.is_at_same_place(row.entry)
    return stored.seq < known_seq or stored.entry == row.entry
