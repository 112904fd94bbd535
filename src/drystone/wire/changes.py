# SPDX-License-Identifier: Apache-2.0
"""Commits, changes and outcomes, between the core's values and the wire's messages.

As in ``wire.entries``, functions named ``..._from_wire`` treat what they get as hostile.
"""

from typing import Final

from drystone.core.content.content import Content
from drystone.core.ids import ID_BYTES, ROOT_ID, FileId, Rev, Seq
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
from drystone.core.limits import COMMIT_CHANGES_MAX, MISSING_BLOCKS_MAX
from drystone.core.tree.entry import Entry, Kind
from drystone.wire.block_lists import join_ids, split_ids
from drystone.wire.codec import MalformedMessage, MessageTooLarge
from drystone.wire.entries import (
    INT64_MAX,
    check_attributes,
    check_target,
    check_text,
    content_from_wire,
    entry_from_wire,
    entry_to_wire,
    malformed,
)
from drystone.wire.messages import (
    CommitRequest,
    CreateChange,
    DeleteChange,
    EditChange,
    MoveChange,
    RestoreChange,
    WireChange,
    WireOutcome,
)

_ON_CONFLICT: Final = {choice.value: choice for choice in OnConflict}


def commit_to_wire(commit: Commit, cursor: str = "") -> CommitRequest:
    """Returns a commit as it is sent, with how far its committer has read."""
    changes = [change_to_wire(change) for change in commit.changes]
    return CommitRequest(changes, commit.seen_seq, commit.all_or_nothing, cursor)


def commit_from_wire(request: CommitRequest) -> Commit:
    """Returns the commit that a message asks for.

    Raises:
        MalformedMessage: It has no change, or one that cannot be.
        MessageTooLarge: It has more than ``COMMIT_CHANGES_MAX`` changes.
    """
    count = len(request.changes)
    if count > COMMIT_CHANGES_MAX:
        raise MessageTooLarge(f"a commit of {count} changes; send at most {COMMIT_CHANGES_MAX}")
    if not count or not 0 <= request.seen_seq <= INT64_MAX:
        raise MalformedMessage("a commit has no changes, or was made at an impossible seq")
    changes = tuple(change_from_wire(change) for change in request.changes)
    return Commit(changes, Seq(request.seen_seq), request.all_or_nothing)


def change_to_wire(change: Change) -> WireChange:
    """Returns a change as it is sent."""
    match change:
        case Create(entry, on_conflict):
            return CreateChange(entry_to_wire(entry._replace(rev=Rev(0))), int(on_conflict))
        case Edit():
            return _edit_to_wire(change)
        case Move(file_id, parent_id, name, base_parent_id, base_name):
            return MoveChange(file_id, parent_id, name, base_parent_id, base_name)
        case Delete(file_id, base_rev):
            return DeleteChange(file_id, base_rev)
        case Restore(file_id, rev, parent_id, name):
            return RestoreChange(file_id, rev, parent_id or b"", name)


def change_from_wire(wire: WireChange) -> Change:
    """Returns the change that a message asks for. Raises ``MalformedMessage``."""
    match wire:
        case CreateChange():
            entry = entry_from_wire(wire.entry)
            return Create(entry, _on_conflict(entry.file_id, wire.on_conflict))
        case EditChange():
            return _edit_from_wire(wire)
        case MoveChange():
            check_text(wire.id, wire.name)
            check_text(wire.id, wire.base_name)
            return Move(
                _file_id(wire.id), _file_id(wire.parent), wire.name,
                _file_id(wire.base_parent), wire.base_name,
            )  # fmt: skip
        case DeleteChange():
            return Delete(_file_id(wire.id), _rev(wire.id, wire.base_rev))
        case RestoreChange():
            check_text(wire.id, wire.name)
            parent_id = _file_id(wire.parent) if wire.parent else None
            return Restore(_file_id(wire.id), _rev(wire.id, wire.rev), parent_id, wire.name)


def outcome_to_wire(outcome: Outcome, change: Change) -> WireOutcome:
    """Returns the outcome of ``change`` as it is sent.

    Name and id are told only where the change did not ask for them.
    """
    if isinstance(outcome, Refusal):
        missing = join_ids(outcome.missing[:MISSING_BLOCKS_MAX])
        return WireOutcome(
            code=outcome.code, message=outcome.message,
            occupant=outcome.occupant or b"", missing=missing,
        )  # fmt: skip
    entry = outcome.entry
    if isinstance(change, Create):
        is_copy = entry.name != change.entry.name or entry.file_id != change.entry.file_id
    else:
        is_copy = entry.file_id != change.file_id
    if is_copy:
        return WireOutcome(outcome.seq, outcome.rev, entry.name, entry.file_id)
    return WireOutcome(outcome.seq, outcome.rev)


