# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest

from drystone.server.service.duties import MetadataDuties
from drystone.server.service.writer import Writer
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.workers.duty import Duty, DutyLost
from drystone.server.workers.gentle import run_if_due
from drystone.testing.fakes.clock import ManualClock

pytestmark = pytest.mark.asyncio

NAME = "collect"


@pytest.fixture
def metadata():
    return MemoryMetadata()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def writer(metadata):
    writer = Writer(metadata, read_threads=1)
    yield writer
    writer.close()


@pytest.fixture
def others(metadata, clock):
    return MetadataDuties(metadata, clock)


def make_duty(writer, clock, lasts_s=60.0):
    return Duty(writer, clock, NAME, "me", lasts_s=lasts_s)


async def test_duty_that_is_sure_costs_no_write(writer, clock):
    duty = make_duty(writer, clock)
    assert not duty.is_sure()
    assert await duty.ensure()
    works = writer.stats().works

    assert await duty.ensure()
    assert duty.is_sure()
    assert writer.stats().works == works


async def test_duty_of_another_is_not_had(writer, clock, others):
    assert others.take(NAME, "other", 60)
    duty = make_duty(writer, clock)

    assert not await duty.ensure()
    assert not duty.is_sure()
    await duty.release()
    assert not others.take(NAME, "third", 60)


async def test_released_duty_is_free(writer, clock, others):
    duty = make_duty(writer, clock)
    await duty.ensure()
    await duty.release()

    assert others.take(NAME, "other", 60)


async def test_what_is_written_without_the_duty_is_refused(writer, clock, others):
    duty = make_duty(writer, clock)
    await duty.ensure()
    await writer.write(duty.require)
    clock.advance(61)
    assert others.take(NAME, "other", 60)

    with pytest.raises(DutyLost):
        await writer.write(duty.require)


async def test_job_runs_under_its_duty_which_is_let_go_of_after(writer, clock, others):
    duty = make_duty(writer, clock)
    seen = []

    async def job():
        seen.append(others.take(NAME, "other", 60))

    assert await duty.perform(job)
    assert seen == [False]
    assert others.take(NAME, "other", 60)
    assert not await duty.perform(job)
    assert len(seen) == 1


async def test_job_that_fails_lets_go_of_its_duty(writer, clock, others):
    async def job():
        raise LookupError

    with pytest.raises(LookupError):
        await make_duty(writer, clock).perform(job)
    assert others.take(NAME, "other", 60)


async def test_job_is_cancelled_when_its_duty_is_lost(writer, clock, others):
    duty = make_duty(writer, clock, lasts_s=0.01)
    ended = []

    async def job():
        clock.advance(61)  # ... a jump: to others the lease is over.
        assert others.take(NAME, "other", 60)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(DutyLost):
        await duty.perform(job)
    assert ended
    assert not others.take(NAME, "third", 1)


async def test_long_job_keeps_its_duty(writer, clock, others):
    duty = make_duty(writer, clock, lasts_s=0.02)
    renewals = []

    async def job():
        before = writer.stats().works
        while writer.stats().works < before + 3:
            renewals.append(duty.is_sure())
            await asyncio.sleep(0)

    assert await duty.perform(job)
    assert renewals


async def test_what_is_due_once_a_day_is_done_by_one_of_many_workers(writer, clock):
    workers = [Duty(writer, clock, NAME, f"worker {number}") for number in range(3)]
    runs = []

    def run():
        runs.append(clock.now_ns())
        yield 0

    for _ in range(72):
        for duty in workers:
            await run_if_due(duty, 86_400, run)
        clock.advance(3_600)
    assert len(runs) == 3
    # ... by whoever comes first, and whoever is started anew is no other one.
    await run_if_due(Duty(writer, clock, NAME, "another"), 86_400, run)
    await run_if_due(workers[0], 86_400, run)
    assert len(runs) == 4
    # With another interval it is another matter.
    await run_if_due(workers[0], 3_600, run)
    assert len(runs) == 5


async def test_what_was_broken_off_is_still_due(writer, clock):
    duty, runs = make_duty(writer, clock), []

    def run():
        runs.append(0)
        yield 0
        if len(runs) == 1:
            raise LookupError

    with pytest.raises(LookupError):
        await run_if_due(duty, 60, run)
    await run_if_due(duty, 60, run)
    await run_if_due(duty, 60, run)
    assert len(runs) == 2


async def test_done_by_a_clock_that_was_ahead_is_due_an_interval_after_that_is_seen(writer, clock):
    duty = make_duty(writer, clock)
    clock.advance(1_000_000)
    await duty.note_done(60)
    clock.advance(-1_000_000)
    assert not await duty.is_due(60)
    clock.advance(60)
    assert await duty.is_due(60)


async def test_job_that_is_cancelled_from_outside_stays_cancelled(writer, clock, others):
    begun = asyncio.Event()

    async def job():
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(make_duty(writer, clock).perform(job))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert others.take(NAME, "other", 60)
