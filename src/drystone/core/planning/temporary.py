# SPDX-License-Identifier: Apache-2.0
"""Temporary names: where an entry waits for a moment while others change places."""

from drystone.core.ids import FileId
from drystone.core.journal.change import Delete, Move
from drystone.core.names.detour import make_detour_name
from drystone.core.planning.plan import Discard, SetAside, Shift, Step, Submit
from drystone.core.tree.entry import Entry


def split_at_detour(step: Step, standing: Entry, fresh_id: FileId) -> tuple[Step, Step]:
    """Returns two steps for one by which an entry leaves its place.

    The first only gives the entry a temporary name in the folder where it is, which needs
    nothing else to be done before; the second does the rest. On the disk, synced keeps the
    place it has meanwhile: where the server never moved the entry, nothing else remembers it.

    Args:
        step: ``Shift``, ``Discard``, or the ``Submit`` of a move or deletion.
        standing: The entry on that side as it stands before the step.
        fresh_id: Never used before, so that the name made of it is free in any folder.
    """
    name = make_detour_name(fresh_id)
    away = standing._replace(name=name)
    match step:
        case Shift(_, entry, agreed):
            return SetAside(standing, away), Shift(away, entry, agreed)
        case Discard():
            return SetAside(standing, away), Discard(away)
        case Submit(Move() as move, entry):
            assert entry is not None, "a moved entry goes on living"
            leave = Move(move.file_id, standing.parent_id, name, standing.parent_id, standing.name)
            arrive = move._replace(base_name=name)
            return Submit(leave, _at(entry, away)), Submit(arrive, entry)
        case Submit(Delete()):
            leave = Move(
                standing.file_id, standing.parent_id, name, standing.parent_id, standing.name
            )
            return Submit(leave, away), step
        case _:
            pass
    raise AssertionError(f"{step!r} does not vacate a place by itself")


def _at(entry: Entry, place: Entry) -> Entry:
    return entry._replace(parent_id=place.parent_id, name=place.name)
