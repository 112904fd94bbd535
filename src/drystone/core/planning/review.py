# SPDX-License-Identifier: Apache-2.0
"""Review: what a halt keeps back, told to the human who is to agree or not; and undoing it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from drystone.core.ids import ROOT_ID, FileId
from drystone.core.journal.change import Delete, Edit
from drystone.core.planning.guards import BURST_HELD, LOCAL_MASS_REWRITE, Halt
from drystone.core.planning.plan import Discard, Plan, RenewRemote, Replace, Shift, Step, Submit
from drystone.core.planning.rewrites import Rewritten
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView

LINES_MAX: Final = 200
"""Paths that a review names; of the others only the number is told."""


class ReviewLine(NamedTuple):
    """One path of a review.

    Attributes:
        look: ``deleted`` (a folder with all below it), ``rewritten`` (holds noise now),
            ``replaced`` (gone, with noise in its place), or ``overwritten`` (other content, of
            any kind).
        path: Where it was when both sides agreed.
        new_path: Where it is now, if that is somewhere else.
    """

    look: str
    path: str
    new_path: str = ""


class Review(NamedTuple):
    """What a halt keeps back.

    Attributes:
        code: Of the halt.
        message: Of the halt.
        entries_count: How many entries it concerns, all below deleted folders among them.
        synced_count: Of how many.
        counts: How many there are of each look.
        lines: The first of them.
    """

    code: str
    message: str
    entries_count: int
    synced_count: int
    counts: dict[str, int]
    lines: tuple[ReviewLine, ...]


class Held(NamedTuple):
    """Whom a halt keeps back.

    Attributes:
        gone_here: Gone from the disk; to be deleted on the server.
        gone_there: Gone from the server; to be removed from the disk.
        rewritten: They hold noise now; of the server's brake: other content of any kind.
    """

    gone_here: tuple[FileId, ...] = ()
    gone_there: tuple[FileId, ...] = ()
    rewritten: tuple[FileId, ...] = ()


def find_held(plan: Plan, code: str, rewritten: Rewritten) -> Held:
    """Returns whom a halt with this code keeps back of a plan."""
    if code == LOCAL_MASS_REWRITE:
        return Held(gone_here=rewritten.replaced, rewritten=rewritten.edited)
    if code.startswith("local-") or code == BURST_HELD:
        changes = [step.change for step in plan.steps if isinstance(step, Submit)]
        edits = [c for c in changes if isinstance(c, Edit) and c.content is not None]
        return Held(
            gone_here=tuple(c.file_id for c in changes if isinstance(c, Delete)),
            rewritten=tuple(c.file_id for c in edits) if code == BURST_HELD else (),
        )
    gone = tuple(step.before.file_id for step in plan.steps if isinstance(step, Discard))
    return Held(gone_there=gone)


def describe(
    halt: Halt,
    held: Held,
    find_path: Callable[[FileId], str | None],
    find_new_path: Callable[[FileId], str | None],
) -> Review:
    """Returns what to show.

    Args:
        halt: Why the plan waits.
        held: Whom it keeps back.
        find_path: Returns where an entry was when both sides agreed.
        find_new_path: Returns where it is now on the disk.
    """
    look = "replaced" if halt.code == LOCAL_MASS_REWRITE else "deleted"
    changed = "overwritten" if halt.code == BURST_HELD else "rewritten"
    looks = {
        changed: held.rewritten,
        look: held.gone_here or held.gone_there,
    }
    lines: list[ReviewLine] = []
    for name, file_ids in looks.items():
        for file_id in file_ids[: LINES_MAX - len(lines)]:
            path, new_path = find_path(file_id) or "", find_new_path(file_id) or ""
            is_moved = name == changed and new_path != path
            lines.append(ReviewLine(name, path, new_path if is_moved else ""))
    counts = {name: len(file_ids) for name, file_ids in looks.items() if file_ids}
    return Review(
        halt.code, halt.message, halt.entries_count, halt.synced_count, counts, tuple(lines)
    )


def plan_undo(held: Held, local: TreeView, synced: TreeView, remote: TreeView) -> Plan:
    """Returns the steps that bring back to the disk what it lost, as the server has it.

    What is gone counts as never seen here: the plan after this one places it. What holds noise
    is replaced, and stands at its old place again; what it held goes to the local trash. Who is
    not held is not touched, nor is what moved out of a deleted folder.
    """
    steps: list[Step] = []
    after: list[tuple[int, ...]] = []
    for entry in _iter_gone(held.gone_here, local, synced):
        there = remote.find(entry.file_id)
        steps.append(RenewRemote(entry if there is None else there))
        after.append(())
    for file_id in held.rewritten:
        here, there = local.find(file_id), remote.find(file_id)
        if here is None or there is None:
            continue  # Deleted by somebody meanwhile: planned as ever.
        if here.is_at_same_place(there):
            steps.append(Replace(here, there))
            after.append(())
            continue
        back = there._replace(parent_id=here.parent_id, name=here.name)
        steps += (Replace(here, back, there), Shift(back, there))
        after += ((), (len(steps) - 2,))
    return Plan(tuple(steps), (), (), tuple(after))


def sort_from_top(file_ids: Collection[FileId], view: TreeView) -> list[FileId]:
    """Returns entries of a tree with folders before what is in them."""
    depths: dict[FileId, int] = {ROOT_ID: 0}

    def depth(file_id: FileId) -> int:
        chain: list[FileId] = []
        while file_id not in depths:
            chain.append(file_id)
            entry = view.find(file_id)
            file_id = ROOT_ID if entry is None else entry.parent_id
        for below in reversed(chain):
            depths[below] = depths[file_id] + 1
            file_id = below
        return depths[file_id]

    return sorted(file_ids, key=depth)


def _iter_gone(file_ids: Iterable[FileId], local: TreeView, synced: TreeView) -> Iterator[Entry]:
    """Yields what is gone from the disk with these entries, folders before what was in them."""
    for file_id in file_ids:
        entry = synced.find(file_id)
        if entry is None:
            continue
        waiting = [entry]
        while waiting:
            entry = waiting.pop()
            yield entry
            if entry.kind == Kind.FOLDER:
                below = synced.children(entry.file_id).values()
                waiting += [e for e in below if not _is_elsewhere(e, local)]


def _is_elsewhere(entry: Entry, local: TreeView) -> bool:
    """Tells whether what was in a folder that is gone stands somewhere else on the disk now."""
    here = local.find(entry.file_id)
    return here is not None and here.parent_id != entry.parent_id
