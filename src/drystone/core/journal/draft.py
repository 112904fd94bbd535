# SPDX-License-Identifier: Apache-2.0
"""Drafts: a namespace as it will be once the changes accepted so far are in the journal.

A view with an overlay. Each change of a commit is decided over the draft, so it sees those
accepted before it; the records it leads to are collected on the way.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from drystone.core import limits
from drystone.core.ids import ROOT_ID, AccountId, DeviceId, FileId, Rev, Seq
from drystone.core.journal.record import Action, Record, StoredEntry
from drystone.core.journal.view import JournalView
from drystone.core.tree.entry import Entry, Kind


class Author(NamedTuple):
    """Who commits, from where, and when.

    Attributes:
        account_id: Stands in the records.
        device_id: Stands in the records.
        device_name: Stands in the names of conflicted copies.
        now_ns: The server's clock, UTC nanoseconds.
    """

    account_id: AccountId
    device_id: DeviceId
    device_name: str
    now_ns: int


class Standing(NamedTuple):
    """Where a living folder stands.

    Attributes:
        depth: Folders from the root to it, itself counted; 0 for the root.
        path_bytes: UTF-8 bytes of its path.
    """

    depth: int
    path_bytes: int


class Draft:
    """The tree of ``view`` with the changes accepted so far, and their records."""

    def __init__(self, view: JournalView, author: Author) -> None:
        self.records: list[Record] = []
        self._view = view
        self._author = author
        self._seq = view.head
        self._now: dict[FileId, StoredEntry] = {}
        self._places: dict[tuple[FileId, str], FileId | None] = {}
        self._new_folders: set[FileId] = set()
        # Folders of the overlay by the folder in which they are now.
        self._folders_in: dict[FileId, set[FileId]] = {}
        self._standings: dict[FileId, Standing] = {ROOT_ID: _ROOT_STANDING}
        self._changed: _ChangedBelow | None = None
        self._walked_count = 0

    def find(self, file_id: FileId) -> StoredEntry | None:
        """Returns the entry that has or had this id, as it will be."""
        return self._now.get(file_id) or self._view.find(file_id)

    def find_child(self, parent_id: FileId, name: str) -> FileId | None:
        """Returns who will stand at a place, or None."""
        place = (parent_id, name)
        if place in self._places:
            return self._places[place]
        return None if parent_id in self._new_folders else self._view.find_child(parent_id, name)

    def find_record(self, seq: Seq) -> Record | None:
        """Returns one record of the journal as it was before this commit."""
        return self._view.find_record(seq)

    def find_standing(self, folder_id: FileId) -> Standing | None:
        """Returns where a folder stands, or None if it is not a living folder.

        Cost: O(depth) the first time, O(1) while no folder moves.
        """
        known = self._standings.get(folder_id)
        if known is not None:
            return known
        path: list[Entry] = []
        above: Standing | None = None
        while above is None:
            stored = self.find(folder_id)
            if stored is None or stored.is_deleted or stored.entry.kind is not Kind.FOLDER:
                return None
            path.append(stored.entry)
            folder_id = stored.entry.parent_id
            above = self._standings.get(folder_id)
        for entry in reversed(path):
            path_bytes = above.path_bytes + 1 + len(entry.name.encode())
            above = self._standings[entry.file_id] = Standing(above.depth + 1, path_bytes)
        return above

    def is_living(self, stored: StoredEntry) -> bool:
        """Tells whether the entry is undeleted, and so are all folders above it."""
        return not stored.is_deleted and self.find_standing(stored.entry.parent_id) is not None

    def has_history(self, stored: StoredEntry, rev: Rev) -> bool:
        """Tells whether an entry can come back as it was in a revision: what was deleted or
        replaced too long ago may have lost its content.

        Cost: a look at the folders above; for another revision than the last a walk over the
        entry's records. Nothing where all history is kept.
        """
        kept_after = self._view.kept_after
        if not kept_after:
            return True
        gone: StoredEntry | None = stored
        while gone is not None:
            if gone.is_deleted and gone.seq <= kept_after:
                return False
            gone = self.find(gone.entry.parent_id)
        if rev in (0, stored.entry.rev):
            return True
        superseding = self._view.find_superseding(stored.entry.file_id, rev)
        return not 0 < superseding <= kept_after

    def is_below(self, file_id: FileId, folder_id: FileId) -> bool:
        """Tells whether an entry is the folder or somewhere below it."""
        while file_id not in (folder_id, ROOT_ID):
            stored = self.find(file_id)
            if stored is None:
                return False
            file_id = stored.entry.parent_id
        return file_id == folder_id

    def find_height(self, folder_id: FileId) -> int | None:
        """Returns by how many folders what is below a folder may stand deeper than it.

        That counts the folder itself. None if this commit has walked so much already that
        others would wait for it.

        Cost: O(folders below it), a query per level.
        """
        if self._walked_count > _WALKED_FOLDERS_MAX:
            return None
        height = 0
        level = {folder_id}
        while level and height <= limits.DEPTH_MAX:
            height += 1
            level = self._folders_below(level)
        return height

    def has_changed_below(self, folder_id: FileId, seen_seq: Seq) -> bool:
        """Tells whether anything living below a folder was changed after ``seen_seq`` by others.

        Others are all but this commit. ``seen_seq`` is the same in every call. If more has
        changed in the namespace than fits one page, the answer is yes: read first.
        """
        if seen_seq == self._view.head:
            return False
        if self._changed is None:
            self._changed = self._list_changed(seen_seq)
        return self._changed.has_below(folder_id)

    def _list_changed(self, seen_seq: Seq) -> "_ChangedBelow":
        # Whoever knows seqs that are not there has seen another journal than this one.
        if seen_seq > self._view.head:
            return _ChangedBelow(self, (), is_blind=True)
        page = limits.CHANGES_PAGE_ENTRIES_MAX
        changed = self._view.changed_after(seen_seq, page + 1)
        if len(changed) > page:
            return _ChangedBelow(self, (), is_blind=True)
        return _ChangedBelow(self, changed, is_blind=False)

    def put(self, action: Action, entry: Entry, before: StoredEntry | None) -> StoredEntry:
        """Adds a record, after which ``entry`` is so.

        Args:
            action: What is done.
            entry: The state after it, with its rev.
            before: What ``find`` returns for this id.
        """
        seq = self.next_seq
        self._seq = seq
        author = self._author
        self.records.append(
            Record(seq, action, entry, author.account_id, author.device_id, author.now_ns)
        )
        stored = StoredEntry(entry, seq, action)
        if before is not None and not before.is_deleted:
            self._places[before.entry.parent_id, before.entry.name] = None
        if action is not Action.DELETE:
            self._places[entry.parent_id, entry.name] = entry.file_id
        if self._changed is not None:
            self._changed.leave(before)
        self._now[entry.file_id] = stored
        if self._changed is not None:
            self._changed.arrive(stored)
        if entry.kind is Kind.FOLDER:
            self._note_folder(stored, before)
        return stored

    @property
    def next_seq(self) -> Seq:
        """The seq that the next record will have."""
        return Seq(self._seq + 1)

    def _note_folder(self, stored: StoredEntry, before: StoredEntry | None) -> None:
        entry = stored.entry
        if before is None:
            self._new_folders.add(entry.file_id)
        else:
            self._folders_in.get(before.entry.parent_id, set()).discard(entry.file_id)
            self._standings = {ROOT_ID: _ROOT_STANDING}
        if not stored.is_deleted:
            self._folders_in.setdefault(entry.parent_id, set()).add(entry.file_id)

    def _folders_below(self, parent_ids: set[FileId]) -> set[FileId]:
        """Returns the undeleted folders directly in these."""
        known = self._view.folders_in(parent_ids - self._new_folders)
        found = {file_id for file_id in known if file_id not in self._now}
        for parent_id in parent_ids:
            found |= self._folders_in.get(parent_id, set())
        self._walked_count += len(found)
        return found


class _ChangedBelow:
    """For each folder, how many undeleted entries below it others have changed.

    What is below a deleted folder counts for it and not for the folders above it, so that the
    count is right again at once when the folder is restored.
    """

    def __init__(self, draft: Draft, changed: Sequence[StoredEntry], *, is_blind: bool) -> None:
        self._draft = draft
        self._is_blind = is_blind
        self._changed_ids: Collection[FileId] = {stored.entry.file_id for stored in changed}
        self._counts: dict[FileId, int] = {}
        now = (draft.find(file_id) for file_id in self._changed_ids)
        living = (stored for stored in now if stored is not None and not stored.is_deleted)
        # One walk upwards for each folder, not for each entry in it.
        for folder_id, count in Counter(stored.entry.parent_id for stored in living).items():
            self._add_up(folder_id, count)

    def has_below(self, folder_id: FileId) -> bool:
        return self._is_blind or self._counts.get(folder_id, 0) > 0

    def leave(self, before: StoredEntry | None) -> None:
        """An entry is about to change: what it and all below it count for is taken away."""
        if before is not None and not before.is_deleted:
            self._add_up(before.entry.parent_id, -self._weigh(before))

    def arrive(self, stored: StoredEntry) -> None:
        """An entry has changed: it and all below it count where it is now."""
        if not stored.is_deleted:
            self._add_up(stored.entry.parent_id, self._weigh(stored))

    def _weigh(self, stored: StoredEntry) -> int:
        file_id = stored.entry.file_id
        return (file_id in self._changed_ids) + self._counts.get(file_id, 0)

    def _add_up(self, folder_id: FileId, count: int) -> None:
        while count and folder_id != ROOT_ID:
            self._counts[folder_id] = self._counts.get(folder_id, 0) + count
            folder = self._draft.find(folder_id)
            if folder is None or folder.is_deleted:
                return
            folder_id = folder.entry.parent_id


_ROOT_STANDING: Final = Standing(0, 0)

_WALKED_FOLDERS_MAX: Final = 100_000
"""Once a commit has walked over so many folders, it moves no more folders deeper: each such
walk holds up all other writers. The first one is never refused, however large it is."""
