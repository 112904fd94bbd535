# SPDX-License-Identifier: Apache-2.0
"""Overlays: a tree kept as what differs from synced, found by id, folder and name."""

from collections.abc import Mapping
from typing import Final

from drystone.client.adapters.freed import give_up_room
from drystone.client.adapters.state_sqlite.synced import SyncedTable
from drystone.core.ids import FileId
from drystone.core.tree.entry import Entry, Kind

_MERGED_FOLDERS_MAX: Final = 1_000


class OverlayTree:
    """A ``TreeView`` of synced with some entries replaced, added or taken away.

    Attributes:
        paths: Paths of folders, as far as they were asked for; kept true by ``put``.
    """

    def __init__(self, synced: SyncedTable) -> None:
        self.paths: dict[FileId, str] = {}
        self._synced = synced
        self._entries: dict[FileId, Entry | None] = {}
        self._placed: dict[FileId, dict[str, FileId]] = {}
        self._merged: dict[FileId, Mapping[str, Entry]] = {}

    # --- the view ----------------------------------------------------------------------------

    def find(self, file_id: FileId) -> Entry | None:
        """See ``TreeView``."""
        if file_id in self._entries:
            return self._entries[file_id]
        return self._synced.find(file_id)

    def children(self, parent_id: FileId) -> Mapping[str, Entry]:
        """See ``TreeView``."""
        merged = self._merged.get(parent_id)
        if merged is None:
            merged = self._merge(parent_id)
            if len(self._merged) >= _MERGED_FOLDERS_MAX:
                self._merged.clear()
            self._merged[parent_id] = merged
        return merged

    # --- changing it -------------------------------------------------------------------------

    def put(self, file_id: FileId, entry: Entry | None) -> None:
        """Replaces or adds an entry; None says that it is not there."""
        before = self.find(file_id)
        self._unplace(file_id)
        self._entries[file_id] = entry
        if entry is not None:
            self._placed.setdefault(entry.parent_id, {})[entry.name] = file_id
        self._note_place_changed(before, entry)

    def drop(self, file_id: FileId) -> None:
        """Lets synced speak for this entry again."""
        if file_id not in self._entries:
            return
        before = self._entries[file_id]
        self._unplace(file_id)
        del self._entries[file_id]
        self._note_place_changed(before, self._synced.find(file_id))

    def note_synced_changed(
        self, file_id: FileId, before: Entry | None, after: Entry | None
    ) -> None:
        """What lies beneath this overlay changed."""
        if file_id in self._entries:
            self._merged.clear()
        else:
            self._note_place_changed(before, after)

    def has_placed_in(self, folder_id: FileId) -> bool:
        """Tells whether overlay entries stand in a folder."""
        return folder_id in self._placed

    def list_ids_in(self, folder_id: FileId) -> list[FileId]:
        """Returns the ids of overlay entries that stand in a folder."""
        return list(self._placed.get(folder_id, {}).values())

    def forget_cached(self) -> None:
        """Empties what is only kept for speed."""
        self._merged.clear()
        self.paths.clear()
        give_up_room(self._entries, self._placed)

    # --- inside ------------------------------------------------------------------------------

    def _merge(self, parent_id: FileId) -> Mapping[str, Entry]:
        below = self._synced.children(parent_id)
        placed = self._placed.get(parent_id)
        if not self._entries:
            return dict(below.items())
        entries = self._entries
        merged = {name: entry for name, entry in below.items() if entry.file_id not in entries}
        for name, file_id in (placed or {}).items():
            entry = entries[file_id]
            if entry is not None:
                merged[name] = entry
        return merged

    def _unplace(self, file_id: FileId) -> None:
        entry = self._entries.get(file_id)
        if entry is None:
            return
        folder = self._placed.get(entry.parent_id, {})
        # While the feed has more, two entries may claim one place; the last one holds it.
        if folder.get(entry.name) == file_id:
            del folder[entry.name]
            if not folder:
                del self._placed[entry.parent_id]

    def _note_place_changed(self, before: Entry | None, after: Entry | None) -> None:
        if self._merged:
            self._merged.clear()
        if before is None or before.kind != Kind.FOLDER:
            return
        if after is None or not after.is_at_same_place(before):
            self.paths.clear()
