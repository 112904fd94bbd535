# SPDX-License-Identifier: Apache-2.0
"""Three trees in dicts, obviously right: the reference for the ``State`` port."""

from collections.abc import Collection, Mapping

from drystone.client.ports import LocalChange, ProblemRow, Stat, SyncedRow
from drystone.core.content.content import Content
from drystone.core.ids import ROOT_ID, BlockId, FileId, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView


class DictTree:
    """A ``TreeView`` that asks for all entries anew each time."""

    def __init__(self, state: "MemoryState", name: str) -> None:
        self._state = state
        self._name = name

    def entries(self) -> dict[FileId, Entry]:
        """Returns all entries of the tree."""
        found = {file_id: row.entry for file_id, row in self._state.rows.items()}
        changes: Mapping[FileId, Entry | None] = {}
        if self._name == "local":
            changes = {i: change.entry for i, change in self._state.local_changes.items()}
        if self._name == "remote":
            changes = {
                i: None if stored.is_deleted else stored.entry
                for i, stored in self._state.remote_changes.items()
            }
        for file_id, entry in changes.items():
            if entry is None:
                found.pop(file_id, None)
            else:
                found[file_id] = entry
        return found

    def find(self, file_id: FileId) -> Entry | None:
        return self.entries().get(file_id)

    def children(self, parent_id: FileId) -> Mapping[str, Entry]:
        return {e.name: e for e in self.entries().values() if e.parent_id == parent_id}


