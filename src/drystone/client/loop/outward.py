# SPDX-License-Identifier: Apache-2.0
"""Outward: look at the disk, and send what is new while the looking goes on."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from drystone.client.loop.parts import Parts, Saving
from drystone.client.loop.planning import Planning
from drystone.client.loop.sending import Sending
from drystone.client.ports import Digested, Hints, Unread
from drystone.client.steps.digest import Digest, DigestOutcome, plan_reading
from drystone.client.steps.scan import ScanBatch
from drystone.core.ids import FileId
from drystone.core.planning.plan import Submit

_HELD_BYTES: Final = 16 * 1024 * 1024
"""Of files of one batch, kept in memory until they are sent. A few batches are under way."""
_BATCH_FILES: Final = 4_000
_BATCH_BYTES: Final = 72 * 1024 * 1024
"""New files that are read, sent and committed together."""


class Outward:
    """Looks at the disk.

    Args:
        parts: The steps.
        planning: Makes plans of what is new.
        saving: Saves now and then.
    """

    def __init__(self, parts: Parts, planning: Planning, saving: Saving) -> None:
        self._parts = parts
        self._planning = planning
        self._saving = saving
        self._threads = parts.threads
        self.scanned_ns = 0
        """When the last scan of everything began that came to its end; 0: none did."""

    @property
    def has_rest(self) -> bool:
        """Whether what was looked at has left something to look at: call ``look`` again."""
        return self._parts.scan.has_rest

    async def look(self, hints: Hints, sending: Sending, again: set[str]) -> None:
        """Looks where hints say, or everywhere as long as that was not done.

        Args:
            hints: Where; without any, at what an earlier look has left (``has_rest``).
            sending: Takes what is new.
            again: Gets the folders to look at again soon.
        """
        if not self._planning.is_local_complete:
            hints = Hints(frozenset(), all=True)
        scan = self._parts.scan
        begun_ns = self._parts.world.clock.now_ns()
        if hints.all:
            self._parts.tally.phase("scan")
            await self._verify()
            self._planning.is_local_complete = False
            batches = scan.full()
        elif hints.folders:
            self._parts.tally.phase("scan")
            batches = scan.hinted(hints.folders)
        elif scan.has_rest:
            batches = scan.below()
        else:
            return
        await self._take_all(batches, sending, again, is_all=hints.all)
        self._planning.is_local_complete = True
        if hints.all:
            self.scanned_ns = begun_ns

    async def look_within(self, folders: Sequence[str], sending: Sending, again: set[str]) -> None:
        """Looks at these folders and all below them, whatever was hinted."""
        batches = self._parts.scan.within(folders)
        await self._take_all(batches, sending, again, is_all=False)

    async def _take_all(
        self, batches: Iterator[ScanBatch], sending: Sending, again: set[str], *, is_all: bool
    ) -> None:
        try:
            while (found := await self._threads.control(_take_some, batches)) is not None:
                self._parts.tally.scanned(
                    found.folders_count + found.files_count, is_all=is_all and found.is_complete
                )
                await self._take_batch(found, sending, again)
                await self._saving.sometimes()
        finally:
            await self._threads.control(_close, batches)

    async def _verify(self) -> None:
        """After a power loss: forgets what did not survive it, before it is missed."""
        verify = self._parts.verify
        while doubts := await self._threads.control(verify.find):
            verdicts = await self._threads.worker(verify.look, doubts)
            await self._threads.control(verify.note, verdicts)

    async def _take_batch(self, batch: ScanBatch, sending: Sending, again: set[str]) -> None:
        """Reads what a scan found and, if that may go, sends what is new."""
        may_send = self._planning.is_remote_complete and bool(batch.created)
        making: asyncio.Task[None] | None = None
        if may_send:
            making = asyncio.create_task(self._send_folders(batch.created, sending))
        try:
            held = await self._read(batch.unread, again)
            if making is None:
                return
            await making
        finally:
            if making is not None and not making.done():
                making.cancel()
                await asyncio.wait([making])
        plan = await self._threads.control(self._planning.plan_new, batch.created)
        steps = [step for step in plan.steps if isinstance(step, Submit)]
        if steps:
            self._parts.tally.expect("upload", len(steps), sum(map(_content_bytes, steps)))
            await sending.put(steps, held)

    async def _send_folders(self, created: Sequence[FileId], sending: Sending) -> None:
        """Commits new folders at once, so that what is in them can be planned."""
        plan = await self._threads.control(self._planning.plan_new_folders, created)
        steps = [step for step in plan.steps if isinstance(step, Submit)]
        if steps:
            self._parts.tally.expect("upload", len(steps), 0)
            await sending.commit_now(steps)

    async def _read(self, unread: Sequence[Unread], again: set[str]) -> dict[FileId, bytes]:
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
                outcomes.append(await self._threads.worker(digest.judge, known))
        again |= await self._threads.control(digest.note, outcomes)
        return {
            outcome.unread.file_id: outcome.data
            for outcome in outcomes
            if isinstance(outcome, Digested) and outcome.data is not None
        }


def _content_bytes(step: Submit) -> int:
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
