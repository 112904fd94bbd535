# SPDX-License-Identifier: Apache-2.0
"""Sources: which synced entry something with a known inode is, and whether that one moved."""

from collections.abc import Container, Mapping

from drystone.client.ports import Disk, DiskProblem, FolderListing, Stat, State, SyncedRow
from drystone.core.ids import FileId
from drystone.core.tree.entry import Kind


def find_known(state: State, file_id: FileId) -> tuple[Stat | None, SyncedRow | None]:
    """Returns the last fingerprint of an entry, and its synced row."""
    row = state.find_synced_row(file_id)
    change = state.local_changes.get(file_id)
    if change is not None:
        return change.stat, row
    return None if row is None else row.stat, row


def is_same_inode(stat: Stat, known: Stat | None) -> bool:
    """Tells whether two fingerprints are of the same inode."""
    return known is not None and stat.ino == known.ino and stat.dev == known.dev


class Sources:
    """Who something may be that stands where nobody with its inode is known to be.

    Args:
        disk: The synced folder.
        state: Its trees.
        claimed: Who was found elsewhere already, in this pass.
        in_place: Who was found in its place.
    """

    def __init__(
        self, disk: Disk, state: State, claimed: Container[FileId], in_place: Container[FileId]
    ) -> None:
        self._disk = disk
        self._state = state
        self._claimed = claimed
        self._in_place = in_place
        self._has_synced = state.count_synced() > 0

    def find(
        self, stat: Stat, path: str, occupant_id: FileId | None = None
    ) -> tuple[SyncedRow, ...]:
        """Returns the synced entries that something with a new inode here may be, moved: several
        if a file had several names.

        Inodes are used again as soon as they are free, so a file must have kept its size and
        mtime too, or be known to be as old as that. (Of folders, see ``is_folder``.)
        """
        if not self._has_synced:
            return ()
        rows = self._state.list_by_inode(stat.dev, stat.ino)
        if not rows or any(row.entry.file_id == occupant_id for row in rows):
            return ()
        return tuple(
            row
            for row in rows
            if row.entry.kind == stat.kind
            and row.entry.file_id not in self._claimed
            and (stat.kind == Kind.FOLDER or self._is_same_file(row, stat, path))
        )

    def is_above(self, source: SyncedRow, folder_id: FileId) -> bool:
        """Tells whether a folder is known to be a synced one or to lie in it, where that cannot
        have gone: what stands at its place was exchanged while a scan was on its way.
        """
        passed: set[FileId] = set()
        while folder_id != source.entry.file_id:
            entry = self._state.local.find(folder_id)
            if entry is None or folder_id in passed:
                return False
            passed.add(folder_id)
            folder_id = entry.parent_id
        return True

    def is_folder(self, source: SyncedRow, path: str, listing: FolderListing) -> bool:
        """Tells whether a folder with the inode of a synced one is that one.

        The inode may have been used again: something that was in it must still be, or the disk
        must tell that it is as old.
        """
        synced = self._state.synced_stats(source.entry.file_id)
        return _holds_inodes_of(synced, listing) or self._is_as_old(source, path)

    def is_vacated(self, source: SyncedRow, path: str) -> bool:
        """Tells whether a synced entry left the place where it was last known to be.

        Args:
            source: The entry as it was synced.
            path: Where its inode was seen now.
        """
        if source.entry.file_id in self._in_place:
            return False
        entry = self._state.local.find(source.entry.file_id)
        if entry is None:
            return True
        folder = self._state.path_of(self._state.local, entry.parent_id)
        if folder is None:
            return True
        place = f"{folder}/{entry.name}" if folder else entry.name
        if place == path:
            return True
        try:
            stat = self._disk.find_stat(place)
        except DiskProblem:
            return False
        return stat is None or not is_same_inode(stat, source.stat)

    def _is_same_file(self, row: SyncedRow, stat: Stat, path: str) -> bool:
        is_same = row.stat.size_bytes == stat.size_bytes and row.stat.mtime_ns == stat.mtime_ns
        return is_same or self._is_as_old(row, path)

    def _is_as_old(self, source: SyncedRow, path: str) -> bool:
        """Tells whether what stands at a path, with the inode of a synced entry, was made before
        that was last agreed on: then the inode was not used again, it is the same file or folder.
        False also where the disk does not tell.
        """
        try:
            birth_ns = self._disk.find_birth_ns(path)
        except DiskProblem:
            return False
        return 0 < birth_ns <= source.stat.ctime_ns


def _holds_inodes_of(synced: Mapping[str, tuple[FileId, Stat]], listing: FolderListing) -> bool:
    """Tells whether something that is synced in a folder is in a listing; nothing, if nothing."""
    inodes = {stat.ino for _, stat in synced.values()}
    if not inodes:
        return not listing.observed
    return any(observed.stat.ino in inodes for observed in listing.observed)