class MemoryState:
    """See ``State``. Nothing survives it, so saving is nothing."""

    def __init__(self) -> None:
        self.rows: dict[FileId, SyncedRow] = {}
        self.local_changes: dict[FileId, LocalChange] = {}
        self.remote_changes: dict[FileId, StoredEntry] = {}
        self._manifests: dict[BlockId, bytes] = {}
        self._digests: dict[Stat, Content] = {}
        self._settings: dict[str, str] = {}
        self._problems: dict[str, ProblemRow] = {}

    @property
    def synced(self) -> TreeView:
        return DictTree(self, "synced")

    @property
    def local(self) -> TreeView:
        return DictTree(self, "local")

    @property
    def remote(self) -> TreeView:
        return DictTree(self, "remote")

    # --- observations ------------------------------------------------------------------------

    def is_local_changed_in(self, folder_id: FileId) -> bool:
        entries = (change.entry for change in self.local_changes.values())
        return any(entry is not None and entry.parent_id == folder_id for entry in entries)

    def note_local(self, file_id: FileId, change: LocalChange | None) -> None:
        row = self.rows.get(file_id)
        if change is not None and change.entry is None and row is None:
            self._forget_new_below(file_id, self.local_changes)
            change = None
        if change is not None and row is not None and _is_settled(change.entry, row.entry):
            assert change.stat is not None
            self.rows[file_id] = row._replace(stat=change.stat)
            change = None
        self.local_changes.pop(file_id, None)
        if change is not None:
            self.local_changes[file_id] = change

    def note_remote(self, stored: StoredEntry) -> None:
        file_id = stored.file_id
        row, known = self.rows.get(file_id), self.remote_changes.get(file_id)
        if any(seen is not None and stored.seq < seen.seq for seen in (known, row)):
            return
        if row is None and stored.is_deleted:
            self.remote_changes.pop(file_id, None)
            self._forget_new_below(file_id, self.remote_changes)
        elif row is not None and not stored.is_deleted and stored.entry == row.entry:
            self.remote_changes.pop(file_id, None)
        else:
            self.remote_changes[file_id] = stored

    def forget_remote(self) -> None:
        self.remote_changes.clear()

    def drop_remote(self, file_id: FileId) -> None:
        self.remote_changes.pop(file_id, None)

    def settle(self, file_id: FileId, row: SyncedRow | None, seq: Seq = Seq(0)) -> None:  # noqa: B008
        if row is None:
            self._settle_gone(file_id, seq)
            return
        self.rows[file_id] = row
        change = self.local_changes.get(file_id)
        if change is not None and _is_settled(change.entry, row.entry):
            del self.local_changes[file_id]
        stored = self.remote_changes.get(file_id)
        if stored is not None and _is_told(stored, row, max(seq, row.seq)):
            del self.remote_changes[file_id]

    def _settle_gone(self, file_id: FileId, seq: Seq) -> None:
        below = self._ids_below(file_id)
        for gone in (file_id, *below):
            self.rows.pop(gone, None)
        self.local_changes.pop(file_id, None)
        stored = self.remote_changes.get(file_id)
        if stored is not None and (stored.is_deleted or stored.seq <= seq):
            del self.remote_changes[file_id]
        if self.local.find(file_id) is None:
            for child_id in below:
                if child_id in self.local_changes and self.local.find(child_id) is None:
                    del self.local_changes[child_id]
            for folder_id in (file_id, *below):
                self._forget_new_below(folder_id, self.local_changes)
        if self.remote.find(file_id) is None:
            for child_id in below:
                if child_id in self.remote_changes and self.remote.find(child_id) is None:
                    del self.remote_changes[child_id]
            for folder_id in (file_id, *below):
                self._forget_new_below(folder_id, self.remote_changes)

    def rename_id(self, file_id: FileId, new_id: FileId) -> None:
        change = self.local_changes.pop(file_id)
        if change.entry is not None:
            change = change._replace(entry=change.entry._replace(file_id=new_id))
        below = [i for i, c in self.local_changes.items() if _parent(c.entry) == file_id]
        self.note_local(new_id, change)
        self._hand_over(below, new_id)

    def renew_local(self, file_id: FileId, new_id: FileId) -> None:
        self.local_changes.pop(file_id, None)
        below = [e.file_id for e in self.local.children(file_id).values()]
        self._hand_over(below, new_id)
        is_gone = self.path_of(self.remote, file_id) is None
        self.rows.pop(file_id, None)
        if is_gone:
            self.remote_changes.pop(file_id, None)
            self._forget_new_below(file_id, self.remote_changes)

    def renew_remote(self, file_id: FileId) -> None:
        path, row = self.path_of(self.remote, file_id), self.rows.pop(file_id, None)
        if row is not None and path is not None and file_id not in self.remote_changes:
            self.remote_changes[file_id] = StoredEntry(row.entry, row.seq, Action.EDIT)
        stored = self.remote_changes.get(file_id)
        if stored is not None and stored.is_deleted:
            self.remote_changes.pop(file_id, None)
            self._forget_new_below(file_id, self.remote_changes)
        change = self.local_changes.get(file_id)
        if change is not None and change.entry is None:
            del self.local_changes[file_id]

    # --- looking -----------------------------------------------------------------------------

    def synced_rows(self, parent_id: FileId) -> Mapping[str, SyncedRow]:
        return {r.entry.name: r for r in self.rows.values() if r.entry.parent_id == parent_id}

    def synced_stats(self, parent_id: FileId) -> Mapping[str, tuple[FileId, Stat]]:
        rows = self.synced_rows(parent_id)
        return {name: (row.entry.file_id, row.stat) for name, row in rows.items()}

    def find_synced_row(self, file_id: FileId) -> SyncedRow | None:
        return self.rows.get(file_id)

    def list_by_inode(self, dev: int, ino: int) -> list[SyncedRow]:
        return [r for r in self.rows.values() if (r.stat.dev, r.stat.ino) == (dev, ino)]

    def find_by_roots(self, roots: Collection[BlockId]) -> dict[BlockId, SyncedRow]:
        contents = ((row.entry.content, row) for row in self.rows.values())
        return {c.root: row for c, row in contents if c is not None and c.root in set(roots)}

    def find_named(self, part: str) -> list[FileId]:
        entries = DictTree(self, "local").entries()
        return [file_id for file_id, entry in entries.items() if part in entry.name]

    def path_of(self, view: TreeView, file_id: FileId) -> str | None:
        names: list[str] = []
        while file_id != ROOT_ID:
            entry = view.find(file_id)
            if entry is None or len(names) > len(self.rows) + len(self.local_changes) + 1_000:
                return None
            names.append(entry.name)
            file_id = entry.parent_id
        return "/".join(reversed(names))

    def count_synced(self) -> int:
        return len(self.rows)

    def count_below(self, folder_id: FileId) -> int:
        return len(self._ids_below(folder_id))

    # --- the rest ----------------------------------------------------------------------------

    def find_manifest(self, manifest_id: BlockId) -> bytes | None:
        return self._manifests.get(manifest_id)

    def keep_manifest(self, manifest_id: BlockId, encoded: bytes) -> None:
        self._manifests[manifest_id] = encoded

    def find_digest(self, stat: Stat) -> Content | None:
        return self._digests.get(_undressed(stat))

    def note_digest(self, stat: Stat, content: Content) -> None:
        self._digests[_undressed(stat)] = content

    def get(self, key: str) -> str:
        return self._settings.get(key, "")

    def put(self, key: str, value: str) -> None:
        self._settings[key] = value

    def problems(self) -> list[ProblemRow]:
        return sorted(self._problems.values())

    def note_problem(self, row: ProblemRow) -> None:
        self._problems[row.path] = row

    def clear_problem(self, path: str) -> None:
        self._problems.pop(path, None)

    def save(self) -> None:
        pass

    def begin_flush(self) -> int:
        return 1

    def note_flushed(self, batch: int) -> None:
        pass

    def list_doubtful(self, limit: int) -> list[SyncedRow]:
        return []

    def shrink(self) -> None:
        pass

    def close(self) -> None:
        pass

    # --- inside ------------------------------------------------------------------------------

    def _ids_below(self, folder_id: FileId) -> list[FileId]:
        found: list[FileId] = []
        waiting = [folder_id]
        while waiting:
            rows = self.synced_rows(waiting.pop()).values()
            found += [row.entry.file_id for row in rows]
            waiting += [row.entry.file_id for row in rows if row.entry.kind == Kind.FOLDER]
        return found

    def _forget_new_below(
        self, folder_id: FileId, changes: "dict[FileId, LocalChange] | dict[FileId, StoredEntry]"
    ) -> None:
        """What one side had put below a folder that it no longer has went with it."""
        for file_id in list(changes):
            change = changes.get(file_id)
            gone = change is None or (isinstance(change, StoredEntry) and change.is_deleted)
            if gone or change is None or _parent(change.entry) != folder_id:
                continue
            if file_id not in self.rows:
                del changes[file_id]
            elif isinstance(change, StoredEntry):
                self.remote_changes[file_id] = change._replace(action=Action.DELETE)
            else:
                self.local_changes[file_id] = LocalChange(None, None)
            self._forget_new_below(file_id, changes)

    def _hand_over(self, file_ids: Collection[FileId], folder_id: FileId) -> None:
        for file_id in file_ids:
            row, change = self.rows.get(file_id), self.local_changes.get(file_id)
            if change is None and row is not None:
                change = LocalChange(row.entry, row.stat)
            assert change is not None and change.entry is not None  # noqa: PT018
            moved = change.entry._replace(parent_id=folder_id)
            self.note_local(file_id, change._replace(entry=moved))


def _parent(entry: Entry | None) -> FileId | None:
    return None if entry is None else entry.parent_id


def _is_settled(local: Entry | None, agreed: Entry) -> bool:
    return local is not None and local.is_at_same_place(agreed) and local.is_same_state(agreed)


def _is_told(stored: StoredEntry, row: SyncedRow, known_seq: Seq) -> bool:
    if stored.seq == known_seq and not stored.is_deleted:
        return stored.entry.is_at_same_place(row.entry)
    is_same = not stored.is_deleted and stored.entry == row.entry
    return is_same or stored.seq <= known_seq


def _undressed(stat: Stat) -> Stat:
    """A digest is of the bytes: the mode does not count."""
    return stat._replace(mode=0)