def outcome_from_wire(wire: WireOutcome, change: Change) -> Outcome:
    """Returns what became of ``change``.

    The entry of an ``Accepted`` has the new rev and whatever the change itself says. What
    only the tree knows is left open: ``ROOT_ID`` as parent, ``""`` as name. For an edit a
    name there means that it was kept as a conflicted copy, under that name and file id.

    Raises:
        MalformedMessage: No outcome can be like this.
    """
    entry = _entry_of(change)
    file_id = entry.file_id
    if wire.code:
        occupant = _file_id(wire.occupant) if wire.occupant else None
        missing = tuple(split_ids(wire.missing, MISSING_BLOCKS_MAX))
        return Refusal(wire.code, wire.message, occupant, missing)
    if not 0 < wire.seq <= INT64_MAX:
        raise malformed(file_id, f"a change was accepted at the impossible seq {wire.seq}")
    rev = _rev(file_id, wire.rev)
    if wire.name:
        check_text(file_id, wire.name)
        entry = entry._replace(file_id=_file_id(wire.id), name=wire.name)
    return Accepted(Seq(wire.seq), rev, entry._replace(rev=rev))


def _edit_to_wire(edit: Edit) -> EditChange:
    content = edit.content
    if content is None:
        kind = Kind.SYMLINK if edit.target else Kind.FOLDER
        return EditChange(
            edit.file_id, edit.base_rev, kind=int(kind), mode=edit.mode, mtime=edit.mtime_ns,
            target=edit.target, on_conflict=int(edit.on_conflict),
        )  # fmt: skip
    return EditChange(
        edit.file_id, edit.base_rev, content.size_bytes, content.root, content.chunked,
        content.content_hash if content.chunked else b"", int(Kind.FILE), edit.mode,
        edit.mtime_ns, "", int(edit.on_conflict),
    )  # fmt: skip


def _edit_from_wire(wire: EditChange) -> Edit:
    file_id = _file_id(wire.id)
    check_attributes(file_id, wire.mode, wire.mtime)
    content: Content | None = None
    target = ""
    mtime_ns = wire.mtime
    if wire.kind == Kind.FILE:
        content = content_from_wire(wire)
    elif wire.kind == Kind.SYMLINK:
        target = check_target(file_id, wire.target)
    elif wire.kind == Kind.FOLDER:
        mtime_ns = 0
    else:
        raise malformed(file_id, f"there is no kind {wire.kind}")
    return Edit(
        file_id, _rev(file_id, wire.base_rev), content, wire.mode, mtime_ns, target,
        _on_conflict(file_id, wire.on_conflict),
    )  # fmt: skip


def _entry_of(change: Change) -> Entry:
    """Returns what a change says about its entry; see ``outcome_from_wire``."""
    rev = Rev(0)
    match change:
        case Create(entry):
            return entry
        case Edit(file_id, _, content, mode, mtime_ns, target):
            kind = Kind.SYMLINK if target else Kind.FOLDER
            kind = kind if content is None else Kind.FILE
            return Entry(file_id, ROOT_ID, "", kind, content, mode, mtime_ns, target, rev)
        case Move(file_id, parent_id, name):
            return Entry(file_id, parent_id, name, Kind.FOLDER, None, 0, 0, "", rev)
        case Delete(file_id):
            return Entry(file_id, ROOT_ID, "", Kind.FOLDER, None, 0, 0, "", rev)
        case Restore(file_id, _, parent_id, name):
            parent_id = ROOT_ID if parent_id is None else parent_id
            return Entry(file_id, parent_id, name, Kind.FOLDER, None, 0, 0, "", rev)


def _file_id(raw: bytes) -> FileId:
    if len(raw) != ID_BYTES:
        raise malformed(raw, "an id does not have 16 bytes")
    return FileId(raw)


def _rev(file_id: bytes, number: int) -> Rev:
    if not 0 <= number <= INT64_MAX:
        raise malformed(file_id, f"rev {number} cannot be")
    return Rev(number)


def _on_conflict(file_id: bytes, number: int) -> OnConflict:
    choice = _ON_CONFLICT.get(number)
    if choice is None:
        raise malformed(file_id, f"there is no way {number} to settle a conflict")
    return choice
