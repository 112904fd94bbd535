# SPDX-License-Identifier: Apache-2.0
"""Advance: steps that only change what is known, not the disk nor the server."""

from typing import Final

from drystone.client.ports import LocalChange, Stat, State, SyncedRow
from drystone.core.ids import FileId
from drystone.core.planning.merging.sight import as_held
from drystone.core.planning.plan import ForgetSynced, MarkSynced, RenewLocal, RenewRemote
from drystone.core.planning.policy import Traits
from drystone.core.planning.progress import Noted, Renewed, Settled, advance

KnownStep = MarkSynced | ForgetSynced | RenewLocal | RenewRemote
"""The steps of a plan that need nobody but State."""


_WHOLE: Final = Traits()


class Advance:
    """Carries out steps that need nobody but State.

    Args:
        state: The three trees.
        traits: Of the disk.
    """

    def __init__(self, state: State, traits: Traits = _WHOLE) -> None:
        self._state = state
        self._traits = traits

    def note(self, step: KnownStep) -> None:
        """Brings the trees one step nearer to each other. Uses State."""
        match advance(step):
            case Settled() as settled:
                self._settle(settled)
            case Renewed() as renewed:
                self._renew(renewed)
            case Noted(file_id, local):
                self._state.note_local(file_id, LocalChange(local, self._find_stat(file_id)))

    def _settle(self, settled: Settled) -> None:
        state = self._state
        if settled.local_id is not None:
            state.rename_id(settled.local_id, settled.file_id)
        if settled.entry is None:
            state.settle(settled.file_id, None, settled.seq)
            return
        stat = self._find_stat(settled.file_id)
        assert stat is not None, "what both sides have is on the disk"
        stored = state.remote_changes.get(settled.file_id)
        seq = settled.seq if stored is None else stored.seq
        state.settle(settled.file_id, SyncedRow(settled.entry, stat, seq))
        if settled.local is not None:
            state.note_local(settled.file_id, LocalChange(settled.local, stat))
            return
        change = state.local_changes.get(settled.file_id)
        if change is not None and change.entry is not None:
            here, agreed = as_held(change.entry, settled.entry, self._traits), settled.entry
            if here.is_at_same_place(agreed) and here.is_same_state(agreed):
                # It only differs in what the disk has made different.
                state.note_local(settled.file_id, None)

    def _renew(self, renewed: Renewed) -> None:
        state = self._state
        if renewed.local is None:
            state.renew_remote(renewed.file_id)
            return
        stat = self._find_stat(renewed.file_id)
        local, known = renewed.local, state.local.find(renewed.file_id)
        if known is not None:
            # It stays where it is; but its folder may have got another id since the plan was made.
            local = local._replace(parent_id=known.parent_id)
        if local.file_id != renewed.file_id:
            state.renew_local(renewed.file_id, local.file_id)
        state.note_local(local.file_id, LocalChange(local, stat))

    def _find_stat(self, file_id: FileId) -> Stat | None:
        change = self._state.local_changes.get(file_id)
        if change is not None:
            return change.stat
        row = self._state.find_synced_row(file_id)
        return None if row is None else row.stat
