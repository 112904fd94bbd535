# SPDX-License-Identifier: Apache-2.0
"""Refusals: the outcomes of changes that did nothing, each with its text."""

from drystone.core import limits
from drystone.core.ids import BlockId, FileId, Rev
from drystone.core.journal.change import Refusal, RefusalCode
from drystone.core.names.path import show_name
from drystone.core.tree.entry import Entry


def invalid_change(name: str, fault: str) -> Refusal:
    """The change cannot be meant so."""
    return Refusal(RefusalCode.INVALID_CHANGE, f"{show_name(name)}: {fault}")


def invalid_name(name: str, fault: str) -> Refusal:
    """No entry can have this name."""
    message = f"{show_name(name)} cannot be a name: {fault}; rename it"
    return Refusal(RefusalCode.INVALID_NAME, message)


def name_taken(name: str, occupant: FileId) -> Refusal:
    """Another entry stands at the place."""
    message = f"there is another {show_name(name)} in the folder: read the changes first"
    return Refusal(RefusalCode.NAME_TAKEN, message, occupant=occupant)


def id_in_use(entry: Entry) -> Refusal:
    """The file id of a new entry is not new."""
    message = (
        f"the id {entry.file_id.hex()} of {show_name(entry.name)} belongs to another entry,"
        " or to one that was deleted: create it with a new id, or restore that one"
    )
    return Refusal(RefusalCode.ID_IN_USE, message)


def not_found(file_id: FileId) -> Refusal:
    """No such entry lives."""
    message = f"there is no entry {file_id.hex()} any more: read the changes first"
    return Refusal(RefusalCode.NOT_FOUND, message)


def no_revision(known: Entry, rev: Rev) -> Refusal:
    """The entry never had this rev."""
    message = f"{show_name(known.name)} has no revision {rev:x}: list those it has"
    return Refusal(RefusalCode.NOT_FOUND, message)


def content_collected(known: Entry) -> Refusal:
    """The entry, or this revision of it, went away longer ago than history is kept."""
    message = (
        f"{show_name(known.name)} as it was then is no longer kept: it was deleted or replaced"
        " longer ago than this server keeps history; ask its operator whether a backup has it"
    )
    return Refusal(RefusalCode.CONTENT_COLLECTED, message)


def content_lost(known: Entry) -> Refusal:
    """Nobody could read what the entry held then: its blocks are not there any more."""
    message = (
        f"what {show_name(known.name)} held then is not on this server any more: it was lost, or"
        " collected before the server was rebuilt; ask its operator whether a backup has it"
    )
    return Refusal(RefusalCode.CONTENT_COLLECTED, message)


def stale_rev(known: Entry, base_rev: Rev) -> Refusal:
    """The entry has other content than the change replaces."""
    return stale_base(known, f"its rev is {known.rev:x}, not {base_rev:x}")


def stale_base(known: Entry, what: str) -> Refusal:
    """The entry is not as the change expects."""
    message = f"{show_name(known.name)} has changed: {what}; read the changes first"
    return Refusal(RefusalCode.STALE_BASE, message)


def history_rewound() -> Refusal:
    """What the committer knows of the journal is no longer so."""
    message = "the server was put back to an earlier state: read the changes first"
    return Refusal(RefusalCode.HISTORY_REWOUND, message)


def folder_changed(known: Entry) -> Refusal:
    """Deleting the folder would delete what the committer has not seen."""
    message = (
        f"something in the folder {show_name(known.name)} has changed since you read it:"
        " read the changes and delete it again if you still want to"
    )
    return Refusal(RefusalCode.FOLDER_CHANGED, message)


def cycle(known: Entry) -> Refusal:
    """A folder shall move below itself."""
    message = f"the folder {show_name(known.name)} cannot be moved into itself"
    return Refusal(RefusalCode.CYCLE, message)


def not_a_folder(parent: Entry, name: str) -> Refusal:
    """The parent holds nothing."""
    message = f"{show_name(parent.name)} is not a folder and cannot hold {show_name(name)}"
    return Refusal(RefusalCode.NOT_A_FOLDER, message)


def parent_gone(name: str) -> Refusal:
    """The parent does not live."""
    message = f"the folder in which {show_name(name)} shall be does not exist any more"
    return Refusal(RefusalCode.PARENT_GONE, f"{message}: read the changes first")


def path_too_long(name: str) -> Refusal:
    """The whole path would have too many bytes."""
    message = f"the path of {show_name(name)} has more than {limits.PATH_BYTES_MAX} bytes"
    return Refusal(RefusalCode.TOO_DEEP, f"{message}: shorten a name or put it higher up")


def too_deep(name: str) -> Refusal:
    """The entry, or something below it, would be in too many folders."""
    message = f"{show_name(name)} or what is in it would be in more than {limits.DEPTH_MAX} folders"
    return Refusal(RefusalCode.TOO_DEEP, f"{message}: put it higher up")


def moves_too_much(name: str) -> Refusal:
    """The commit has already held up the others for as long as it may."""
    message = f"this commit moves so much that {show_name(name)} could not be moved as well"
    return Refusal(RefusalCode.TOO_DEEP, f"{message}: commit it again by itself")


def blocks_missing(name: str, missing: tuple[BlockId, ...]) -> Refusal:
    """The namespace does not hold the blocks of the content."""
    message = f"the server lacks {len(missing)} blocks of {show_name(name)}: send them"
    shown = missing[: limits.MISSING_BLOCKS_MAX]
    return Refusal(RefusalCode.BLOCKS_MISSING, message, missing=shown)


def aborted() -> Refusal:
    """The commit was all or nothing, and is nothing."""
    message = "another change of this commit was refused: settle that and commit again"
    return Refusal(RefusalCode.ABORTED, message)
