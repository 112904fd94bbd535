# SPDX-License-Identifier: Apache-2.0

import asyncio
import threading
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

from drystone.core.errors import Unavailable
from drystone.server.service.writer import GROUP_WORKS_MAX, Writer, WriterClosed

pytestmark = pytest.mark.asyncio


class Gate:
    """Metadata that writes nothing, and no group before it is let."""

    has_copy = False

    def __init__(self, writes_at_once=1):
        self.writes_at_once = writes_at_once
        self.opened = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.groups = []
        self.fail = None

    def write_group(self, works):
        self.entered.release()
        assert self.opened.acquire(timeout=120)
        self.groups.append(len(works))
        if self.fail:
            raise self.fail
        return [self._run(work) for work in works]

    def read(self, work):
        return work(None)

    @staticmethod
    def _run(work):
        try:
            return work(None)
        except ValueError as error:
            return error


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def writer(gate):
    writer = Writer(gate, read_threads=1)
    yield writer
    gate.opened.release(1000)
    writer.close()


class Spans:
    """Tracing that keeps the names of spans, each with those it is in."""

    is_on = True

    def __init__(self):
        self.opened = []
        self._inside = ContextVar("inside", default=())

    @contextmanager
    def span(self, name, headers=None):
        inside = (*self._inside.get(), name)
        self.opened.append(inside)
        token = self._inside.set(inside)
        yield
        self._inside.reset(token)


async def start(writer, gate, *works, **options):
    """Hands over a first work, which is being written, and more that wait behind it."""
    first = asyncio.ensure_future(writer.write(lambda _: "first"))
    await asyncio.to_thread(gate.entered.acquire)
    rest = [asyncio.ensure_future(writer.write(work, **options)) for work in works]
    await asyncio.sleep(0)
    return first, rest


async def test_works_that_wait_together_are_written_in_one_group_in_order(writer, gate):
    order = []
    first, rest = await start(
        writer, gate, *[lambda _, n=n: order.append(n) or n for n in range(5)]
    )
    gate.opened.release(2)

    assert await first == "first"
    assert await asyncio.gather(*rest) == [0, 1, 2, 3, 4]
    assert order == [0, 1, 2, 3, 4]
    assert gate.groups == [1, 5]
    assert writer.stats() == (6, 2, 5)


async def test_group_is_bounded(writer, gate):
    _, rest = await start(writer, gate, *[lambda _: None] * (GROUP_WORKS_MAX + 1))
    gate.opened.release(3)
    await asyncio.gather(*rest)

    assert gate.groups == [1, GROUP_WORKS_MAX, 1]


async def test_work_that_raises_fails_alone(writer, gate):
    def bad(_):
        raise ValueError("bad")

    _, [good, failing, other] = await start(writer, gate, lambda _: 1, bad, lambda _: 2)
    gate.opened.release(2)

    assert (await good, await other) == (1, 2)
    with pytest.raises(ValueError, match="bad"):
        await failing


async def test_failed_flush_fails_every_work_of_the_group(writer, gate):
    gate.fail = Unavailable("disk gone")
    first, _ = await start(writer, gate)
    gate.opened.release(1)

    with pytest.raises(Unavailable, match="disk gone"):
        await first


async def test_work_is_told_of_though_its_caller_gave_up_meanwhile(writer, gate):
    told = []
    work = asyncio.ensure_future(writer.write(lambda _: 7, then=told.append))
    await asyncio.to_thread(gate.entered.acquire)
    work.cancel()
    gate.opened.release(2)
    await writer.write(lambda _: None)

    assert work.cancelled()
    assert told == [7]


async def test_work_whose_caller_gave_up_before_it_began_is_left_out(writer, gate):
    done = []
    _, [given_up, other] = await start(writer, gate, lambda _: done.append(1), lambda _: 2)
    given_up.cancel()
    await asyncio.sleep(0)
    gate.opened.release(2)

    assert await other == 2
    assert done == []


async def test_closing_finishes_what_was_handed_over_and_takes_no_more(writer, gate):
    first, rest = await start(writer, gate, lambda _: 1, lambda _: 2)
    gate.opened.release(2)
    await asyncio.to_thread(writer.close)

    assert [await first, *await asyncio.gather(*rest)] == ["first", 1, 2]
    with pytest.raises(WriterClosed):
        await writer.write(lambda _: None)
    with pytest.raises(WriterClosed):
        await writer.read(lambda _: None)


