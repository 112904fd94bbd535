# SPDX-License-Identifier: Apache-2.0
"""One round: see both sides, move what is new at once, then plan and carry out the rest."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from drystone.client.loop.carrying import Carrying
from drystone.client.loop.inward import Inward
from drystone.client.loop.outward import Outward
from drystone.client.loop.parts import Parts, Saving
from drystone.client.loop.planning import Planning
from drystone.client.loop.receiving import Receiving
from drystone.client.loop.sending import Sending
from drystone.client.loop.troubles import Halted, Troubles
from drystone.client.ports import Hints, Stat, State
from drystone.client.steps.digest import is_racy_at
from drystone.core.errors import DrystoneError, Refused
from drystone.core.ids import FileId, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal.change import Restore
from drystone.core.limits import COMMIT_CHANGES_MAX
from drystone.core.planning.guards import BURST_HELD
from drystone.core.planning.plan import Discard, Plan
from drystone.core.tree.entry import Kind

_NO_HINTS: Final = Hints(frozenset())
SETTLED_KEY: Final = "settled_ns"
_SETTLED_STEP_S: Final = 60
_PLANS_MAX: Final = 8
"""Plans in one round: each does what the one before made possible."""


@dataclass(slots=True)
class Round:
    """What a round did, and what it leaves to the next.

    Attributes:
        steps_count: Steps carried out.
        again: Folders to look at again soon: something there was still being written.
        is_overtaken: Somebody else committed meanwhile, or refused us: read the changes.
        unsettled_count: Entries in which disk and server still differ.
    """

    steps_count: int = 0
    again: set[str] = field(default_factory=set)
    is_overtaken: bool = False
    unsettled_count: int = 0


class Rounds:
    """Does rounds, one at a time.

    Args:
        parts: The steps.
        troubles: Knows which entries are not to be planned for now.
    """

    def __init__(self, parts: Parts, troubles: Troubles) -> None:
        self._parts = parts
        self._troubles = troubles
        self._threads = parts.threads
        self._saving = Saving(parts)
        self._planning = Planning(parts, troubles)
        self._outward = Outward(parts, self._planning, self._saving)
        self._inward = Inward(parts, self._planning, self._saving)
        self.seen_seq = Seq(0)
        """Up to which seq the server's changes were known at the end of the last round."""
        self._is_fresh = True
        """Since the start nothing was sent: the server may hold what an earlier run sent."""

    @property
    def has_met_server(self) -> bool:
        """Whether the server answered at least once since the start."""
        return self._inward.has_met_server

    @property
    def scanned_ns(self) -> int:
        """When the last scan of everything began that came to its end; 0: none did."""
        return self._outward.scanned_ns

    async def run(self, hints: Hints, *, pull: bool) -> Round:
        """Does one round.

        Args:
            hints: Where to look at the disk.
            pull: Whether the server may have changes.

        Raises:
            Unavailable: The server is away. The disk is not looked at again for that.
            Halted: A guard stopped the plan.
            RootGone: The folder is not there.
        """
        done = Round()
        begun_ns = self._parts.world.clock.now_ns()
        steps_before = self._parts.tally.steps_done
        try:
            await self._run_part(hints, done, pull=pull)
            if self._outward.has_rest:
                # The others know of a moved folder; what is in it is looked at only now.
                await self._run_part(_NO_HINTS, done, pull=False)
            await self._threads.control(self._troubles.end_settled)
            if not done.again and not done.is_overtaken:
                await self._threads.control(self._note_settled, begun_ns)
        finally:
            self._inward.forget()
            await self._threads.control(self._troubles.tell_new)
            await self._saving.now()
        done.steps_count = self._parts.tally.steps_done - steps_before
        done.unsettled_count, self.seen_seq = await self._threads.control(self._look_back)
        self._is_fresh = False
        return done

    # --- a part ------------------------------------------------------------------------------

    async def _run_part(self, hints: Hints, done: Round, *, pull: bool) -> None:
        sending, receiving = self._make_sending(), self._make_receiving()
        try:
            if pull or not self._planning.is_remote_complete:
                await self._inward.pull_page(receiving)
            await self._outward.look(hints, sending, done.again)
            await self._inward.take_new(receiving)
            while not self._planning.is_remote_complete:
                await self._inward.pull_page(receiving)
            try:
                await sending.drain()
            except DrystoneError:
                # A server whose disk is full takes nothing, and gives all the same.
                await receiving.drain()
                raise
            await receiving.drain()
            done.is_overtaken |= sending.is_overtaken
            await self._note_failed(sending, receiving, done)
            await self._plan_rest(done)
        finally:
            await sending.close()
            await receiving.close()

    # --- the rest ----------------------------------------------------------------------------

    async def _plan_rest(self, done: Round) -> None:
        """Plans and carries out until a plan has no steps, or does no more."""
        seen: set[FileId] = set()
        self._parts.materialize.stocks.forget()
        for _ in range(_PLANS_MAX):
            done.again |= await self._threads.control(self._parts.selection.refresh)
            if await self._threads.control(self._parts.pull.find_unlisted) is not None:
                done.is_overtaken = True  # What is below a folder is not known yet.
                return
            try:
                if self._parts.undoing == BURST_HELD:
                    await self._undo(BURST_HELD, done)
                    if done.is_overtaken:
                        return
                plan = await self._threads.control(self._planning.plan_all)
            except Halted as halted:
                if halted.code != self._parts.undoing:
                    raise
                await self._undo(halted.code, done)
                if done.is_overtaken:
                    return
                continue
            self._parts.undoing = ""
            await self._threads.control(self._planning.tell, plan)
            # Also if nothing is planned: what has rested for long enough must not be waited for.
            resting = await self._threads.control(self._troubles.find_resting)
            if not plan.steps:
                return
            if folders := await self._threads.control(
                _find_unseen, self._parts.world.state, plan, seen
            ):
                await self._look_within(folders, done)
                continue
            self._parts.tally.phase("transfer")
            held = await self._threads.control(self._planning.find_held, plan)
            done_count, is_overtaken = await self._carry_out(plan, resting | held, done)
            if is_overtaken or done.is_overtaken:
                # What others did meanwhile is to be known before anything else is planned.
                done.is_overtaken = True
                return
            if not done_count:
                return

    async def _undo(self, code: str, done: Round) -> None:
        """Brings back what a halt keeps back, on the side that lost it.

        What is left then is looked at again, and undone as well, as long as that does something:
        of two names of one file the other shows only when the first is a file of its own again.
        """
        parts, world = self._parts, self._parts.world
        undoing = await self._threads.control(self._planning.plan_undo, code)
        done_count = 0
        if undoing.restored:
            changes = [Restore(file_id) for file_id in undoing.restored]
            for start in range(0, len(changes), COMMIT_CHANGES_MAX):
                part = changes[start : start + COMMIT_CHANGES_MAX]
                await world.remote.commit(part, self.seen_seq, world.new_key())
            done.is_overtaken = True
        if undoing.plan.steps:
            parts.tally.phase("transfer")
            done_count, _ = await self._carry_out(undoing.plan, frozenset(), done)
            # What was not as it was planned for is looked at anew, in a round of its own.
            done.is_overtaken |= done_count < len(undoing.plan.steps)
        if not done_count:
            parts.undoing = ""

    async def _carry_out(
        self, plan: Plan, resting: Collection[FileId], done: Round
    ) -> tuple[int, bool]:
        """Carries out a plan; returns how many steps were, and whether others committed."""
        sending, receiving = self._make_sending(), self._make_receiving()
        carrying = Carrying(self._parts, sending, receiving, plan, resting)
        try:
            await carrying.run()
        except Refused as error:
            if error.code != BURST_HELD:
                raise
            review = await self._threads.control(self._planning.note_burst, plan, error.message)
            raise Halted(review) from error
        finally:
            await sending.close()
            await receiving.close()
        await self._saving.sometimes()
        await self._note_failed(sending, receiving, done)
        return carrying.done_count, sending.is_overtaken

    async def _look_within(self, folders: Mapping[FileId, str], done: Round) -> None:
        # What comes between this look and the next goes nowhere, nor does the folder.
        await self._threads.worker(self._parts.materialize.stocks.take, folders)
        sending = self._make_sending()
        try:
            await self._outward.look_within([*folders.values()], sending, done.again)
            await sending.drain()
            done.is_overtaken |= sending.is_overtaken
            await self._note_unsent(sending, done)
        finally:
            await sending.close()

    async def _note_failed(self, sending: Sending, receiving: Receiving, done: Round) -> None:
        await self._note_unsent(sending, done)
        done.again |= receiving.again
        if receiving.failed:
            noted = await self._threads.control(
                self._troubles.note_unplaced, receiving.failed, frozenset(done.again)
            )
            done.again |= noted.again

    async def _note_unsent(self, sending: Sending, done: Round) -> None:
        if sending.failed:
            noted = await self._threads.control(self._troubles.note_failed, sending.failed)
            done.again |= noted.again
            done.is_overtaken |= noted.is_overtaken

    # --- small things ------------------------------------------------------------------------

    def _make_sending(self) -> Sending:
        parts = self._parts
        return Sending(
            parts.threads, parts.upload, parts.submission, parts.tally, ask=self._is_fresh
        )

    def _make_receiving(self) -> Receiving:
        parts = self._parts
        return Receiving(
            parts.threads,
            parts.world.state,
            parts.fetch,
            parts.materialize,
            parts.tally,
            is_to_be_read=self._is_to_be_read,
        )

    def _is_to_be_read(self, file_id: FileId, stat: Stat) -> bool:
        """On disks with coarse stamps a user may write again before the stamp changes."""
        if stat.ctime_ns % NS_PER_S or not is_racy_at(stat, self._parts.world.clock.now_ns()):
            return False
        self._parts.doubtful.add(file_id)
        return True

    def _note_settled(self, begun_ns: int) -> None:
        """Remembers, to the minute, when both sides agreed last: for whoever asks later, when no
        client runs.
        """
        state = self._parts.world.state
        if state.local_changes or state.remote_changes.keys() - self._parts.selection.ids:
            return
        known_ns = int(state.get(SETTLED_KEY) or 0)
        if not known_ns <= begun_ns < known_ns + _SETTLED_STEP_S * NS_PER_S:
            state.put(SETTLED_KEY, str(begun_ns))

    def _look_back(self) -> tuple[int, Seq]:
        state = self._parts.world.state
        unsettled = state.local_changes.keys() | state.remote_changes.keys()
        unsettled -= self._parts.selection.ids
        return len(unsettled), self._parts.pull.find_seen_seq()


def _find_unseen(state: State, plan: Plan, seen: set[FileId]) -> dict[FileId, str]:
    """Returns where folders are that a plan deletes here, unless they are in ``seen``.

    What somebody has put into one of them since the last look would go with it, although
    nobody ever saw it: so it is looked at again, just before.
    """
    found: dict[FileId, str] = {}
    for step in plan.steps:
        if isinstance(step, Discard) and step.before.kind == Kind.FOLDER:
            file_id = step.before.file_id
            path = None if file_id in seen else state.path_of(state.local, file_id)
            if path:
                found[file_id] = path
            seen.add(file_id)
    return found
