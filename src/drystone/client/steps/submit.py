# SPDX-License-Identifier: Apache-2.0
"""Submit: tell the server what changed here, and believe its outcomes.

commit = submit.prepare(steps)            # State
result = await submit.send(commit)        # server
refused = submit.note(commit, result)     # State: what was accepted is agreed on
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from drystone.client.ports import CommitResult, Remote, Stat, State, SyncedRow
from drystone.core.ids import FileId, Seq
from drystone.core.journal.change import Accepted, Change, Delete, Edit, Move, Refusal
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import COMMIT_CHANGES_MAX
from drystone.core.planning.plan import Submit
from drystone.core.planning.progress import Settled, advance
from drystone.core.planning.rewrites import Rewrites, format_rewrites
from drystone.core.tree.entry import Entry

CURSOR_KEY: Final = "cursor"
SEEN_SEQ_KEY: Final = "seen_seq"
RESET_KEY: Final = "reset"
"""Set while everything is read anew."""
REWRITES_KEY: Final = "rewrites"
"""How many files that became noise were sent of late; see ``core.planning.rewrites``."""


class RefusedStep(NamedTuple):
    """A change that the server did not make."""

    step: Submit
    refusal: Refusal


class Prepared(NamedTuple):
    """Changes ready to be told, and the key that makes telling them twice harmless.

    ``cursor`` is how far this device has read: what it bases its changes on.
    """

    steps: tuple[Submit, ...]
    seen_seq: Seq
    key: str
    cursor: str = ""


class Submission:
    """Commits changes and brings synced nearer.

    Args:
        state: Its trees, for ``prepare`` and ``note``.
        remote: The server.
        new_key: Makes idempotency keys that no other commit has.
        rewrites: Is told what was accepted.
        now_ns: The clock.
        note_deleted: Is told what was deleted on the server, before State is. Uses State.
    """

    def __init__(
        self,
        state: State,
        remote: Remote,
        new_key: Callable[[], str],
        rewrites: Rewrites,
        now_ns: Callable[[], int],
        *,
        note_deleted: Callable[[FileId], None] = lambda _: None,
    ) -> None:
        self._note_deleted = note_deleted
        self._state = state
        self._remote = remote
        self._new_key = new_key
        self._rewrites = rewrites
        self._now_ns = now_ns

    def prepare(self, steps: Sequence[Submit]) -> Prepared:
        """Makes a commit of at most ``COMMIT_CHANGES_MAX`` steps. Uses State."""
        assert 0 < len(steps) <= COMMIT_CHANGES_MAX
        seen_seq = Seq(int(self._state.get(SEEN_SEQ_KEY) or 0))
        cursor = self._state.get(CURSOR_KEY)
        return Prepared(tuple(steps), seen_seq, self._new_key(), cursor)

    async def send(self, prepared: Prepared) -> CommitResult:
        """Tells the server. One at a time: a later commit may need what this one makes.

        Raises:
            Unavailable: It is not known whether it was made. It is found out by reading the
                changes, or by telling it again.
        """
        changes = [step.change for step in prepared.steps]
        return await self._remote.commit(changes, prepared.seen_seq, prepared.key, prepared.cursor)

    def note(self, prepared: Prepared, result: CommitResult) -> list[RefusedStep]:
        """Tells State what was accepted; returns what was not. Uses State.

        If nobody else committed in between, the cursor moves on to the commit's own end, so
        that its records need not be read back.
        """
        refused: list[RefusedStep] = []
        is_rewritten = False
        for step, outcome in zip(prepared.steps, result.outcomes, strict=True):
            if isinstance(outcome, Accepted):
                is_rewritten |= self._note_rewrite(step)
                settled = advance(step, outcome)
                assert isinstance(settled, Settled)
                self._settle(step, settled, outcome)
            else:
                refused.append(RefusedStep(step, outcome))
        is_all_known = result.head_before == prepared.seen_seq and not self._state.get(RESET_KEY)
        if is_rewritten:
            self._state.put(REWRITES_KEY, format_rewrites(self._rewrites))
        if is_all_known and result.cursor:
            self._state.put(CURSOR_KEY, result.cursor)
            self._state.put(SEEN_SEQ_KEY, str(result.head))
        return refused

    def _note_rewrite(self, step: Submit) -> bool:
        rewrites = self._rewrites
        if not rewrites.noise and not rewrites.fresh:
            return False
        change = step.change
        before = self._state.synced.find(change.file_id) if isinstance(change, Delete) else None
        return rewrites.note_sent(step, before, self._now_ns())

    def _settle(self, step: Submit, settled: Settled, outcome: Accepted) -> None:
        file_id, entry = settled.file_id, settled.entry
        if entry is None:
            self._note_deleted(file_id)
            self._state.settle(file_id, None, settled.seq)
            return
        row = self._state.find_synced_row(file_id)
        before = self._state.remote.find(file_id)
        stored = _apply(step.change, before, outcome) or entry
        # Whoever edited it before it was moved is told of by a rev that is not known here.
        is_known = before is None or not isinstance(step.change, Move) or before.rev == outcome.rev
        if isinstance(step.change, Move) and row is not None:
            # It told of the place only. What the file holds here may not have been sent, and
            # what it holds there may be newer than what is here.
            entry = row.entry._replace(parent_id=entry.parent_id, name=entry.name)
            if is_known and stored.is_same_content(entry):
                entry = entry._replace(rev=outcome.rev)
        is_whole = is_known and stored.is_at_same_place(entry) and stored.is_same_state(entry)
        seq = settled.seq if is_whole else Seq(0)
        self._state.settle(file_id, SyncedRow(entry, self._find_stat(entry, row), seq))
        if is_known and not is_whole:
            # Others had a part in it, and the record may not be read any more.
            self._state.note_remote(StoredEntry(stored, outcome.seq, Action.EDIT))

    def _find_stat(self, entry: Entry, row: SyncedRow | None) -> Stat:
        """Returns the fingerprint that belongs to what was agreed on: not that of newer bytes,
        which would then count as known.
        """
        change = self._state.local_changes.get(entry.file_id)
        # What is gone from the disk may still take a detour before the server deletes it.
        if change is None or change.entry is None or change.stat is None:
            assert row is not None, "what was told to the server is on the disk"
            return row.stat
        if change.entry.is_same_content(entry):
            return change.stat
        # A fingerprint that nothing has: the next scan looks at the bytes.
        return change.stat._replace(ctime_ns=0) if row is None else row.stat


def _apply(change: Change, before: Entry | None, outcome: Accepted) -> Entry | None:
    """Returns what the server has after an accepted edit or move: what it had, as far as is
    known here, and the change. None where the change itself says all.

    The answer does not repeat what only the tree knows. If somebody else had a part in it
    meanwhile, the record is read back, and tells.
    """
    if before is None:
        return None
    if isinstance(change, Move):
        return before._replace(parent_id=change.parent_id, name=change.name)
    if isinstance(change, Edit):
        return before._replace(
            content=change.content,
            target=change.target,
            mode=change.mode,
            mtime_ns=change.mtime_ns,
            rev=outcome.rev,
        )
    return None
