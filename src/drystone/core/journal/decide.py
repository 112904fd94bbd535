# SPDX-License-Identifier: Apache-2.0
"""Decide: what becomes of a commit. A pure function of the tree, the commit and the time.

Each change is accepted or refused by itself, in order, and sees those accepted before it:

    a repeat of what is already so     -> accepted with the earlier seq, no record
    its entry, base or place is not
    what it expects                    -> refused; or kept as a conflicted copy, as it asks
    anything malformed                 -> refused
    otherwise                          -> accepted, one record with the next seq

Content is never dropped to settle a conflict: a refused change did nothing, and who sent it
still has its content. Source: docs/protocol/commits.md.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple, assert_never

from drystone.core import limits
from drystone.core.content.content import Content
from drystone.core.ids import ID_BYTES, BlockId, FileId, Rev, Seq
from drystone.core.instant import format_instant
from drystone.core.journal import refusals
from drystone.core.journal.change import (
    Accepted,
    Change,
    Commit,
    Create,
    Delete,
    Edit,
    Move,
    OnConflict,
    Outcome,
    Refusal,
    Restore,
)
from drystone.core.journal.draft import Author, Draft
from drystone.core.journal.record import Action, Record, StoredEntry
from drystone.core.journal.shape import find_id_fault, find_state_fault
from drystone.core.journal.view import JournalView
from drystone.core.names.conflicted import conflicted_name
from drystone.core.names.detour import find_detour_bytes
from drystone.core.names.path import find_name_fault
from drystone.core.tree.entry import Entry, Kind


class Contents(NamedTuple):
    """What the caller found out about the contents that a commit names.

    Attributes:
        missing: Contents whose blocks the namespace does not all hold, and which it lacks
            (the manifest's own block too, if it is that).
        faulty: Contents that their blocks contradict (another size, another hash), and how.
        lost_folders: Folders to be restored in which no file can be read any more.
    """

    missing: Mapping[Content, tuple[BlockId, ...]] = MappingProxyType({})
    faulty: Mapping[Content, str] = MappingProxyType({})
    lost_folders: Collection[FileId] = frozenset()

    def is_lost(self, entry: Entry) -> bool:
        """Tells whether an entry that is to come back could be read by nobody."""
        content = entry.content
        is_lost_file = content in self.missing or content in self.faulty
        return is_lost_file or entry.file_id in self.lost_folders


class Decision(NamedTuple):
    """What becomes of a commit.

    Attributes:
        outcomes: One per change, in order.
        records: To be appended to the journal; their seqs follow the view's head. Empty if
            nothing changes.
    """

    outcomes: tuple[Outcome, ...]
    records: tuple[Record, ...]


ALL_AVAILABLE: Final = Contents()


def decide(
    view: JournalView, commit: Commit, author: Author, contents: Contents = ALL_AVAILABLE
) -> Decision:
    """Returns an outcome for each change, and the records of those accepted.

    Args:
        view: The namespace now.
        commit: What is asked; nothing in it is trusted but the number of its changes.
        author: Who asks, and when.
        contents: What is known about its contents.

    Cost: a few microseconds per change and what the view's lookups cost; a folder that moves
    deeper or is restored costs O(folders below it), a deleted one O(changes not seen).
    """
    assert len(commit.changes) <= limits.COMMIT_CHANGES_MAX
    draft = Draft(view, author)
    decider = _Decider(draft, commit, author, contents)
    outcomes = tuple(decider.decide_change(change) for change in commit.changes)
    if commit.all_or_nothing and any(isinstance(outcome, Refusal) for outcome in outcomes):
        return Decision(tuple(map(_abort, outcomes)), ())
    return Decision(outcomes, tuple(draft.records))


def _abort(outcome: Outcome) -> Outcome:
    return outcome if isinstance(outcome, Refusal) else refusals.aborted()


class _Decider:
    """The rules, one method per kind of change. Guards first, one condition per line."""

    def __init__(self, draft: Draft, commit: Commit, author: Author, contents: Contents) -> None:
        self._draft = draft
        self._seen_seq = commit.seen_seq
        self._author = author
        self._contents = contents

    def decide_change(self, change: Change) -> Outcome:
        """Returns the outcome; the draft has the change if it was accepted."""
        match change:
            case Create():
                return self._create(change)
            case Edit():
                return self._edit(change)
            case Move():
                return self._move(change)
            case Delete():
                return self._delete(change)
            case Restore():
                return self._restore(change)
            case _:
                assert_never(change)

    def _create(self, change: Create) -> Outcome:
        entry = change.entry
        if fault := find_id_fault(entry.file_id) or find_state_fault(entry):
            return refusals.invalid_change(entry.name, fault)
        if fault := find_name_fault(entry.name):
            return refusals.invalid_name(entry.name, fault)
        existing = self._draft.find(entry.file_id)
        if existing is not None:
            return self._create_again(change, existing)
        if refusal := self._check_content(entry) or self._check_place(entry, entry.parent_id):
            return refusal
        occupant = self._draft.find_child(entry.parent_id, entry.name)
        if occupant is not None:
            if change.on_conflict is OnConflict.REFUSE or self._holds_same(occupant, entry):
                return refusals.name_taken(entry.name, occupant)
            return self._create_copy(entry)
        return self._accept(Action.CREATE, entry._replace(rev=Rev(self._draft.next_seq)), None)

    def _create_again(self, change: Create, existing: StoredEntry) -> Outcome:
        """A file id comes for the second time: the answer to the first one was lost, perhaps."""
        entry, known = change.entry, existing.entry
        is_same = not existing.is_deleted and entry.is_same_state(known)
        if is_same and entry.is_at_same_place(known):
            return _accepted(existing)
        # The first time it was kept under the name of a conflicted copy.
        is_copy = change.on_conflict is OnConflict.COPY and existing.action is Action.CREATE
        if is_same and is_copy and entry.parent_id == known.parent_id:
            return _accepted(existing)
        return refusals.id_in_use(entry)

    def _edit(self, change: Edit) -> Outcome:
        existing = self._draft.find(change.file_id)
        if existing is None or not self._draft.is_living(existing):
            return refusals.not_found(change.file_id)
        known = existing.entry
        entry = known._replace(
            content=change.content,
            mode=change.mode,
            mtime_ns=change.mtime_ns,
            target=change.target,
        )
        if fault := find_state_fault(entry):
            return refusals.invalid_change(entry.name, fault)
        if entry.is_same_state(known):
            return _accepted(existing)
        if refusal := self._check_content(entry):
            return refusal
        if change.base_rev == known.rev:
            is_folder = known.kind is Kind.FOLDER
            rev = known.rev if is_folder else Rev(self._draft.next_seq)
            return self._accept(Action.EDIT, entry._replace(rev=rev), existing)
        # Another mode or mtime of the same content is no conflict that deserves a copy.
        if change.on_conflict is OnConflict.REFUSE or entry.is_same_content(known):
            return refusals.stale_rev(known, change.base_rev)
        return self._edit_copy(change, entry)

    def _edit_copy(self, change: Edit, entry: Entry) -> Outcome:
        """Keeps an edit of an old revision as a new file beside the present one.

        The copy's id follows from what was edited into what, so that repeating the edit (or
        making the very same one elsewhere) finds the copy that is already there.
        """
        for number in range(_COPY_IDS_MAX):
            copy_id = _derive_copy_id(change, number)
            existing = self._draft.find(copy_id)
            if existing is None:
                return self._create_copy(entry._replace(file_id=copy_id))
            if self._draft.is_living(existing) and existing.entry.is_same_state(entry):
                return _accepted(existing)
        return refusals.stale_base(entry, "so many copies of this very edit were made and changed")

    def _create_copy(self, entry: Entry) -> Outcome:
        taken = _Taken(self._draft, entry.parent_id)
        date_text = format_instant(self._author.now_ns)[: len("2000-01-01")]
        name = conflicted_name(entry.name, self._author.device_name, date_text, taken)
        entry = entry._replace(name=name, rev=Rev(self._draft.next_seq))
        if refusal := self._check_place(entry, entry.parent_id):
            return refusal
        return self._accept(Action.CREATE, entry, None)

    def _move(self, change: Move) -> Outcome:
        if fault := find_id_fault(change.file_id):
            return refusals.invalid_change(change.name, fault)
        if fault := find_name_fault(change.name):
            return refusals.invalid_name(change.name, fault)
        existing = self._draft.find(change.file_id)
        if existing is None or not self._draft.is_living(existing):
            return refusals.not_found(change.file_id)
        known = existing.entry
        entry = known._replace(parent_id=change.parent_id, name=change.name)
        if entry.is_at_same_place(known):
            return _accepted(existing)
        if (known.parent_id, known.name) != (change.base_parent_id, change.base_name):
            return refusals.stale_base(known, "it stands at another place than the change expects")
        if known.kind is Kind.FOLDER and self._draft.is_below(change.parent_id, known.file_id):
            return refusals.cycle(known)
        if refusal := self._check_place(entry, known.parent_id):
            return refusal
        occupant = self._draft.find_child(entry.parent_id, entry.name)
        if occupant is not None:
            return refusals.name_taken(entry.name, occupant)
        return self._accept(Action.MOVE, entry, existing)

    def _delete(self, change: Delete) -> Outcome:
        if fault := find_id_fault(change.file_id):
            return refusals.invalid_change("", fault)
        existing = self._draft.find(change.file_id)
        if existing is None:
            return refusals.not_found(change.file_id)
        if not self._draft.is_living(existing):
            return _accepted(existing)
        known = existing.entry
        if known.rev != change.base_rev:
            return refusals.stale_rev(known, change.base_rev)
        is_folder = known.kind is Kind.FOLDER
        if is_folder and self._draft.has_changed_below(known.file_id, self._seen_seq):
            return refusals.folder_changed(known)
        return self._accept(Action.DELETE, known, existing)

    def _restore(self, change: Restore) -> Outcome:
        existing = self._draft.find(change.file_id)
        if existing is None:
            return refusals.not_found(change.file_id)
        entry = existing.entry
        if change.parent_id is not None:
            entry = entry._replace(parent_id=change.parent_id)
        if change.name:
            entry = entry._replace(name=change.name)
        if change.rev:
            earlier = self._find_revision(existing.entry, change.rev)
            if earlier is None:
                return refusals.no_revision(entry, change.rev)
            entry = _with_state_of(entry, earlier)
        if not self._draft.has_history(existing, change.rev):
            return refusals.content_collected(existing.entry)
        if self._draft.is_living(existing):
            return self._revert(entry, existing)
        return self._revive(entry, existing)

    def _revert(self, entry: Entry, existing: StoredEntry) -> Outcome:
        """Gives a living entry an earlier content; or nothing is to be done."""
        if not entry.is_at_same_place(existing.entry):
            return refusals.stale_base(existing.entry, "it is not deleted: move it")
        if entry.is_same_state(existing.entry):
            return _accepted(existing)
        if self._contents.is_lost(entry):
            return refusals.content_lost(entry)
        entry = entry._replace(rev=Rev(self._draft.next_seq))
        return self._accept(Action.EDIT, entry, existing)

    def _revive(self, entry: Entry, existing: StoredEntry) -> Outcome:
        """Brings back a deleted entry, or takes one out of a deleted folder."""
        if fault := find_name_fault(entry.name):
            return refusals.invalid_name(entry.name, fault)
        if self._contents.is_lost(entry):
            return refusals.content_lost(entry)
        if refusal := self._check_place(entry, None):
            return refusal
        occupant = self._draft.find_child(entry.parent_id, entry.name)
        if occupant is not None:
            return refusals.name_taken(entry.name, occupant)
        if not entry.is_same_state(existing.entry):
            entry = entry._replace(rev=Rev(self._draft.next_seq))
        return self._accept(Action.RESTORE, entry, existing)

    def _find_revision(self, known: Entry, rev: Rev) -> Entry | None:
        if rev == known.rev:
            return known
        if known.kind is Kind.FOLDER or not 0 < rev < self._draft.next_seq:
            return None
        record = self._draft.find_record(Seq(rev))
        if record is None or record.entry.file_id != known.file_id or record.entry.rev != rev:
            return None
        return record.entry

    def _holds_same(self, occupant: FileId, entry: Entry) -> bool:
        """Tells whether who stands there has the same content: then there is no conflict."""
        stored = self._draft.find(occupant)
        return stored is not None and entry.is_same_content(stored.entry)

    def _check_content(self, entry: Entry) -> Refusal | None:
        """Refuses a content whose blocks are not there, or do not make it."""
        content = entry.content
        if content is None or (not self._contents.missing and not self._contents.faulty):
            return None
        if fault := self._contents.faulty.get(content):
            return refusals.invalid_change(entry.name, fault)
        missing = self._contents.missing.get(content)
        return None if missing is None else refusals.blocks_missing(entry.name, missing)

    def _check_place(self, entry: Entry, parent_id_before: FileId | None) -> Refusal | None:
        """Refuses a place that is not in a living folder, or too far down.

        Args:
            entry: As it shall stand.
            parent_id_before: The living folder in which it stands now; None if in none. A new
                entry has nothing below it and may name the folder in which it shall stand.
        """
        folder = self._draft.find_standing(entry.parent_id)
        if folder is None:
            return self._refuse_parent(entry)
        # What is below a folder that moves is not measured: bytes of paths bound no walk, and
        # a device that cannot hold a path says so itself.
        path_bytes_max = limits.PATH_BYTES_MAX + find_detour_bytes(entry.name)
        if folder.path_bytes + 1 + len(entry.name.encode()) > path_bytes_max:
            return refusals.path_too_long(entry.name)
        depth = folder.depth
        if entry.kind is Kind.FOLDER and entry.parent_id != parent_id_before:
            before = self._draft.find_standing(parent_id_before) if parent_id_before else None
            if before is None or before.depth < depth:
                height = self._draft.find_height(entry.file_id)
                if height is None:
                    return refusals.moves_too_much(entry.name)
                depth += height
        return refusals.too_deep(entry.name) if depth > limits.DEPTH_MAX else None

    def _refuse_parent(self, entry: Entry) -> Refusal:
        parent = self._draft.find(entry.parent_id)
        if parent is not None and parent.entry.kind is not Kind.FOLDER:
            return refusals.not_a_folder(parent.entry, entry.name)
        return refusals.parent_gone(entry.name)

    def _accept(self, action: Action, entry: Entry, before: StoredEntry | None) -> Outcome:
        return _accepted(self._draft.put(action, entry, before))


class _Taken:
    """The names in use in a folder, as a container that is asked one name at a time."""

    def __init__(self, draft: Draft, parent_id: FileId) -> None:
        self._draft = draft
        self._parent_id = parent_id

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._draft.find_child(self._parent_id, name) is not None


def _derive_copy_id(change: Edit, number: int) -> FileId:
    content_hash = change.content.content_hash if change.content is not None else b""
    parts = (
        _COPY_ID_TAG,
        change.file_id,
        f" {change.base_rev} {number} ".encode(),
        content_hash,
        change.target.encode(),
    )
    return FileId(sha256(b"".join(parts)).digest()[:ID_BYTES])


def _with_state_of(entry: Entry, earlier: Entry) -> Entry:
    return entry._replace(
        content=earlier.content,
        mode=earlier.mode,
        mtime_ns=earlier.mtime_ns,
        target=earlier.target,
    )


def _accepted(stored: StoredEntry) -> Accepted:
    return Accepted(stored.seq, stored.entry.rev, stored.entry)


_COPY_ID_TAG: Final = b"drystone conflicted copy\n"
_COPY_IDS_MAX: Final = 100
"""Copies of one and the same edit that were each changed or deleted since; then it is refused."""