async def test_reads_do_not_wait_for_writes(writer, gate):
    await start(writer, gate)

    assert await writer.read(lambda _: "read") == "read"


async def test_lanes_are_written_side_by_side_and_each_in_its_order():
    gate = Gate(writes_at_once=2)
    writer = Writer(gate, read_threads=1)
    order = []

    def work(lane, number):
        return lambda _: order.append((lane, number))

    def write(lane, number):
        return asyncio.ensure_future(writer.write(work(lane, number), lane=lane))

    try:
        works = [write(b"a", 0), write(b"b", 0)]
        for _ in range(2):
            assert await asyncio.to_thread(gate.entered.acquire, timeout=120)
        # Both threads are busy, each with a lane of its own: what comes now waits for its own.
        works += [write(lane, number) for number in (1, 2, 3) for lane in (b"a", b"b")]
        works.append(write(b"c", 0))
        gate.opened.release(1000)
        await asyncio.gather(*works)
    finally:
        gate.opened.release(1000)
        await asyncio.to_thread(writer.close)

    for lane in (b"a", b"b"):
        assert [number for other, number in order if other == lane] == [0, 1, 2, 3]
    assert (b"c", 0) in order
    # No group is of two lanes.
    assert sorted(gate.groups) == [1, 1, 1, 3, 3]


class Copied:
    """Metadata whose copy is as far as a test says."""

    writes_at_once = 1
    has_copy = True

    def __init__(self, head, copy_head):
        self.unit, self.copy = Unit(head), Unit(copy_head)

    def read(self, work):
        return work(self.unit)

    def read_copy(self, work):
        return work(self.copy)


class Unit:
    def __init__(self, head):
        self.tree = self
        self._head = head

    def head(self, _namespace_id):
        return self._head


@pytest.mark.parametrize(("copy_head", "is_copy"), [(7, True), (8, True), (6, False)])
async def test_a_copy_is_read_if_it_is_as_far_as_the_journal(copy_head, is_copy):
    metadata = Copied(7, copy_head)
    writer = Writer(metadata, read_threads=1)
    checked = []
    try:
        read = await writer.read_at_head(b"n", checked.append, lambda unit: unit)
    finally:
        await asyncio.to_thread(writer.close)

    assert read is (metadata.copy if is_copy else metadata.unit)
    assert checked == [metadata.unit]


async def test_who_may_not_read_is_refused_though_a_copy_would_still_let_him():
    metadata = Copied(7, 7)
    writer = Writer(metadata, read_threads=1)

    def check(unit):
        if unit is metadata.unit:
            raise Unavailable("no longer")

    try:
        with pytest.raises(Unavailable, match="no longer"):
            await writer.read_at_head(b"n", check, lambda unit: unit)
    finally:
        await asyncio.to_thread(writer.close)


async def test_what_a_copy_refuses_is_asked_of_the_primary():
    metadata = Copied(7, 7)
    writer = Writer(metadata, read_threads=1)

    def work(unit):
        if unit is metadata.copy:
            raise Unavailable("away")
        return "primary"

    try:
        assert await writer.read_at_head(b"n", lambda _: None, work) == "primary"
    finally:
        await asyncio.to_thread(writer.close)


async def test_works_that_wait_are_counted(writer, gate):
    before = writer.waiting_count
    first, others = await start(writer, gate, *[lambda _: None] * 3)
    waiting = writer.waiting_count
    gate.opened.release(1000)
    await asyncio.gather(first, *others)

    assert (before, waiting, writer.waiting_count) == (0, 3, 0)


async def test_spans_are_open_around_what_was_handed_over(gate):
    spans = Spans()
    writer = Writer(gate, read_threads=1, tracing=spans)
    gate.opened.release(1000)

    def then(_):
        with spans.span("then"):
            pass

    def find(_):
        with spans.span("find"):
            return "kept"

    with spans.span("request"):
        await writer.write(lambda _: None, then=then)
        await writer.read_kept(b"", lambda _: None, lambda _: None, find=find, keep=None)
    writer.close()

    assert set(spans.opened) == {
        ("request",),
        ("request", "database.write"),
        ("request", "then"),
        ("request", "database.read_kept"),
        ("request", "database.read_kept", "find"),
    }
