# SPDX-License-Identifier: Apache-2.0
"""Unnamed: synced entries that now stand on the disk under names that cannot be synced.

Such a name is no deletion. What was synced stays as it was agreed on, until the entry gets a
name that can be synced (it is moved then) or is gone from the disk (it is deleted then).
"""

from collections.abc import Container, Sequence

from drystone.client.ports import Disk, DiskProblem, Skipped, State, SyncedRow
from drystone.core.ids import FileId
from drystone.core.names.quoting import quoted
from drystone.core.tree.entry import Entry


class Unnamed:
    """Who stands where under such a name. Known anew after each full scan.

    An inode of the same kind is enough to know an entry by, though inodes are used again: at
    worst a deletion is told later.

    Args:
        disk: The synced folder.
        state: Its trees.
    """

    def __init__(self, disk: Disk, state: State) -> None:
        self._disk = disk
        self._state = state
        self._by_folder: dict[str, frozenset[FileId]] = {}

    def ids(self) -> frozenset[FileId]:
        """Returns all of them."""
        return frozenset().union(*self._by_folder.values())

    def forget(self) -> None:
        """Everything is about to be looked at."""
        self._by_folder.clear()

    def see(
        self, path: str, skipped: Sequence[Skipped]
    ) -> tuple[Sequence[Skipped], frozenset[FileId]]:
        """A folder was listed.

        Returns:
            What was skipped in it, with more to say where that was synced under another name;
            and the entries that are no longer here and stand nowhere else that is known.
        """
        before = self._by_folder.pop(path, frozenset())
        if not before and not skipped:
            return skipped, before
        told: list[Skipped] = []
        seen: set[FileId] = set()
        for one in skipped:
            row = self._find_row(one)
            if row is None or self._find_standing(row.entry) is not None:
                told.append(one)
                continue
            file_id = row.entry.file_id
            seen.add(file_id)
            change = self._state.local_changes.get(file_id)
            if change is not None and change.entry is None:
                # It was missed before it was found here.
                self._state.note_local(file_id, None)
            was = f"it was {quoted(row.entry.name)}, which stays as it was on the server"
            told.append(one._replace(detail=f"{one.detail}; {was}"))
        if seen:
            self._by_folder[path] = frozenset(seen)
        gone = {i for i in before if i not in seen and self._is_gone(i)}
        return told, frozenset(gone)

    def settle(self, claimed: Container[FileId]) -> frozenset[FileId]:
        """A pass is over: who was found elsewhere, or has its place taken, is no longer one.

        Returns all that are left.
        """
        for path, ids in list(self._by_folder.items()):
            left = frozenset(i for i in ids if i not in claimed and self._is_gone(i))
            if left:
                self._by_folder[path] = left
            else:
                del self._by_folder[path]
        return self.ids()

    def _find_row(self, one: Skipped) -> SyncedRow | None:
        if one.stat is None:
            return None
        rows = self._state.list_by_inode(one.stat.dev, one.stat.ino)
        return next((row for row in rows if row.entry.kind == one.stat.kind), None)

    def _is_gone(self, file_id: FileId) -> bool:
        """Tells whether nothing stands where a synced entry is known to be."""
        row = self._state.find_synced_row(file_id)
        return row is not None and self._find_standing(row.entry) is None

    def _find_standing(self, agreed: Entry) -> str | None:
        """Returns where something stands in the place of an entry; None if nothing does."""
        state = self._state
        entry = state.local.find(agreed.file_id) or agreed
        folder = state.path_of(state.local, entry.parent_id)
        if folder is None:
            return None
        place = f"{folder}/{entry.name}" if folder else entry.name
        try:
            stat = self._disk.find_stat(place)
        except DiskProblem:
            return place
        return None if stat is None else place
