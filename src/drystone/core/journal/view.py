# SPDX-License-Identifier: Apache-2.0
"""Views of a namespace's present, through which a commit is decided."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from drystone.core.ids import FileId, Rev, Seq
from drystone.core.journal.record import Record, StoredEntry


class JournalView(Protocol):
    """The current tree of one namespace, and as much of its journal as decisions need.

    It does not change while a commit is decided over it.
    """

    @property
    def head(self) -> Seq:
        """The last seq; 0 if there is none."""
        ...

    def find(self, file_id: FileId) -> StoredEntry | None:
        """Returns the entry that has or had this id, or None. The root is in no view."""
        ...

    def find_lineage(self, file_ids: Collection[FileId]) -> Mapping[FileId, StoredEntry]:
        """Returns those of these entries that there are, and all folders above them."""
        ...

    def find_child(self, parent_id: FileId, name: str) -> FileId | None:
        """Returns the id of the undeleted entry with exactly this name in a folder, or None."""
        ...

    def changed_after(self, seq: Seq, limit: int) -> Sequence[StoredEntry]:
        """Returns the entries whose last record is after ``seq``, at most ``limit`` of them."""
        ...

    def folders_in(self, parent_ids: Collection[FileId]) -> Collection[FileId]:
        """Returns the undeleted folders that are directly in any of these folders."""
        ...

    def find_record(self, seq: Seq) -> Record | None:
        """Returns one record of the journal, or None."""
        ...

    @property
    def kept_after(self) -> Seq:
        """What records up to this seq replaced or deleted may have lost its content."""
        ...

    def find_superseding(self, file_id: FileId, rev: Rev) -> Seq:
        """Returns the seq of the record that replaced a revision of an entry; 0 if none did."""
        ...


class PrefetchedView:
    """A view that answers from what was read beforehand, and asks another one for the rest.

    Made for one commit, so that thousands of lookups cost a few queries.
    """

    def __init__(
        self,
        fallback: JournalView,
        entries: Mapping[FileId, StoredEntry | None],
        children: Mapping[tuple[FileId, str], FileId | None],
    ) -> None:
        """Makes the view.

        Args:
            fallback: The same namespace at the same moment, entry by entry.
            entries: What is known by id; None: there never was such an entry.
            children: What is known of places (folder, name); None: nothing stands there.
        """
        self._fallback = fallback
        self._entries = dict(entries)
        self._children = dict(children)

    @property
    def head(self) -> Seq:
        """The last seq."""
        return self._fallback.head

    def find(self, file_id: FileId) -> StoredEntry | None:
        """Returns the entry that has or had this id; each is looked up once at most."""
        try:
            return self._entries[file_id]
        except KeyError:
            found = self._entries[file_id] = self._fallback.find(file_id)
            return found

    def find_lineage(self, file_ids: Collection[FileId]) -> Mapping[FileId, StoredEntry]:
        """Returns these entries and all folders above them, and remembers them by id."""
        found = self._fallback.find_lineage(file_ids)
        self._entries.update(found)
        return found

    def find_child(self, parent_id: FileId, name: str) -> FileId | None:
        """Returns who stands at a place; each place is looked up once at most."""
        place = (parent_id, name)
        try:
            return self._children[place]
        except KeyError:
            found = self._children[place] = self._fallback.find_child(parent_id, name)
            return found

    def changed_after(self, seq: Seq, limit: int) -> Sequence[StoredEntry]:
        """Returns what changed after ``seq``, and remembers it and all folders above by id."""
        changed = self._fallback.changed_after(seq, limit)
        self._entries.update((stored.entry.file_id, stored) for stored in changed)
        self.find_lineage({stored.entry.parent_id for stored in changed} - self._entries.keys())
        return changed

    def folders_in(self, parent_ids: Collection[FileId]) -> Collection[FileId]:
        """Returns the undeleted folders directly in these folders."""
        return self._fallback.folders_in(parent_ids)

    def find_record(self, seq: Seq) -> Record | None:
        """Returns one record of the journal, or None."""
        return self._fallback.find_record(seq)

    @property
    def kept_after(self) -> Seq:
        """Up to where history may have lost content."""
        return self._fallback.kept_after

    def find_superseding(self, file_id: FileId, rev: Rev) -> Seq:
        """Returns what replaced a revision."""
        return self._fallback.find_superseding(file_id, rev)
