# SPDX-License-Identifier: Apache-2.0
"""Receiving: batches of files on their way down. Fetched side by side, written as they come."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from drystone.client.loop.tally import Tally
from drystone.client.loop.threads import Threads
from drystone.client.ports import ChangedMeanwhile, DiskFull, DiskProblem, Stat, State
from drystone.client.steps.fetch import Fetch, Got, Wanted, needs_bytes
from drystone.client.steps.materialize import DiskStep, Done, Job, Materialize, Problem, StepOutcome
from drystone.core.errors import Corrupt, DrystoneError, Refused
from drystone.core.ids import FileId
from drystone.core.planning.plan import Place, Replace
from drystone.core.tree.entry import Kind

_BATCHES_AT_ONCE: Final = 2
_BATCH_FILES: Final = 4_000
_BATCH_BYTES: Final = 72 * 1024 * 1024
_WRITTEN_FILES: Final = 1_000
_WRITTEN_BYTES: Final = 8 * 1024 * 1024
"""Files written in one go: few thread hops, and little in memory."""


class Receiving:
    """Puts what the server has on the disk.

    Use it as a row: ``put`` any number of times, then ``drain``, and ``close`` in any case.

    Args:
        threads: Where State and the disk are used.
        state: For keeping manifests.
        fetch: Gets bytes.
        materialize: Writes them.
        tally: Counts files.
        is_to_be_read: Tells of a fingerprint whether newer bytes could hide behind it.
    """

    def __init__(
        self,
        threads: Threads,
        state: State,
        fetch: Fetch,
        materialize: Materialize,
        tally: Tally,
        *,
        is_to_be_read: Callable[[FileId, Stat], bool],
    ) -> None:
        self._threads = threads
        self._state = state
        self._fetch = fetch
        self._materialize = materialize
        self._tally = tally
        self._room = asyncio.Semaphore(_BATCHES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_to_be_read = is_to_be_read
        self.failed: list[Problem] = []
        self.again: set[str] = set()
        """Folders to look at again soon: what was written there may have been changed since."""

    async def do_now(self, steps: Sequence[DiskStep]) -> list[StepOutcome]:
        """Carries out steps that need no bytes from elsewhere, in order."""
        if not steps:
            return []
        return await self._write(steps, [])

    async def put(self, steps: Sequence[Place | Replace]) -> None:
        """Puts files whose folders are in place into the row; waits while it is full.

        Raises:
            DrystoneError: An earlier batch failed as a whole.
        """
        await self.do_now([step for step in steps if not needs_bytes(step)])
        wanted = await self._threads.control(self._fetch.prepare, steps)
        self._tally.expect("download", len(steps), sum(one.content.size_bytes for one in wanted))
        for one in wanted:
            if one.is_large:
                await self._begin(self._receive_large(one))
        for batch in _cut([one for one in wanted if not one.is_large]):
            await self._begin(self._receive_small(batch))

    async def drain(self) -> None:
        """Waits until the row is empty. Raises as ``put`` does."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._raise_failure()
        self._tasks.clear()

    async def close(self) -> None:
        """Gives up what is still in the row. Idempotent."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    # --- inside ------------------------------------------------------------------------------

    async def _begin(self, receiving: "asyncio._CoroutineLike[None]") -> None:
        await self._room.acquire()
        self._raise_failure()
        self._tasks = {task for task in self._tasks if not task.done()}
        task = asyncio.create_task(receiving)
        task.add_done_callback(lambda _: self._room.release())
        self._tasks.add(task)

    def _raise_failure(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _receive_small(self, wanted: Sequence[Wanted]) -> None:
        rest = {one.file_id: one for one in wanted}
        waiting: list[Got] = []
        waiting_bytes = 0
        try:
            async for group in self._fetch.iter_small(wanted):
                for one, found in group:
                    del rest[one.file_id]
                    waiting.append((one, found))
                    waiting_bytes += len(found) if isinstance(found, bytes) else 0
                if waiting_bytes >= _WRITTEN_BYTES or len(waiting) >= _WRITTEN_FILES:
                    ready, waiting, waiting_bytes = waiting, [], 0
                    await self._write_got(ready)
        except (Refused, Corrupt) as error:
            # The server does not give these at all; that is not the other files' affair.
            waiting += [(one, error) for one in rest.values()]
        await self._write_got(waiting)

    async def _write_got(self, got: Sequence[Got]) -> None:
        whole = [(one, found) for one, found in got if isinstance(found, bytes)]
        failed = [(one, found) for one, found in got if not isinstance(found, bytes)]
        if failed:
            self.failed += await self._threads.control(self._note_unfetched, failed)
        if whole:
            await self._write([one.step for one, _ in whole], whole)

    def _note_unfetched(self, failed: Sequence[tuple[Wanted, DrystoneError]]) -> list[Problem]:
        jobs = self._materialize.resolve([one.step for one, _ in failed])
        problems = [
            Problem(one.step, job.path, error)
            for job, (one, error) in zip(jobs, failed, strict=True)
        ]
        self._materialize.note(problems)
        return problems

    async def _write(
        self, steps: Sequence[DiskStep], whole: Sequence[tuple[Wanted, bytes]]
    ) -> list[StepOutcome]:
        contents = {one.file_id: data for one, data in whole}
        jobs = await self._threads.control(self._materialize.resolve, steps)
        outcomes = await self._threads.worker(self._materialize.carry_out, jobs, contents)
        await self._note(outcomes)
        return outcomes

    async def _receive_large(self, wanted: Wanted) -> None:
        jobs = await self._threads.control(self._materialize.resolve, [wanted.step])
        job = jobs[0]
        outcome: StepOutcome
        if isinstance(job, Problem):
            outcome = job
        else:
            outcome = await self._build(wanted, job)
        await self._note([outcome])

    async def _build(self, wanted: Wanted, job: Job) -> StepOutcome:
        try:
            build = await self._threads.worker(self._materialize.begin_large, job)
        except DrystoneError as error:
            return Problem(wanted.step, job.path, error)
        try:
            manifest = await self._fetch.build_large(wanted, build)
            await self._threads.control(self._state.keep_manifest, wanted.content.root, manifest)
            return await self._threads.worker(build.finish)
        except (DiskProblem, DiskFull, ChangedMeanwhile, Corrupt, Refused) as error:
            await self._threads.worker(build.drop)
            return Problem(wanted.step, job.path, error)
        except BaseException:
            # The server went away, or we stop: what came is verified, and gone on with later.
            build.leave()
            raise

    async def _note(self, outcomes: Sequence[StepOutcome]) -> None:
        await self._threads.control(self._materialize.note, outcomes)
        done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
        self.again |= {
            path.rpartition("/")[0]
            for step, path, stat in done
            if isinstance(step, Place | Replace)
            and stat is not None
            and stat.kind == Kind.FILE
            and self._is_to_be_read(step.entry.file_id, stat)
        }
        self.failed += [outcome for outcome in outcomes if isinstance(outcome, Problem)]
        self._tally.steps_done += len(done)
        self._tally.finished("download", len(done))


def _cut(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Cuts files into batches of one request each."""
    batches: list[list[Wanted]] = []
    batch: list[Wanted] = []
    length = 0
    for one in wanted:
        if batch and (length >= _BATCH_BYTES or len(batch) >= _BATCH_FILES):
            batches.append(batch)
            batch, length = [], 0
        batch.append(one)
        length += one.content.size_bytes
    if batch:
        batches.append(batch)
    return batches
