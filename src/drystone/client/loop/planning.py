# SPDX-License-Identifier: Apache-2.0
"""Planning: what is known whole, and the plans that this allows."""

import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from drystone.client.loop.parts import Parts
from drystone.client.loop.troubles import Halted, Troubles
from drystone.client.ports import State
from drystone.client.steps.submit import REWRITES_KEY
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.planning.guards import (
    BURST_HELD,
    DELETION_HALTS,
    HALT_CODES,
    LOCAL_MASS_REWRITE,
    Halt,
    find_halt,
    find_rewrite_halt,
)
from drystone.core.planning.plan import Plan, find_subject
from drystone.core.planning.policy import Permission
from drystone.core.planning.reconcile import reconcile
from drystone.core.planning.review import (
    Held,
    Review,
    describe,
    find_held,
    plan_undo,
    sort_from_top,
)
from drystone.core.planning.rewrites import Rewritten, find_rewritten, format_rewrites
from drystone.core.tree.entry import Entry, Kind

REVIEW_KEY: Final = "review"
"""What a halt keeps back, as told last; empty: nothing."""


class Undoing(NamedTuple):
    """How to undo what a halt keeps back.

    Attributes:
        plan: Steps that bring back to the disk what it lost.
        restored: What to bring back on the server, folders before what is in them.
    """

    plan: Plan
    restored: tuple[FileId, ...]


def load_review(state: State) -> Review | None:
    """Returns what the last plan kept back, if it did. Uses State."""
    text = state.get(REVIEW_KEY)
    try:
        return msgspec.json.decode(text, type=Review) if text else None
    except msgspec.DecodeError:
        return None  # Another version of the program told it in its own way; it is told anew.


