# SPDX-License-Identifier: Apache-2.0
"""Plans: the steps that bring disk and server together, as values."""

from enum import Enum
from typing import NamedTuple

from drystone.core.ids import FileId
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.tree.entry import Entry


class Submit(NamedTuple):
    """Tell the server: commit ``change`` (after its blocks have been sent).

    ``entry`` is the state that synced gets when the change is accepted (its rev is then
    the accepted one); None for a deletion. Content, mode and mtime of ``entry`` are those
    that the disk has now, so the disk's present fingerprint belongs to it.
    """

    change: Create | Edit | Move | Delete
    entry: Entry | None


class Place(NamedTuple):
    """Put a remote entry on the disk where nothing of it is: folder, file or symlink."""

    entry: Entry


class Replace(NamedTuple):
    """Give an entry on the disk other content, mode, mtime or target, at its place.

    ``before`` is what the disk has, ``entry`` what it gets. If only mode or mtime differ, no
    byte need be fetched. If ``before`` has another file id, this also adopts the remote id,
    as ``MarkSynced.local_id`` does.

    ``agreed`` is given where the disk keeps a change that the server does not have yet:
    it is what synced gets, and ``entry`` stays a local change.
    """

    before: Entry
    entry: Entry
    agreed: Entry | None = None


class Shift(NamedTuple):
    """Move an entry on the disk to another folder or name; folders with all below.

    ``before``, ``entry`` and ``agreed`` as for ``Replace``; only the place differs.
    """

    before: Entry
    entry: Entry
    agreed: Entry | None = None


class Discard(NamedTuple):
    """Move an entry on the disk (a folder with all below it) to the local trash."""

    before: Entry


class SetAside(NamedTuple):
    """Rename an entry on the disk, in its folder: a conflict's loser to a conflicted-copy name,
    or what is in the way of others to a temporary name.

    ``before`` is what stood there, ``entry`` what it is now. If the contents are in conflict
    it has a new file id and is a new local entry, to be created on the server like any
    other; if only the name was taken it keeps its file id, and the new name is a local
    change like any other (a temporary one is nobody's wish, see ``Sight.has_moved``).
    """

    before: Entry
    entry: Entry


class RenewLocal(NamedTuple):
    """What is deleted on the server but changed here lives on as a new local entry.

    Nothing moves on the disk: ``entry`` is ``before`` under a new file id, and what is in a
    folder is now in the new id's folder. The next plan creates it on the server.
    """

    before: Entry
    entry: Entry


class RenewRemote(NamedTuple):
    """What is deleted here but changed on the server comes back as a new remote entry.

    Nothing moves on the disk: synced drops this one row, not what is below it, so that the
    next plan places ``entry`` on the disk.
    """

    entry: Entry


class MarkSynced(NamedTuple):
    """Both sides already agree: synced becomes ``entry``; nothing moves.

    ``local_id`` is the id under which the disk's side was known, if it was another one
    (both sides made the same thing by themselves).
    """

    entry: Entry
    local_id: FileId | None = None


class ForgetSynced(NamedTuple):
    """Both sides no longer have it: synced drops it (a folder with all below it)."""

    file_id: FileId


Step = (
    Submit
    | Place
    | Replace
    | Shift
    | Discard
    | SetAside
    | RenewLocal
    | RenewRemote
    | MarkSynced
    | ForgetSynced
)


def find_subject(step: Step) -> FileId:
    """Returns the id of the entry that a step is about."""
    match step:
        case ForgetSynced(file_id):
            return file_id
        case Submit(change, entry):
            if entry is not None:
                return entry.file_id
            assert isinstance(change, Delete)
            return change.file_id
        case Discard(before):
            return before.file_id
        case _:
            return step.entry.file_id


class ConflictKind(Enum):
    """Which changes met. docs/guides/conflicts.md tells what each gives."""

    EDIT_EDIT = "edit-edit"
    EDIT_DELETE = "edit-delete"
    CREATE_CREATE = "create-create"
    MOVE_MOVE = "move-move"
    NAME = "name"
    FOLDER_DELETED = "folder-deleted"


class Conflict(NamedTuple):
    """Both sides changed an entry, and how it was settled without losing content."""

    kind: ConflictKind
    file_id: FileId
    name: str
    kept_as: str
    """Name of the conflicted copy; empty if both changes could be kept as they are."""


class Plan(NamedTuple):
    """Steps in an order in which they can be carried out, and the conflicts settled.

    A step may run once all steps that ``after`` names for it have been done; if one of them
    could not be done, neither can it, and both are planned again. Whoever obeys ``after``
    may run steps side by side, but ``Shift``, ``SetAside`` and ``Discard`` change the paths
    of all below them: while one of these runs, nothing else may run on the disk.

    Attributes:
        steps: In order: parents before children, deletions last, cycles unknotted.
        conflicts: One for each conflict settled by these steps.
        waiting: Ids that could not be planned because something about them is not known
            yet (a parent not yet listed, content not yet read) or because a step of this
            plan has to be done first; they are planned again.
        after: For each step the indexes of earlier steps it has to wait for. Many share
            one tuple.
    """

    steps: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    waiting: tuple[FileId, ...]
    after: tuple[tuple[int, ...], ...] = ()
