# SPDX-License-Identifier: Apache-2.0

import asyncio
from contextlib import asynccontextmanager

import pytest

from drystone.core.errors import Corrupt, Unavailable
from drystone.core.ids import Seq
from drystone.server.ports.projections import Lag
from drystone.server.service.duties import MetadataDuties
from drystone.server.service.writer import Writer
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.workers import projector as frame
from drystone.server.workers.projector import ProjectorRunner
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    OTHER,
    Journalist,
    add_accounts,
    file,
)
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.service import until
from drystone.testing.strategies import make_file_id

pytestmark = pytest.mark.asyncio


class Target:
    """Keeps what it is given; fails on demand."""

    name = "target"

    def __init__(self):
        self.got = []
        self.fail = lambda namespace_id, records: None

    async def project(self, namespace_id, records):
        await asyncio.sleep(0)
        if error := self.fail(namespace_id, records):
            raise error
        self.got += [(namespace_id, record.seq) for record in records]

    def seqs(self, namespace_id=NAMESPACE):
        return [seq for owner, seq in self.got if owner == namespace_id]


class World:
    """Metadata with two accounts, and whatever a runner needs."""

    def __init__(self):
        self.metadata = MemoryMetadata()
        self.clock = ManualClock()
        self.bell = LocalBell()
        self.writer = Writer(self.metadata, read_threads=1)
        self.duties = MetadataDuties(self.metadata, self.clock)
        self.target = Target()
        add_accounts(self.metadata)
        self.journals = {n: Journalist(self.metadata, n) for n in (NAMESPACE, OTHER)}

    def write(self, count, namespace_id=NAMESPACE, *, ring=True):
        journal = self.journals[namespace_id]
        first = len(journal.records) + 1
        journal.create(*(file(make_file_id(n), f"{n}") for n in range(first, first + count)))
        if ring:
            self.bell.ring(namespace_id, len(journal.records))

    def runner(self, holder="me", target=None, **options):
        options = {"interval_s": 3600, "backoff_s": 0.001, **options}
        return ProjectorRunner(
            target or self.target, self.writer, self.bell, self.clock, holder=holder, **options
        )

    @asynccontextmanager
    async def running(self, holder="me", target=None, **options):
        runner = self.runner(holder, target, **options)
        task = asyncio.ensure_future(runner.run())
        await until(lambda: self.bell._listeners_to_all or task.done())
        try:
            yield runner
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task

    def position(self, namespace_id=NAMESPACE):
        return self.metadata.read(lambda u: u.projections.find_position("target", namespace_id))


@pytest.fixture
def world():
    world = World()
    yield world
    world.writer.close()


async def test_journals_are_carried_from_their_beginning_and_on_the_bell(world):
    world.write(3)
    async with world.running() as runner:
        await until(lambda: world.position() == 3)
        world.write(2)
        world.write(1, OTHER)
        await until(lambda: (world.position(), world.position(OTHER)) == (5, 1))

        assert world.target.seqs() == [1, 2, 3, 4, 5]
        assert world.target.seqs(OTHER) == [1]
        assert await runner.measure() == Lag(0, 0)
        assert runner.stats() == (6, 0, True)


async def test_what_did_not_ring_is_found_at_intervals(world):
    async with world.running(interval_s=0):
        world.write(2, ring=False)
        await until(lambda: world.position() == 2)


async def test_long_journals_are_carried_page_by_page(world, monkeypatch):
    monkeypatch.setattr(frame, "PAGE_RECORDS", 2)
    monkeypatch.setattr(frame, "PAGE_NAMESPACES", 1)
    world.write(5)
    world.write(3, OTHER)
    async with world.running():
        await until(lambda: world.position() == 5 and world.position(OTHER) == 3)

    assert world.target.seqs() == [1, 2, 3, 4, 5]
    assert world.target.seqs(OTHER) == [1, 2, 3]
    # Nobody waits until another's long journal is through.
    assert world.target.got[2][0] == OTHER


