# SPDX-License-Identifier: Apache-2.0
"""Reconcile: three trees in, a plan out. The heart of the client."""

from collections.abc import Iterable

from drystone.core.ids import FileId
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.planning.plan import (
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    Plan,
    Replace,
    Shift,
    Step,
    Submit,
)
from drystone.core.planning.policy import Policy
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView


def reconcile(
    candidates: Iterable[FileId],
    local: TreeView,
    synced: TreeView,
    remote: TreeView,
    policy: Policy,
) -> Plan:
    """Returns the steps that bring disk and server together.

    Args:
        candidates: Ids of all entries in which the disk or the server may differ from synced.
        local: The disk: synced with the local overlay on top.
        synced: What both sides last agreed on.
        remote: The server: synced with the remote overlay on top.
        policy: What the trees leave open.
    """
    first: list[Step] = []
    last: list[Step] = []
    waiting: list[FileId] = []
    depths: dict[FileId, int] = {}

    def depth(file_id: FileId) -> int:
        found = local.find(file_id) or remote.find(file_id)
        if file_id not in depths:
            depths[file_id] = 0 if found is None else 1 + depth(found.parent_id)
        return depths[file_id]

    for file_id in sorted(candidates, key=depth):
        here, base, there = local.find(file_id), synced.find(file_id), remote.find(file_id)
        if here is not None and here.kind == Kind.FILE and here.content is None:
            waiting.append(file_id)
        elif here is None and there is None:
            last.append(ForgetSynced(file_id))
        elif here is None and there is not None:
            if base is None or not there.is_same_content(base):
                first.append(Place(there))
            else:
                last.append(Submit(Delete(file_id, there.rev), None))
        elif there is None and here is not None:
            if base is None:
                first.append(Submit(Create(here), here))
            else:
                last.append(Discard(here))
        elif here is not None and there is not None:
            first.extend(_merge(here, base or there, there))
    steps = tuple(first + last[::-1])
    return Plan(steps, (), tuple(waiting), ((),) * len(steps))


def _merge(here: Entry, base: Entry, there: Entry) -> list[Step]:
    steps: list[Step] = []
    if here == there._replace(rev=here.rev):
        return [MarkSynced(there)]
    if not there.is_at_same_place(base):
        moved = here._replace(parent_id=there.parent_id, name=there.name)
        steps.append(Shift(here, moved))
        here = moved
    if not there.is_same_state(base):
        steps.append(Replace(here, there))
        here = there
    if not here.is_same_state(there):
        change = Edit(here.file_id, there.rev, here.content, here.mode, here.mtime_ns, here.target)
        steps.append(Submit(change, here))
    if not here.is_at_same_place(there):
        move = Move(here.file_id, here.parent_id, here.name, there.parent_id, there.name)
        steps.append(Submit(move, here))
    return steps