class Answers:
    """What a human says to what a guard keeps back.

    Args:
        parts: Who obeys.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def allow_deletions(self, trouble: DrystoneError | None) -> None:
        """Agrees to the deletions that a guard stopped: to as many, and not more.

        Where nothing was stopped yet, it allows whatever is found until all is settled.
        """
        permissions = [Permission(code, sys.maxsize) for code in DELETION_HALTS]
        if isinstance(trouble, Halted):
            review = trouble.review
            permissions = [Permission(review.code, review.entries_count)]
            if review.code not in DELETION_HALTS:
                permissions.clear()
        self._parts.permissions = tuple(permissions)

    async def find_review(self) -> Review | None:
        """Returns what the last plan kept back; None: nothing waits for a human."""
        return await self._parts.threads.control(load_review, self._parts.world.state)

    async def accept(self) -> Review | None:
        """Agrees to what was kept back last: to as much, and not more. Returns it."""
        review = await self.find_review()
        if review is not None:
            codes: tuple[str, ...] = (review.code,)
            if review.code == BURST_HELD:
                # The guards here, too, would ask about what the server asks about.
                codes = tuple(code for code in HALT_CODES if code.startswith("local-"))
            count = review.entries_count
            self._parts.permissions = tuple(Permission(code, count) for code in codes)
            if LOCAL_MASS_REWRITE in codes:
                self._parts.rewrites.allow()
        return review

    async def undo(self) -> Review | None:
        """Wants undone what was kept back last. Returns it."""
        review = await self.find_review()
        if review is not None:
            self._parts.undoing = review.code
        return review


class Planning:
    """Makes plans from the three trees. All methods use State.

    Args:
        parts: The steps.
        troubles: Lets a plan pass, or not.

    Attributes:
        is_local_complete: The whole disk has been looked at since the start.
        is_remote_complete: All that the server had to tell when it was asked last is known.
    """

    def __init__(self, parts: Parts, troubles: Troubles) -> None:
        self._parts = parts
        self._troubles = troubles
        self.is_local_complete = False
        self.is_remote_complete = False

    def plan_new(self, candidates: Sequence[FileId]) -> Plan:
        """Plans what is new on one side, while the other may not be known whole."""
        state = self._parts.world.state
        if unnamed := self._parts.scan.unnamed_ids:
            candidates = [i for i in candidates if not self._is_below(unnamed, i)]
        policy = self._parts.policy(
            local_complete=self.is_local_complete, remote_complete=self.is_remote_complete
        )
        return reconcile(candidates, state.local, state.synced, state.remote, policy)

    def plan_new_folders(self, created: Sequence[FileId]) -> Plan:
        """As ``plan_new``, for those candidates that are folders of the disk."""
        changes = self._parts.world.state.local_changes
        folders = [
            file_id
            for file_id in created
            if (change := changes.get(file_id)) is not None
            and change.entry is not None
            and change.entry.kind == Kind.FOLDER
        ]
        return self.plan_new(folders)

    def plan_all(self) -> Plan:
        """Plans everything in which the two sides differ.

        Raises:
            Halted: A guard stopped the plan.
        """
        plan = self._reconcile_all()
        self._check_halt(self._parts.selection.without_leaving(plan), self._parts.permissions)
        self._parts.selection.note_leaving(plan)
        return plan

    def plan_undo(self, code: str) -> Undoing:
        """Plans how to undo what a halt with this code keeps back."""
        state, parts = self._parts.world.state, self._parts
        plan = self._parts.selection.without_leaving(self._reconcile_all())
        rewritten = find_rewritten(plan, state.synced, parts.rewrites)
        held = find_held(plan, code, rewritten)
        # Whatever cannot be undone now must not be told to the server as if it were little, also
        # not by a program that is started later.
        parts.rewrites.add_recent(len(held.rewritten), parts.world.clock.now_ns())
        state.put(REWRITES_KEY, format_rewrites(parts.rewrites))
        deleted = []
        if held.gone_there:
            # Also what was deleted by itself, before the folder in which it was.
            found = state.remote_changes.items()
            deleted = [i for i, stored in found if stored.is_deleted and state.synced.find(i)]
        back = plan_undo(held, state.local, state.synced, state.remote)
        restored = tuple(sort_from_top(deleted, state.synced))
        return Undoing(back, restored)

    def note_burst(self, plan: Plan, message: str) -> Review:
        """Notes what the server's brake keeps back of a plan; returns it."""
        state = self._parts.world.state
        held = find_held(plan, BURST_HELD, Rewritten())
        gone = [state.count_below(i) for i in held.gone_here if is_folder(state.synced.find(i))]
        count = len(held.gone_here) + sum(gone) + len(held.rewritten)
        return self._note_review(Halt(BURST_HELD, message, count, state.count_synced()), held)

    def find_held(self, plan: Plan) -> frozenset[FileId]:
        """Returns whose steps cannot be carried out, because they or the folder that they are in
        stand on the disk under a name that cannot be synced. The scan has told so.
        """
        unnamed = self._parts.scan.unnamed_ids
        if not unnamed:
            return unnamed
        return frozenset(i for i in map(find_subject, plan.steps) if self._is_below(unnamed, i))

    def tell(self, plan: Plan) -> None:
        """Tells of conflicts."""
        state, tally = self._parts.world.state, self._parts.tally
        for conflict in plan.conflicts:
            path = state.path_of(state.local, conflict.file_id) or conflict.name
            tally.conflict(conflict, path)

    def _reconcile_all(self) -> Plan:
        state = self._parts.world.state
        candidates = [*state.local_changes]
        candidates += [i for i in state.remote_changes if i not in state.local_changes]
        candidates += self._parts.selection.ids
        policy = self._parts.policy(local_complete=True, remote_complete=True)
        return reconcile(candidates, state.local, state.synced, state.remote, policy)

    def _check_halt(self, plan: Plan, permissions: tuple[Permission, ...]) -> None:
        """Lets a plan pass, or notes what it keeps back and raises ``Halted``."""
        parts, state = self._parts, self._parts.world.state
        synced_count = state.count_synced()
        rewritten = find_rewritten(plan, state.synced, parts.rewrites)
        recent_count = parts.rewrites.count_recent(parts.world.clock.now_ns())
        halt = find_halt(
            plan, state.synced, synced_count, state.count_below, permissions
        ) or find_rewrite_halt(rewritten, recent_count, synced_count, permissions)
        if halt is None:
            if state.get(REVIEW_KEY):
                state.put(REVIEW_KEY, "")
            return
        held = find_held(plan, halt.code, rewritten)
        raise Halted(self._note_review(halt, held))

    def _note_review(self, halt: Halt, held: Held) -> Review:
        state = self._parts.world.state
        review = describe(
            halt,
            held,
            lambda file_id: state.path_of(state.synced, file_id),
            lambda file_id: state.path_of(state.local, file_id),
        )
        state.put(REVIEW_KEY, msgspec.json.encode(review).decode())
        return review

    def _is_below(self, unnamed: frozenset[FileId], file_id: FileId) -> bool:
        """Tells whether an entry is one of these, or in one of them on either side."""
        state = self._parts.world.state
        for view in (state.local, state.remote):
            at, passed = file_id, set[FileId]()
            while at != ROOT_ID and at not in passed:
                if at in unnamed:
                    return True
                passed.add(at)
                entry = view.find(at)
                if entry is None:
                    break
                at = entry.parent_id
        return False


def is_folder(entry: Entry | None) -> bool:
    """Tells whether there is such an entry, and it is a folder."""
    return entry is not None and entry.kind == Kind.FOLDER
