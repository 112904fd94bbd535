# SPDX-License-Identifier: Apache-2.0
"""Sending: batches of changes on their way up. Contents side by side, commits in order."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from drystone.client.loop.tally import Tally
from drystone.client.loop.threads import Threads
from drystone.client.steps.submit import RefusedStep, Submission
from drystone.client.steps.upload import Outgoing, Upload
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.ids import FileId
from drystone.core.journal.change import Create, Edit
from drystone.core.limits import COMMIT_CHANGES_MAX
from drystone.core.planning.plan import Submit

_SERVER_FULL: Final = "server-storage-full"
_BATCHES_AT_ONCE: Final = 2
"""Their bytes are in memory: about 32 MiB each."""


class Unsent(NamedTuple):
    """A change whose content could not be sent."""

    step: Submit
    error: DrystoneError


Failed = RefusedStep | Unsent


class Sending:
    """A row of batches. Each is uploaded as soon as there is room, and committed in turn.

    Use it as a context; at its end nothing is left running.

    Args:
        threads: Where State is used.
        upload: Sends contents.
        submission: Commits changes.
        tally: Counts files.
        ask: Whether to ask for missing blocks even where there are only a few small ones.
    """

    def __init__(
        self,
        threads: Threads,
        upload: Upload,
        submission: Submission,
        tally: Tally,
        *,
        ask: bool = True,
    ) -> None:
        self._threads = threads
        self._upload = upload
        self._submission = submission
        self._tally = tally
        self._ask = ask
        self._turn = asyncio.Lock()
        self._room = asyncio.Semaphore(_BATCHES_AT_ONCE)
        self._last: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: list[Failed] = []
        self.is_overtaken = False
        """Somebody else committed in between: the changes must be read."""

    async def put(self, steps: Sequence[Submit], held: Mapping[FileId, bytes]) -> None:
        """Puts a batch at the end of the row; waits while the row is full.

        Raises:
            DrystoneError: An earlier batch failed as a whole.
        """
        for start in range(0, len(steps), COMMIT_CHANGES_MAX):
            await self._room.acquire()
            self._raise_failure()
            part = steps[start : start + COMMIT_CHANGES_MAX]
            task = asyncio.create_task(self._send(part, held, self._last))
            self._tasks.add(task)
            self._last = task

    async def commit_now(self, steps: Sequence[Submit]) -> None:
        """Commits changes without content, past those in the row that are not committed yet."""
        for start in range(0, len(steps), COMMIT_CHANGES_MAX):
            await self._commit(steps[start : start + COMMIT_CHANGES_MAX])

    async def drain(self) -> None:
        """Waits until the row is empty. Raises as ``put`` does."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._raise_failure()
        self._tasks.clear()
        self._last = None

    async def close(self) -> None:
        """Gives up what is still in the row. Idempotent."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    def _raise_failure(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _send(
        self,
        steps: Sequence[Submit],
        held: Mapping[FileId, bytes],
        before: asyncio.Task[None] | None,
    ) -> None:
        try:
            outgoing = await self._threads.control(self._upload.prepare, steps, held)
            failures, full = await self._send_contents(outgoing)
            if before is not None:
                # Parents first. If the one before failed as a whole, so does this one.
                await asyncio.wait([before])
                if before.cancelled() or before.exception() is not None:
                    return
            await self._commit([s for s in steps if not self._is_unsent(s, failures)])
            if full is not None:
                raise full
        finally:
            self._room.release()

    async def _send_contents(
        self, files: Sequence[Outgoing]
    ) -> tuple[dict[FileId, DrystoneError], Unavailable | None]:
        """Sends contents; returns what could not be sent, and the server's word if it is full.

        What is too large for a server that is nearly full does not keep back what it can still
        take: then the smaller half is tried, half of that, and so on, as often as it takes to
        come to a single file, and on from there.
        """
        failures: dict[FileId, DrystoneError] = {}
        full: Unavailable | None = None
        rest = list(files)
        count = len(rest)
        ask = self._ask
        for _ in range(2 * count.bit_length() + 1):
            if not count:
                break
            try:
                failures |= await self._upload.send(rest[:count], ask=ask)
            except Unavailable as error:
                if error.code != _SERVER_FULL:
                    raise
                if full is None:
                    rest.sort(key=lambda file: file.content.size_bytes)
                full, ask = error, True
                count //= 2
            else:
                rest = rest[count:]
                count = (len(rest) + 1) // 2 if full is not None else 0
        if full is not None:
            failures |= {file.file_id: full for file in rest}
        return failures, full

    def _is_unsent(self, step: Submit, failures: Mapping[FileId, DrystoneError]) -> bool:
        if not failures or step.entry is None or not isinstance(step.change, Create | Edit):
            return False
        error = failures.get(step.entry.file_id)
        if error is not None:
            self.failed.append(Unsent(step, error))
        return error is not None

    async def _commit(self, steps: Sequence[Submit]) -> None:
        if not steps:
            return
        # One at a time: each tells up to which seq the tree was known before it.
        async with self._turn:
            prepared = await self._threads.control(self._submission.prepare, steps)
            result = await self._submission.send(prepared)
            refused = await self._threads.control(self._submission.note, prepared, result)
        self.failed += refused
        if result.head_before != prepared.seen_seq:
            self.is_overtaken = True
        self._tally.steps_done += len(steps) - len(refused)
        self._tally.finished("upload", len(steps) - len(refused))
