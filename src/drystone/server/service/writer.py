# SPDX-License-Identifier: Apache-2.0
"""Writer: the async door to metadata. One thread or a few write in groups, others read.

A unit of work is synchronous and runs whole in one thread hop. Works that wait at the same time
are made durable with one flush: alone, a commit costs a flush; together, they share it.

On an engine that can write side by side each group is of one lane, the namespace that its works
write to: those of one namespace would wait for each other anyway, and a transaction that holds
one namespace alone never waits in a circle.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, Final, NamedTuple, TypeVar

from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.ids import NamespaceId
from drystone.server.ports.metadata import JournalEnd, Metadata, Unit
from drystone.server.ports.watching.tracing import NO_TRACING, Tracing

T = TypeVar("T")

GROUP_WORKS_MAX: Final = 64
"""Works in one group: the first of a group waits for the last, so this bounds its wait."""


class WriterClosed(Unavailable):
    """The server is stopping: nothing more is written."""

    code = "writer-closed"

    def __init__(self) -> None:
        super().__init__("the server is stopping and writes no more", retry_after_s=2.0)


class WriterStats(NamedTuple):
    """What the writer did since it began."""

    works: int
    groups: int
    largest_group: int


class _CopyBehind(Exception):
    """The copy has not what was committed before it was asked."""


class _Job(NamedTuple):
    """One work, where its result goes, and what is told of it once it is durable."""

    work: Callable[[Unit], Any]
    lane: bytes
    future: "asyncio.Future[Any]"
    then: Callable[[Any], None] | None
    loop: asyncio.AbstractEventLoop
    context: Context


class Writer:
    """Runs units of work in threads for callers on an event loop.

    Works of one lane are done in the order in which they were handed over; so are all, if the
    engine writes alone. A work whose caller gave up before it began is left out; one that has
    begun is carried to its end.
    """

    def __init__(
        self, metadata: Metadata, *, read_threads: int = 4, tracing: Tracing = NO_TRACING
    ) -> None:
        self._metadata = metadata
        self._tracing = tracing
        self._readers = ThreadPoolExecutor(read_threads, thread_name_prefix="metadata-read")
        self._waiting: dict[bytes, deque[_Job]] = {}
        """By lane, the one that has waited longest first; one lane where one thread writes."""
        self._changed = threading.Condition()
        self._busy_lanes: set[bytes] = set()
        self._is_closing = False
        self._works = self._groups = self._largest = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"metadata-write-{number}", daemon=True)
            for number in range(metadata.writes_at_once)
        ]
        for thread in self._threads:
            thread.start()

    async def write(
        self,
        work: Callable[[Unit], T],
        *,
        lane: bytes = b"",
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Runs ``work`` in a writing thread and returns once its result is durable.

        Args:
            work: The unit of work. If it raises, nothing of it is kept.
            lane: The namespace that it writes to, if it is one. Works of different lanes may be
                done side by side.
            then: Called on the event loop with the result once it is durable, even if the
                caller was cancelled meanwhile. Must not raise.

        Raises:
            WriterClosed: ``close`` was called before.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = copy_context()  # Log lines from there tell which request it was for.
        with self._changed:
            if self._is_closing:
                raise WriterClosed
            job_lane = lane if self._metadata.writes_at_once > 1 else b""
            job = _Job(lambda unit: context.run(work, unit), job_lane, future, then, loop, context)
            self._waiting.setdefault(job_lane, deque()).append(job)
            self._changed.notify()
        with self._tracing.span("database.write"):
            return await future

    async def read(self, work: Callable[[Unit], T]) -> T:
        """Runs ``work`` on one consistent state, in one of the reading threads."""
        if self._is_closing:
            raise WriterClosed
        loop = asyncio.get_running_loop()
        context = copy_context()
        return await loop.run_in_executor(self._readers, context.run, self._metadata.read, work)

    @property
    def waiting_count(self) -> int:
        """Works that were handed over and have not begun."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    async def read_at_head(
        self,
        namespace_id: NamespaceId,
        check: Callable[[Unit], object],
        work: Callable[[Unit], T],
    ) -> T:
        """Reads much of a namespace: on a copy of the metadata, if there is one that is as far
        as the journal is now; else as ``read`` does.

        Args:
            namespace_id: What is read.
            check: Whether it may be read, which copies do not know yet. If it raises, that is
                the answer.
            work: What reads; does what ``check`` does by itself.
        """
        if not self._metadata.has_copy:
            return await self.read(work)

        def look(unit: Unit) -> int:
            check(unit)
            return unit.tree.head(namespace_id)

        def read_copy() -> T:
            return self._read_copy(namespace_id, self._metadata.read(look), work)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, copy_context().run, read_copy)

    async def read_kept(
        self,
        namespace_id: NamespaceId,
        look: Callable[[Unit], JournalEnd],
        work: Callable[[Unit], T],
        *,
        find: Callable[[JournalEnd], T | None],
        keep: Callable[[JournalEnd, T], None],
    ) -> T:
        """Returns what was kept of a reading at the end that the journal has now; else reads it,
        as ``read_at_head`` does, and has it kept.

        Args:
            namespace_id: What is read.
            look: Whether it may be read, and where the journal ends: asked of the primary each
                time. If it raises, that is the answer.
            work: What reads; does what ``look`` checks by itself.
            find: Returns what was kept for an end, or None. Called in a reading thread, outside
                of any unit of work.
            keep: Keeps what is true at an end; called like ``find``.
        """

        def run() -> T:
            end = self._metadata.read(look)
            found = find(end)
            if found is not None:
                return found

            def work_and_look(unit: Unit) -> tuple[T, JournalEnd]:
                return work(unit), look(unit)

            if self._metadata.has_copy:
                result, end_then = self._read_copy(namespace_id, end.seq, work_and_look)
            else:
                result, end_then = self._metadata.read(work_and_look)
            if end_then == end:
                keep(end, result)
            return result

        if self._is_closing:
            raise WriterClosed
        loop = asyncio.get_running_loop()
        with self._tracing.span("database.read_kept"):
            return await loop.run_in_executor(self._readers, copy_context().run, run)

    def _read_copy(self, namespace_id: NamespaceId, head: int, work: Callable[[Unit], T]) -> T:
        """Reads on the copy if it is as far as ``head``, else on the primary."""

        def work_at_head(unit: Unit) -> T:
            if unit.tree.head(namespace_id) < head:
                raise _CopyBehind
            return work(unit)

        try:
            return self._metadata.read_copy(work_at_head)
        except (_CopyBehind, DrystoneError):
            # What is not there may not have come there yet: the primary has the last word.
            return self._metadata.read(work)

    def stats(self) -> WriterStats:
        """Returns what was written so far: works per group tell how much was shared."""
        return WriterStats(self._works, self._groups, self._largest)

    def close(self) -> None:
        """Finishes what was handed over, then ends the threads. Idempotent; blocks.

        The metadata itself stays open: whoever opened it closes it.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._readers.shutdown(wait=True)

    def _run(self) -> None:
        while jobs := self._take_group():
            try:
                self._carry_out(jobs)
            finally:
                with self._changed:
                    self._busy_lanes.discard(jobs[0].lane)
                    self._changed.notify_all()

    def _take_group(self) -> list[_Job]:
        """Waits for works of a lane that no other thread is busy with, and returns those that
        wait now; none once closed and all are done.
        """
        with self._changed:
            while (lane := self._find_lane()) is None:
                if self._is_closing and not self._waiting:
                    return []
                self._changed.wait()
            waiting = self._waiting.pop(lane)
            count = min(len(waiting), GROUP_WORKS_MAX)
            jobs = [waiting.popleft() for _ in range(count)]
            if waiting:
                self._waiting[lane] = waiting
            self._busy_lanes.add(lane)
            return jobs

    def _find_lane(self) -> bytes | None:
        return next((lane for lane in self._waiting if lane not in self._busy_lanes), None)

    def _carry_out(self, taken: list[_Job]) -> None:
        """Runs one group and hands each result to its event loop."""
        jobs = [job for job in taken if not job.future.cancelled()]
        if not jobs:
            return
        self._works += len(jobs)
        self._groups += 1
        self._largest = max(self._largest, len(jobs))
        try:
            results = self._metadata.write_group([job.work for job in jobs])
        except BaseException as error:  # noqa: BLE001  every waiter is told, whatever it was
            results = [error] * len(jobs)
        for loop in {job.loop for job in jobs}:
            mine = [(j, r) for j, r in zip(jobs, results, strict=True) if j.loop is loop]
            try:
                loop.call_soon_threadsafe(_deliver, mine)
            except RuntimeError:  # That loop is gone, and with it whoever waited.
                continue


def _deliver(results: list[tuple[_Job, object]]) -> None:
    """Settles the futures of one group, on their event loop."""
    for job, result in results:
        if isinstance(result, BaseException):
            if not job.future.done():
                job.future.set_exception(result)
            continue
        if job.then is not None:
            job.context.run(job.then, result)
        if not job.future.done():
            job.future.set_result(result)
