# SPDX-License-Identifier: Apache-2.0
"""One round: see both sides, move what is new at once, then plan and carry out the rest."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from drystone.client.loop.carrying import Carrying
from drystone.client.loop.parts import Parts
from drystone.client.loop.receiving import Receiving
from drystone.client.loop.sending import Sending
from drystone.client.loop.troubles import Troubles
from drystone.client.ports import Digested, Hints, Unread
from drystone.client.steps.digest import Digest, DigestOutcome, plan_reading
from drystone.client.steps.scan import ScanBatch
from drystone.core.ids import FileId, Seq
from drystone.core.planning.plan import Place, Plan, Replace, Submit
from drystone.core.planning.reconcile import reconcile
from drystone.core.tree.entry import Kind

_PLANS_MAX: Final = 8
"""Plans in one round: each does what the one before made possible."""
_SAVE_S: Final = 3.0
"""What a kill costs is observed again; saving more often writes twice what is under way."""
_HELD_BYTES: Final = 16 * 1024 * 1024
"""Of files of one batch, kept in memory until they are sent. A few batches are under way."""
_BATCH_FILES: Final = 4_000
_BATCH_BYTES: Final = 72 * 1024 * 1024
"""New files that are read, sent and committed together; their bytes are in memory."""


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
        self._is_local_complete = False
        self._is_remote_complete = False
        self._in_flight: set[FileId] = set()
        self._news: list[FileId] = []
        """What the server told, as long as it may not be planned by itself."""
        self._saved_s = parts.world.clock.monotonic_s()
        self.has_met_server = False
        self.seen_seq = Seq(0)
        """Up to which seq the server's changes were known at the end of the last round."""
        self._is_fresh = True
        """Since the start nothing was sent: the server may hold what an earlier run sent."""

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
        steps_before = self._parts.tally.steps_done
        sending = self._make_sending()
        receiving = self._make_receiving()
        try:
            if pull or not self._is_remote_complete:
                await self._pull_page(receiving)
            await self._look(hints, sending, done)
            await self._take_new(receiving)
            while not self._is_remote_complete:
                await self._pull_page(receiving)
            await sending.drain()
            await receiving.drain()
            done.is_overtaken = sending.is_overtaken
            await self._note_failed(sending, receiving, done)
            await self._plan_rest(done)
            await self._threads.control(self._troubles.end_settled)
        finally:
            await sending.close()
            await receiving.close()
            self._in_flight.clear()
            self._news = []
            await self._threads.control(self._troubles.tell_new)
            await self._threads.control(self._parts.world.state.save)
        done.steps_count = self._parts.tally.steps_done - steps_before
        done.unsettled_count, self.seen_seq = await self._threads.control(self._look_back)
        self._is_fresh = False
        return done

    # --- the disk ----------------------------------------------------------------------------

    async def _look(self, hints: Hints, sending: Sending, done: Round) -> None:
        if not self._is_local_complete:
            hints = Hints(frozenset(), all=True)
        if not hints.all and not hints.folders:
            return
        self._parts.tally.phase("scan")
        if hints.all:
            await self._verify()
        scan = self._parts.scan
        batches = scan.full() if hints.all else scan.hinted(hints.folders)
        if hints.all:
            self._is_local_complete = False
        try:
            while (found := await self._threads.control(_take_some, batches)) is not None:
                self._parts.tally.scanned(
                    found.folders_count + found.files_count,
                    is_all=hints.all and found.is_complete,
                )
                await self._take_batch(found, sending, done)
                await self._save_sometimes()
        finally:
            await self._threads.control(_close, batches)
        self._is_local_complete = True

    async def _verify(self) -> None:
        """After a power loss: forgets what did not survive it, before it is missed."""
        verify = self._parts.verify
        while doubts := await self._threads.control(verify.find):
            verdicts = await self._threads.worker(verify.look, doubts)
            await self._threads.control(verify.note, verdicts)

    async def _take_batch(self, batch: ScanBatch, sending: Sending, done: Round) -> None:
        """Reads what a scan found and, if that may go, sends what is new."""
        may_send = self._is_remote_complete and bool(batch.created)
        making: asyncio.Task[None] | None = None
        if may_send:
            making = asyncio.create_task(self._send_folders(batch.created, sending))
        try:
            held = await self._read(batch.unread, done)
            if making is None:
                return
            await making
        finally:
            if making is not None and not making.done():
                making.cancel()
                await asyncio.wait([making])
        plan = await self._threads.control(self._plan_new, batch.created)
        steps = [step for step in plan.steps if isinstance(step, Submit)]
        if steps:
            self._parts.tally.expect("upload", len(steps), sum(map(_content_bytes, steps)))
            await sending.put(steps, held)

    async def _send_folders(self, created: Sequence[FileId], sending: Sending) -> None:
        """Commits new folders at once, so that what is in them can be planned."""
        plan = await self._threads.control(self._plan_new_folders, created)
        steps = [step for step in plan.steps if isinstance(step, Submit)]
        if steps:
            self._parts.tally.expect("upload", len(steps), 0)
            await sending.commit_now(steps)

    async def _read(self, unread: Sequence[Unread], done: Round) -> dict[FileId, bytes]:
        """Reads files and notes what they hold; returns the bytes of small ones."""
        if not unread:
            return {}
        digest = self._parts.digest
        reading = plan_reading(unread)
        outcomes: list[DigestOutcome] = []
        room = _Room(_HELD_BYTES)
        for found in await asyncio.gather(
            *(self._threads.worker(_read_group, digest, group, room) for group in reading.groups)
        ):
            outcomes += found
        for one in reading.large:
            known = await self._threads.control(digest.recall, one)
            if known is None:
                outcomes.append(await self._threads.worker(digest.read_large, one))
            else:
                outcomes.append(known)
        done.again |= await self._threads.control(digest.note, outcomes)
        return {
            outcome.unread.file_id: outcome.data
            for outcome in outcomes
            if isinstance(outcome, Digested) and outcome.data is not None
        }

    # --- the server --------------------------------------------------------------------------

    async def _pull_page(self, receiving: Receiving) -> None:
        pull = self._parts.pull
        cursor = await self._threads.control(pull.find_cursor)
        page = await pull.read(cursor)
        self.has_met_server = True
        self._is_remote_complete = False
        pulled = await self._threads.control(pull.note, page)
        self._news += pulled.changed
        await self._take_new(receiving)
        while (folder := await self._threads.control(pull.find_unlisted)) is not None:
            after = ""
            while True:
                entries, after = await pull.list_below(folder, after)
                listed = await self._threads.control(pull.note_listed, folder, entries, after)
                self._news += listed.changed
                await self._take_new(receiving)
                if not after:
                    break
        self._is_remote_complete = not pulled.has_more
        await self._save_sometimes()

    async def _take_new(self, receiving: Receiving) -> None:
        """Begins to put on the disk what is new on the server, as soon as that may go."""
        if not self._is_local_complete or not self._news:
            return
        news = [file_id for file_id in self._news if file_id not in self._in_flight]
        self._news = []
        plan = await self._threads.control(self._plan_new, news)
        placed = [step for step in plan.steps if isinstance(step, Place)]
        if not placed:
            return
        self._parts.tally.phase("transfer")
        self._in_flight.update(step.entry.file_id for step in placed)
        await receiving.do_now([step for step in placed if step.entry.kind == Kind.FOLDER])
        await receiving.put([step for step in placed if step.entry.kind != Kind.FOLDER])

    # --- the rest ----------------------------------------------------------------------------

    async def _plan_rest(self, done: Round) -> None:
        """Plans and carries out until a plan has no steps, or does no more."""
        for _ in range(_PLANS_MAX):
            plan = await self._threads.control(self._plan_all)
            await self._threads.control(self._tell_plan, plan)
            if not plan.steps:
                return
            self._parts.tally.phase("transfer")
            sending, receiving = self._make_sending(), self._make_receiving()
            resting = self._troubles.find_resting()
            carrying = Carrying(self._parts, sending, receiving, plan, resting)
            try:
                await carrying.run()
            finally:
                await sending.close()
                await receiving.close()
            await self._save_sometimes()
            await self._note_failed(sending, receiving, done)
            if sending.is_overtaken or done.is_overtaken:
                # What others did meanwhile is to be known before anything else is planned.
                done.is_overtaken = True
                return
            if not carrying.done_count:
                return

    def _plan_new(self, candidates: Sequence[FileId]) -> Plan:
        """Plans what is new on one side, while the other may not be known whole."""
        state = self._parts.world.state
        policy = self._parts.policy(
            local_complete=self._is_local_complete, remote_complete=self._is_remote_complete
        )
        return reconcile(candidates, state.local, state.synced, state.remote, policy)

    def _plan_new_folders(self, created: Sequence[FileId]) -> Plan:
        changes = self._parts.world.state.local_changes
        folders = [
            file_id
            for file_id in created
            if (change := changes.get(file_id)) is not None
            and change.entry is not None
            and change.entry.kind == Kind.FOLDER
        ]
        return self._plan_new(folders)

    def _plan_all(self) -> Plan:
        state = self._parts.world.state
        candidates = [*state.local_changes]
        candidates += [i for i in state.remote_changes if i not in state.local_changes]
        policy = self._parts.policy(local_complete=True, remote_complete=True)
        plan = reconcile(candidates, state.local, state.synced, state.remote, policy)
        self._troubles.check_halt(plan, policy.permissions)
        return plan

    def _tell_plan(self, plan: Plan) -> None:
        state, tally = self._parts.world.state, self._parts.tally
        for conflict in plan.conflicts:
            path = state.path_of(state.local, conflict.file_id) or conflict.name
            tally.conflict(conflict, path)
        self._troubles.note_unplaceable(plan.unplaceable)

    async def _note_failed(self, sending: Sending, receiving: Receiving, done: Round) -> None:
        troubles = self._troubles
        if sending.failed:
            noted = await self._threads.control(troubles.note_failed, sending.failed)
            done.again |= noted.again
            done.is_overtaken |= noted.is_overtaken
        if receiving.failed:
            noted = await self._threads.control(troubles.note_unplaced, receiving.failed)
            done.again |= noted.again

    # --- small things ------------------------------------------------------------------------

    def _make_sending(self) -> Sending:
        parts = self._parts
        return Sending(
            parts.threads, parts.upload, parts.submission, parts.tally, ask=self._is_fresh
        )

    def _make_receiving(self) -> Receiving:
        parts = self._parts
        return Receiving(
            parts.threads, parts.world.state, parts.fetch, parts.materialize, parts.tally
        )

    async def _save_sometimes(self) -> None:
        now_s = self._parts.world.clock.monotonic_s()
        if now_s - self._saved_s >= _SAVE_S:
            await self._threads.control(self._parts.world.state.save)
            self._saved_s = self._parts.world.clock.monotonic_s()

    def _look_back(self) -> tuple[int, Seq]:
        state = self._parts.world.state
        unsettled = state.local_changes.keys() | state.remote_changes.keys()
        return len(unsettled), self._parts.pull.find_seen_seq()


