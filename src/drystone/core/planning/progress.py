# SPDX-License-Identifier: Apache-2.0
"""Progress: how one finished step brings the synced tree nearer."""

from typing import NamedTuple, assert_never

from drystone.core.ids import FileId, Seq
from drystone.core.journal.change import Accepted
from drystone.core.planning.plan import (
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    RenewLocal,
    RenewRemote,
    Replace,
    SetAside,
    Shift,
    Step,
    Submit,
)
from drystone.core.tree.entry import Entry


class Settled(NamedTuple):
    """Synced gets ``entry`` (None: it is gone, a folder with all below it).

    To be recorded in this order:

    1. if ``local_id``: the local entry of that id is now known as ``file_id``
       (``State.rename_id``);
    2. if ``is_exact`` and ``entry`` is None: the disk no longer has it
       (``State.note_local`` with a ``LocalChange`` of nothing);
    3. ``State.settle(file_id, row, seq)``. The row's fingerprint is the disk's present one
       (after the step), except where ``local`` is given or the disk no longer has the entry:
       then the row keeps the one it had;
    4. if ``local``: that is what the disk has now, different from synced
       (``State.note_local`` with the disk's present fingerprint);
       else if ``is_exact``: the disk has just this now, whatever was noted before
       (``State.note_local`` with None).
    """

    file_id: FileId
    entry: Entry | None
    seq: Seq = Seq(0)
    local: Entry | None = None
    local_id: FileId | None = None
    is_exact: bool = False


class Renewed(NamedTuple):
    """Synced drops this one row, not what is below it; one side keeps the entry as new.

    If ``local`` is None the server's side keeps it, as it is (``State.renew_remote``).
    Otherwise the disk's side keeps it as ``local``: if that has another file id, what was
    in it is now in the new id's folder (``State.renew_local``), and ``State.note_local``
    records ``local`` with the disk's present fingerprint.
    """

    file_id: FileId
    local: Entry | None


class Noted(NamedTuple):
    """Synced stays; the disk has ``local`` now (``State.note_local``)."""

    file_id: FileId
    local: Entry


Advance = Settled | Renewed | Noted


def advance(step: Step, accepted: Accepted | None = None) -> Advance:
    """Returns what a step that has been done changes in the three trees.

    Args:
        step: The step, done.
        accepted: For ``Submit`` the server's answer.
    """
    match step:
        case Submit():
            return _advance_submit(step, accepted)
        case Place(entry):
            return Settled(entry.file_id, entry, is_exact=True)
        case Replace(before, entry, agreed) | Shift(before, entry, agreed):
            local_id = before.file_id if before.file_id != entry.file_id else None
            if agreed is None:
                return Settled(entry.file_id, entry, local_id=local_id, is_exact=True)
            return Settled(entry.file_id, agreed, local=entry, local_id=local_id)
        case Discard(before):
            return Settled(before.file_id, None, is_exact=True)
        case SetAside(before, entry):
            if before.file_id == entry.file_id:
                return Noted(entry.file_id, entry)
            return Renewed(before.file_id, entry)
        case RenewLocal(before, entry):
            return Renewed(before.file_id, entry)
        case RenewRemote(entry):
            return Renewed(entry.file_id, None)
        case MarkSynced(entry, local_id):
            return Settled(entry.file_id, entry, local_id=local_id)
        case ForgetSynced(file_id):
            return Settled(file_id, None)
    assert_never(step)


def _advance_submit(step: Submit, accepted: Accepted | None) -> Settled:
    assert accepted is not None, "a submitted change is done when it is accepted"
    if step.entry is None:
        return Settled(accepted.entry.file_id, None, accepted.seq)
    return Settled(step.entry.file_id, step.entry._replace(rev=accepted.rev), accepted.seq)
