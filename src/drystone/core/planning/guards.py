# SPDX-License-Identifier: Apache-2.0
"""Guards: plans that look like a catastrophe are not carried out before a human has agreed.

The worst that a sync program has ever done to people is to take a disk that was not there,
or a listing that had failed, for the wish to delete everything. Other parts see to it that
such observations are never planned from; this is the last line behind them.

The other catastrophe is a stranger's program that encrypts all files: a sync program would
carry that to every device within minutes. Such files look like noise; many are asked about.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from drystone.core import limits
from drystone.core.ids import FileId
from drystone.core.journal.change import Delete, Move
from drystone.core.planning.plan import Discard, Plan, Shift, Submit
from drystone.core.planning.policy import Permission
from drystone.core.planning.rewrites import Rewritten, is_mass_rewrite
from drystone.core.tree.entry import Kind
from drystone.core.tree.view import TreeView

LOCAL_EMPTIED: Final = "local-emptied"
REMOTE_EMPTIED: Final = "remote-emptied"
LOCAL_MASS_DELETION: Final = "local-mass-deletion"
REMOTE_MASS_DELETION: Final = "remote-mass-deletion"
LOCAL_MASS_REWRITE: Final = "local-mass-rewrite"
BURST_HELD: Final = "burst-held"
"""The server's brake, not a guard's: only a human at another device, or with the password, may
lift it. Looked at and undone as the guards' halts are."""

DELETION_HALTS: Final = (LOCAL_EMPTIED, LOCAL_MASS_DELETION, REMOTE_EMPTIED, REMOTE_MASS_DELETION)
HALT_CODES: Final = (*DELETION_HALTS, LOCAL_MASS_REWRITE)
"""All that may be passed with a ``Permission``."""


class Halt(NamedTuple):
    """Why a plan waits for a human.

    Attributes:
        code: ``local-…``: gone from this device's disk and to be deleted on the server;
            ``remote-…``: gone from the server and to be removed from this disk;
            ``local-mass-rewrite``: turned into noise on this device's disk.
        message: What would happen, and what to do now.
        entries_count: How many synced entries it concerns. A ``Permission`` with this code and
            at least this number lets the plan pass.
        synced_count: Of how many.
    """

    code: str
    message: str
    entries_count: int
    synced_count: int


def find_halt(
    plan: Plan,
    synced: TreeView,
    synced_count: int,
    count_below: Callable[[FileId], int],
    permissions: tuple[Permission, ...] = (),
) -> Halt | None:
    """Returns the reason not to carry out a plan, if there is one.

    Args:
        plan: As made.
        synced: The tree that both sides last agreed on.
        synced_count: How many entries it has.
        count_below: Counts the entries of synced anywhere below a folder.
        permissions: What was agreed to.

    Cost: nothing for plans that delete little; else one ``count_below`` for each deleted
    folder, and for each moved one if they are many.
    """
    here = [step.before.file_id for step in plan.steps if isinstance(step, Discard)]
    there = [
        step.change.file_id
        for step in plan.steps
        if isinstance(step, Submit) and isinstance(step.change, Delete)
    ]
    for deleted, codes in (
        (there, (LOCAL_EMPTIED, LOCAL_MASS_DELETION)),
        (here, (REMOTE_EMPTIED, REMOTE_MASS_DELETION)),
    ):
        if not deleted:
            continue
        count = _count(deleted, synced, count_below)
        if is_mass(count, synced_count):
            count -= _count_saved(plan, set(deleted), synced, count_below)
        if not is_mass(count, synced_count):
            continue
        code = codes[0] if count >= synced_count else codes[1]
        halt = Halt(code, _MESSAGES[code].format(count, synced_count), count, synced_count)
        if not any(_covers(permission, halt) for permission in permissions):
            return halt
    return None


def find_rewrite_halt(
    rewritten: Rewritten,
    recent_count: int,
    synced_count: int,
    permissions: tuple[Permission, ...] = (),
) -> Halt | None:
    """Returns the reason not to tell the server of files that became noise, if there is one.

    Args:
        rewritten: What the plan would tell.
        recent_count: How many were told within the window.
        synced_count: How many entries are synced.
        permissions: What was agreed to.
    """
    if not is_mass_rewrite(rewritten.files_count, recent_count, synced_count):
        return None
    message = _MESSAGES[LOCAL_MASS_REWRITE].format(rewritten.files_count, synced_count)
    if recent_count:
        message = message.replace(":", f" (and {recent_count:,} of late):", 1)
    halt = Halt(LOCAL_MASS_REWRITE, message, rewritten.files_count, synced_count)
    return None if any(_covers(permission, halt) for permission in permissions) else halt


def is_mass(deleted_count: int, synced_count: int) -> bool:
    """Tells whether so many deletions at once are to be asked about."""
    if deleted_count >= synced_count:
        return deleted_count >= limits.EMPTIED_ENTRIES_MIN
    return (
        deleted_count >= limits.MASS_DELETION_ENTRIES_MIN
        and deleted_count * 100 > synced_count * limits.MASS_DELETION_PERCENT_MIN
    )


def _count(file_ids: list[FileId], synced: TreeView, count_below: Callable[[FileId], int]) -> int:
    count = len(file_ids)
    for file_id in file_ids:
        entry = synced.find(file_id)
        if entry is not None and entry.kind == Kind.FOLDER:
            count += count_below(file_id)
    return count


def _count_saved(
    plan: Plan, deleted: set[FileId], synced: TreeView, count_below: Callable[[FileId], int]
) -> int:
    """Counts what moves out of deleted folders before they are deleted."""
    moved: dict[FileId, None] = {}
    for step in plan.steps:
        if isinstance(step, Shift):
            moved[step.before.file_id] = None
        elif isinstance(step, Submit) and isinstance(step.change, Move):
            moved[step.change.file_id] = None
    saved = [
        file_id
        for file_id in moved
        if file_id not in deleted and _is_below(file_id, deleted, synced)
    ]
    return _count(saved, synced, count_below)


def _is_below(file_id: FileId, folders: set[FileId], synced: TreeView) -> bool:
    entry = synced.find(file_id)
    while entry is not None:
        if entry.parent_id in folders:
            return True
        entry = synced.find(entry.parent_id)
    return False


def _covers(permission: Permission, halt: Halt) -> bool:
    return permission.code == halt.code and halt.entries_count <= permission.entries_count_max


_MESSAGES: Final = {
    LOCAL_EMPTIED: (
        "everything that was synced ({0:,} entries) is gone from this device's folder: nothing is"
        " deleted on the server until you agree; if it was not meant, bring the files back"
    ),
    LOCAL_MASS_DELETION: (
        "{0:,} of {1:,} synced entries are gone from this device's folder: nothing is deleted on"
        " the server until you agree; if it was not meant, bring the files back"
    ),
    REMOTE_EMPTIED: (
        "everything that was synced ({0:,} entries) was deleted on the server: nothing is removed"
        " from this device until you agree; if it was not meant, restore it on the server"
    ),
    REMOTE_MASS_DELETION: (
        "{0:,} of {1:,} synced entries were deleted on the server: nothing is removed from this"
        " device until you agree; if it was not meant, restore them on the server"
    ),
    LOCAL_MASS_REWRITE: (
        "{0:,} of {1:,} synced entries look encrypted on this device's disk: the server keeps what"
        " it has until you agree; if it was not meant, find the program that does it first"
    ),
}
