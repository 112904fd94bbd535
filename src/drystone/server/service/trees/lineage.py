# SPDX-License-Identifier: Apache-2.0
"""Lineage: what lies below what, for many entries at once and few queries."""

from collections.abc import Iterable, Iterator

from drystone.core.ids import ROOT_ID, FileId, NamespaceId
from drystone.core.journal.record import StoredEntry
from drystone.core.limits import DEPTH_MAX
from drystone.server.ports.metadata import TreeUnit


class Lineage:
    """The folders above some entries, as they are in one unit of work.

    Entries share most of their folders, so each folder is asked for once, a whole level of the
    tree per query.
    """

    def __init__(self, tree: TreeUnit, namespace_id: NamespaceId) -> None:
        self._tree = tree
        self._namespace_id = namespace_id
        self._folders: dict[FileId, StoredEntry] = {}

    def learn(self, entries: Iterable[StoredEntry]) -> None:
        """Reads all folders above these entries that are not known yet."""
        wanted = {stored.entry.parent_id for stored in entries}
        for _ in range(DEPTH_MAX + 1):
            wanted -= self._folders.keys()
            wanted.discard(ROOT_ID)
            if not wanted:
                return
            found = self._tree.find_entries(self._namespace_id, wanted)
            assert len(found) == len(wanted), "an entry lies in a folder that never was"
            self._folders.update(found)
            wanted = {stored.entry.parent_id for stored in found.values()}
        raise AssertionError("folders lie in a circle, or too deep")

    def is_below(self, stored: StoredEntry, folder_id: FileId) -> bool:
        """Tells whether a learned entry lies below a folder, deleted or not."""
        return folder_id == ROOT_ID or any(
            folder.file_id == folder_id for folder in self.folders_above(stored)
        )

    def is_living(self, stored: StoredEntry) -> bool:
        """Tells whether neither a learned entry nor a folder above it is deleted."""
        return not stored.is_deleted and not any(
            folder.is_deleted for folder in self.folders_above(stored)
        )

    def folders_above(self, stored: StoredEntry) -> Iterator[StoredEntry]:
        """Yields the folders above a learned entry, the nearest first, without the root."""
        parent_id = stored.entry.parent_id
        while parent_id != ROOT_ID:
            folder = self._folders[parent_id]
            yield folder
            parent_id = folder.entry.parent_id
