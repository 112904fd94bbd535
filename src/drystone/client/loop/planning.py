# SPDX-License-Identifier: Apache-2.0
"""Planning: what is known whole, and the plans that this allows."""

from collections.abc import Sequence

from drystone.client.loop.carrying import find_subject
from drystone.client.loop.parts import Parts
from drystone.client.loop.troubles import Troubles
from drystone.client.steps.pull import Selection
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.planning.plan import Discard, Plan
from drystone.core.planning.reconcile import reconcile
from drystone.core.tree.entry import Kind


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
        state = self._parts.world.state
        selection = self._parts.selection
        candidates = [*state.local_changes]
        candidates += [i for i in state.remote_changes if i not in state.local_changes]
        candidates += selection.ids
        policy = self._parts.policy(local_complete=True, remote_complete=True)
        plan = reconcile(candidates, state.local, state.synced, state.remote, policy)
        # What only leaves this disk is nobody's loss: it is on the server.
        judged = plan if not selection.ids else _without_leaving(plan, selection)
        self._troubles.check_halt(judged, policy.permissions)
        selection.note_leaving(plan)
        return plan

    def find_held(self, plan: Plan) -> frozenset[FileId]:
        """Returns whose steps cannot be carried out, because they or the folder that they are in
        stand on the disk under a name that cannot be synced. The scan has told so.
        """
        unnamed = self._parts.scan.unnamed_ids
        if not unnamed:
            return unnamed
        return frozenset(i for i in map(find_subject, plan.steps) if self._is_below(unnamed, i))

    def tell(self, plan: Plan) -> None:
        """Tells of conflicts, and of what this disk cannot hold."""
        state, tally = self._parts.world.state, self._parts.tally
        for conflict in plan.conflicts:
            path = state.path_of(state.local, conflict.file_id) or conflict.name
            tally.conflict(conflict, path)
        self._troubles.note_unplaceable(plan.unplaceable)

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


def _without_leaving(plan: Plan, selection: Selection) -> Plan:
    steps = tuple(
        step
        for step in plan.steps
        if not (isinstance(step, Discard) and selection.is_only_leaving(step.before.file_id))
    )
    return plan._replace(steps=steps)
