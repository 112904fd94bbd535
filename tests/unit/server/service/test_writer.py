# SPDX-License-Identifier: Apache-2.0

import asyncio
import threading

import pytest

from drystone.core.errors import Unavailable
from drystone.server.service.writer import GROUP_WORKS_MAX, Writer, WriterClosed

pytestmark = pytest.mark.asyncio


class Gate:
    """Metadata that writes nothing, and no group before it is let."""

    def __init__(self):
        self.opened = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.groups = []
        self.fail = None

    def write_group(self, works):
        self.entered.release()
        assert self.opened.acquire(timeout=10)
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