def _content_bytes(step: Submit | Place | Replace) -> int:
    entry = step.entry
    return 0 if entry is None or entry.content is None else entry.content.size_bytes


class _Room:
    """How many bytes of files may still be kept from their reading to their sending."""

    def __init__(self, length_bytes: int) -> None:
        self._rest_bytes = length_bytes

    def take(self, length_bytes: int) -> bool:
        """Tells whether there is room for so much more, and if so takes it.

        Two threads may both find the last of it: then a little more is kept.
        """
        if length_bytes > self._rest_bytes:
            return False
        self._rest_bytes -= length_bytes
        return True


def _read_group(digest: Digest, group: Sequence[Unread], room: _Room) -> list[DigestOutcome]:
    """Reads files; keeps the bytes of those for which there is room. The rest is read again
    when it is sent, if it is: out of the page cache.
    """
    return [
        outcome._replace(data=None)
        if isinstance(outcome, Digested)
        and outcome.data is not None
        and not room.take(len(outcome.data))
        else outcome
        for outcome in digest.read_group(group)
    ]


def _take_some(batches: Iterator[ScanBatch]) -> ScanBatch | None:
    """Returns the next stretch of a scan: enough for one request, and one commit."""
    found = next(batches, None)
    if found is None:
        return None
    files_count = len(found.unread)
    length = sum(one.stat.size_bytes for one in found.unread)
    parts = [found]
    while not found.is_complete and files_count < _BATCH_FILES and length < _BATCH_BYTES:
        more = next(batches, None)
        if more is None:
            break
        found = more
        parts.append(more)
        files_count += len(more.unread)
        length += sum(one.stat.size_bytes for one in more.unread)
    return found._replace(
        created=tuple(chain.from_iterable(part.created for part in parts)),
        unread=tuple(chain.from_iterable(part.unread for part in parts)),
    )


def _close(batches: Iterator[ScanBatch]) -> None:
    close = getattr(batches, "close", None)
    if close is not None:
        close()