async def test_another_run_goes_on_where_the_one_before_ended(world):
    world.write(2)
    async with world.running("one"):
        await until(lambda: world.position() == 2)
    world.write(1)
    async with world.running("two"):
        await until(lambda: world.position() == 3)

    assert world.target.seqs() == [1, 2, 3]


async def test_target_that_is_away_gets_everything_later(world):
    tries = []

    def fail(namespace_id, records):
        tries.append(namespace_id)
        return Unavailable("away") if len(tries) < 4 else None

    world.target.fail = fail
    world.write(2)
    world.write(1, OTHER)
    async with world.running() as runner:
        await until(lambda: world.position() == 2 and world.position(OTHER) == 1)

        assert world.target.seqs() == [1, 2]
        assert runner.stats().troubles == 3


async def test_trouble_with_one_journal_does_not_hold_up_others(world):
    world.target.fail = lambda n, _: Corrupt("rotten") if n == NAMESPACE else None
    world.write(2)
    world.write(1, OTHER)
    async with world.running(interval_s=0) as runner:
        await until(lambda: world.position(OTHER) == 1 and runner.stats().troubles > 2)
        assert world.position() == 0
        world.target.fail = lambda n, _: None
        await until(lambda: world.position() == 2)


async def test_defect_of_a_target_is_trouble_of_that_journal(world):
    world.target.fail = lambda n, _: ZeroDivisionError() if n == NAMESPACE else None
    world.write(2)
    world.write(1, OTHER)
    async with world.running():
        await until(lambda: world.position(OTHER) == 1)


async def test_only_one_of_two_runners_carries(world):
    other = Target()
    world.write(1)
    async with world.running("one", interval_s=0):
        await until(lambda: world.position() == 1)
        async with world.running("two", other, interval_s=0):
            for _ in range(5):
                world.write(1)
                head = len(world.journals[NAMESPACE].records)
                await until(lambda head=head: world.position() == head)

    assert world.target.seqs() == [1, 2, 3, 4, 5, 6]
    assert other.got == []


async def test_runner_that_ends_hands_over_at_once(world):
    other = Target()
    async with world.running("two", other, interval_s=0):
        world.write(1)
        await until(lambda: world.position() == 1)
    async with world.running("one"):
        world.write(1)
        await until(lambda: world.position() == 2)


async def test_runner_that_vanished_is_followed_when_its_time_is_over(world):
    assert world.duties.take("project target", "vanished", 60)
    world.write(1)
    async with world.running(interval_s=0):
        await until(lambda: world.writer.stats().works > 5)
        assert world.position() == 0
        world.clock.advance(60)
        await until(lambda: world.position() == 1)


async def test_runner_that_lost_its_duty_moves_no_position(world):
    """It stood still, longer than it had the duty, between the target's yes and its own note."""

    def usurp(namespace_id, records):
        world.clock.advance(61)
        assert world.duties.take("project target", "other", 3600)

    world.target.fail = usurp
    world.write(1)
    async with world.running(interval_s=0):
        await until(lambda: len(world.target.got) > 2)

    assert world.position() == 0


async def test_database_that_is_away_is_met_again(world, monkeypatch):
    world.write(1)
    read, tries = world.metadata.read, []

    def fail(work):
        tries.append(work)
        if len(tries) < 5:
            raise Unavailable("away")
        return read(work)

    monkeypatch.setattr(world.metadata, "read", fail)
    async with world.running():
        await until(lambda: world.target.seqs() == [1])


async def test_what_the_target_has_is_noted_when_the_rest_fails(world):
    world.target.fail = lambda n, _: Unavailable("away") if n == OTHER else None
    world.write(2)
    world.write(1, OTHER)
    async with world.running():
        await until(lambda: world.position() == 2)

    assert world.target.seqs() == [1, 2]
    assert world.position(OTHER) == Seq(0)


async def test_idle_runner_writes_nothing(world):
    world.write(1)
    async with world.running(interval_s=0):
        await until(lambda: world.position() == 1)
        works = world.writer.stats().works
        looks = []
        read = world.metadata.read
        world.metadata.read = lambda work: looks.append(1) or read(work)
        await until(lambda: len(looks) > 20)

        assert world.writer.stats().works == works
