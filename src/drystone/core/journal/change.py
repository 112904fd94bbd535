# SPDX-License-Identifier: Apache-2.0
"""Changes: what a commit asks to be done to entries, and the outcome of each."""

from enum import IntEnum
from typing import Final, NamedTuple

from drystone.core.content.content import Content
from drystone.core.ids import BlockId, FileId, Rev, Seq
from drystone.core.tree.entry import Entry


class OnConflict(IntEnum):
    """What to do with a change whose place or base is no longer what it expects."""

    REFUSE = 0
    COPY = 1
    """Keep the content beside the winner, under a conflicted-copy name."""


class Create(NamedTuple):
    """A new entry. ``entry.rev`` is ignored. Repeating it with the same file id and the
    same state is accepted again and changes nothing.
    """

    entry: Entry
    on_conflict: OnConflict = OnConflict.REFUSE


class Edit(NamedTuple):
    """New content, mode, mtime or target for the file or symlink ``file_id``.

    Accepted only if the current rev is ``base_rev``. For a folder only the mode can be
    edited, and ``base_rev`` is its rev.
    """

    file_id: FileId
    base_rev: Rev
    content: Content | None
    mode: int
    mtime_ns: int
    target: str = ""
    on_conflict: OnConflict = OnConflict.REFUSE


class Move(NamedTuple):
    """Another parent or name. Accepted only if it stands at the base place now."""

    file_id: FileId
    parent_id: FileId
    name: str
    base_parent_id: FileId
    base_name: str


class Delete(NamedTuple):
    """The end of an entry and, for a folder, of all below it: one record.

    Accepted only if the current rev is ``base_rev`` and, for a folder, if nothing below it
    has changed after the commit's ``seen_seq`` (other than by this commit).
    """

    file_id: FileId
    base_rev: Rev


class Restore(NamedTuple):
    """Undoes a deletion (``rev`` 0), or brings back an earlier content (``rev`` > 0).

    A deleted entry returns to its last place; to ``parent_id`` and ``name`` if those are
    given. All that was deleted with a folder returns with it. With ``rev`` the entry gets
    the content of that revision, as a new revision.
    """

    file_id: FileId
    rev: Rev = Rev(0)
    parent_id: FileId | None = None
    name: str = ""


Change = Create | Edit | Move | Delete | Restore


class Commit(NamedTuple):
    """A request to change one namespace.

    Attributes:
        changes: 1 to ``limits.COMMIT_CHANGES_MAX``, applied in order, each seeing those
            accepted before it.
        seen_seq: The seq up to which the committer knows the tree.
        all_or_nothing: If any change is refused, none is accepted.
    """

    changes: tuple[Change, ...]
    seen_seq: Seq
    all_or_nothing: bool = False


class Accepted(NamedTuple):
    """The change is in the journal.

    Attributes:
        seq: Of its record; that of the earlier record if it was recognised as a repeat.
        rev: The entry's rev now.
        entry: The entry as it now is (its name differs from the asked one if it was kept
            as a conflicted copy). Over a wire only what the change itself says is in it.
    """

    seq: Seq
    rev: Rev
    entry: Entry


class RefusalCode:
    """Why a change was refused. Stable texts; documented in docs/reference/errors.md."""

    STALE_BASE: Final = "stale-base"
    NAME_TAKEN: Final = "name-taken"
    NOT_FOUND: Final = "not-found"
    PARENT_GONE: Final = "parent-gone"
    NOT_A_FOLDER: Final = "not-a-folder"
    CYCLE: Final = "cycle"
    TOO_DEEP: Final = "too-deep"
    INVALID_NAME: Final = "invalid-name"
    INVALID_CHANGE: Final = "invalid-change"
    ID_IN_USE: Final = "id-in-use"
    BLOCKS_MISSING: Final = "blocks-missing"
    CONTENT_COLLECTED: Final = "content-collected"
    """What is to be restored went away longer ago than history is kept, or was lost."""
    FOLDER_CHANGED: Final = "folder-changed"
    HISTORY_REWOUND: Final = "history-rewound"
    """The journal was put back to an earlier state since the committer has read it."""
    ABORTED: Final = "aborted"
    """Another change of an all-or-nothing commit was refused."""


class Refusal(NamedTuple):
    """The change did nothing.

    Attributes:
        code: One of ``RefusalCode``.
        message: What happened, to what, what to do now.
        occupant: For ``name-taken``: who stands there.
        missing: For ``blocks-missing``: blocks to send first, at most 1,000 of them.
    """

    code: str
    message: str
    occupant: FileId | None = None
    missing: tuple[BlockId, ...] = ()


Outcome = Accepted | Refusal

__all__ = [
    "Accepted",
    "Change",
    "Commit",
    "Create",
    "Delete",
    "Edit",
    "Move",
    "OnConflict",
    "Outcome",
    "Refusal",
    "RefusalCode",
    "Restore",
]
