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
    the accepted one); None for a deletion.
    """

    change: Create | Edit | Move | Delete
    entry: Entry | None


class Place(NamedTuple):
    """Put a remote entry on the disk where nothing of it is: folder, file or symlink."""

    entry: Entry


class Replace(NamedTuple):
    """Give an entry on the disk other content, mode or mtime, at its place."""

    before: Entry
    entry: Entry


class Shift(NamedTuple):
    """Move an entry on the disk to another folder or name; folders with all below."""

    before: Entry
    entry: Entry


class Discard(NamedTuple):
    """Move an entry on the disk (a folder with all below it) to the local trash."""

    before: Entry


class SetAside(NamedTuple):
    """A conflict's loser: rename it on the disk to a conflicted-copy name.

    It becomes a new local entry with a new file id, to be created on the server like any
    other; ``before`` is what stood there, ``entry`` what it is now.
    """

    before: Entry
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


Step = Submit | Place | Replace | Shift | Discard | SetAside | MarkSynced | ForgetSynced


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

    Steps whose entries do not touch each other may run side by side; a step runs after
    every earlier step that names its entry, its parent folder or its target name.

    Attributes:
        steps: In order: parents before children, deletions last, cycles unknotted.
        conflicts: One for each conflict settled by these steps.
        waiting: Ids that could not be planned because something about them is not known
            yet (a parent not yet listed, content not yet read); they are planned again.
    """

    steps: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    waiting: tuple[FileId, ...]
