# SPDX-License-Identifier: Apache-2.0
"""Collecting on PostgreSQL, where transactions overlap: what can be reached is never lost."""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress

import pytest

from drystone.core.errors import Unavailable
from drystone.core.ids import Rev
from drystone.core.journal.change import Accepted, Change, Delete, Edit, Restore
from drystone.core.journal.record import StoredEntry
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.shelf import LeaseTimes
from drystone.server.service.identity.admin import Admin
from drystone.server.service.identity.passwords import Passwords
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.checking import Check
from drystone.server.workers.collecting import CollectRules
from drystone.server.workers.collecting.work import Work
from drystone.testing.blocks import BlockDevice, frames_of, make_noise
from drystone.testing.conformance.metadata.collecting import add_blocks
from drystone.testing.conformance.metadata.samples import NAMESPACE, add_accounts, block_id
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.postgres import PostgresServer
from drystone.testing.service import Keeper, MemoryServer, file_id
from tests.unit.server.workers.test_collecting import chunked, file, single

BLOCK = block_id(1)

LEASES = LeaseTimes(lasts_s=20, renew_below_s=10, commit_s=3)
RULES = CollectRules(age_s=4, quarantine_s=6, remembered_s=50, history_s=30)
POOL = make_noise(10)
DEEDS = 60
"""Of each device."""


class Worker(MemoryServer):
    """A worker of a server on PostgreSQL; its objects and its clock are those of all workers."""

    def __init__(
        self, metadata: PostgresMetadata, objects: MemoryObjects, clock: ManualClock
    ) -> None:
        super().__init__(objects, leases=LEASES)
        super().close()
        self.metadata, self.clock = metadata, clock  # type: ignore[assignment]
        self.service = self.make_worker()
        self.admin = Admin(metadata, clock, Passwords(memory_kib=1024, rounds=1))

    def close(self) -> None:
        self.service.close()


class Device(BlockDevice):
    """Somebody who writes, deletes and brings back the same few files again and again."""

    def __init__(self, server: Worker, actor: Actor, seed: int) -> None:
        super().__init__(server, actor)
        self._random = random.Random(seed)
        self.accepted: Counter[str] = Counter()

    async def do_something(self) -> None:
        number, name = self._random.randrange(1, 4), self.namespace_id
        found = self.server.metadata.read(
            lambda unit: unit.tree.find_entries(name, [file_id(number)])
        )
        stored = found.get(file_id(number))
        change: Change
        if stored is not None and (stored.is_deleted or self._random.random() < 0.2):
            head = self.server.metadata.read(lambda unit: unit.tree.head(name))
            rev = 0 if stored.is_deleted else self._random.randrange(1, head + 1)
            change = Restore(file_id(number), Rev(rev))
        elif stored is not None and self._random.random() < 0.4:
            change = Delete(file_id(number), stored.entry.rev)
        else:
            change = await self.write(number, stored)
        [outcome] = (await self.server.commit(self.actor, [change])).outcomes
        self.accepted[type(change).__name__] += isinstance(outcome, Accepted)

    async def write(self, number: int, stored: StoredEntry | None) -> Change:
        blocks = self._random.sample(POOL, self._random.randrange(1, 4))
        content, encoded = (single(blocks[0]), b"") if len(blocks) == 1 else chunked(blocks)
        for _ in range(100):
            with suppress(Unavailable):  # Just being removed: sent again.
                await self.put(frames_of([*blocks, encoded] if encoded else blocks))
                break
        if stored is None:
            return file(number, content)
        mtime_ns = self._random.randrange(1 << 40)
        return Edit(file_id(number), stored.entry.rev, content, 0o644, mtime_ns)


@pytest.fixture
def workers(postgres_url: str) -> Iterator[list[PostgresMetadata]]:
    """The metadata of two workers on one database, with two accounts."""
    with (
        closing(PostgresMetadata(postgres_url)) as one,
        closing(PostgresMetadata(postgres_url)) as two,
    ):
        add_accounts(one)
        yield [one, two]


def test_who_began_to_hold_a_block_before_it_was_noted_keeps_it(
    workers: list[PostgresMetadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = workers
    add_blocks(one, 1)
    keeper = Keeper(two, ObjectPacks(MemoryObjects()), ManualClock())
    holds, may_end = threading.Event(), threading.Event()
    pool = ThreadPoolExecutor(2)

    def hold(unit: Unit) -> None:
        unit.blocks.hold(NAMESPACE, [BLOCK], 1 << 40)
        holds.set()
        assert may_end.wait(30)

    note_unheld = Work.note_unheld

    def note_a_little_late(work: Work, numbers: Sequence[int]) -> int:
        holding.append(pool.submit(one.write, hold))
        assert holds.wait(30)
        return note_unheld(work, numbers)

    monkeypatch.setattr(Work, "note_unheld", note_a_little_late)
    holding: list[Future[None]] = []
    with pool:
        collecting = pool.submit(keeper.collect)
        # A collector that does not wait for the other one has come to its end by then.
        wait([collecting], timeout=0.5)
        assert holds.wait(30)
        may_end.set()
        holding[0].result(30)
        collecting.result(30)
    assert one.read(lambda unit: unit.blocks.find_held(NAMESPACE, [BLOCK])) == {BLOCK}


@pytest.mark.asyncio
async def test_two_collectors_beside_live_devices_lose_nothing(postgres: PostgresServer) -> None:
    url, clock, objects = postgres.make_database(), ManualClock(), MemoryObjects()
    with contextlib.ExitStack() as stack:
        engines = [stack.enter_context(closing(PostgresMetadata(url))) for _ in range(4)]
        servers = [
            stack.enter_context(closing(Worker(engine, objects, clock))) for engine in engines[:2]
        ]
        devices = [
            Device(server, await server.sign_in(name), seed)
            for seed, (server, name) in enumerate(
                (server, name) for server in servers for name in ("anna", "bob")
            )
        ]
        is_over = threading.Event()

        def collect(metadata: PostgresMetadata) -> Counter[str]:
            total: Counter[str] = Counter()
            keeper = Keeper(metadata, ObjectPacks(objects), clock)
            while not is_over.is_set():
                tally = keeper.collect(RULES)
                assert not tally.troubles
                total.update({"blocks": tally.dropped_blocks, "objects": tally.removed_packs})
            return total

        async def live(device: Device) -> None:
            for _ in range(DEEDS):
                await device.do_something()
                clock.advance(0.5)

        collecting = [asyncio.to_thread(collect, engine) for engine in engines[2:]]
        tasks = [asyncio.create_task(run) for run in collecting]
        try:
            await asyncio.gather(*map(live, devices))
        finally:
            is_over.set()
            totals = await asyncio.gather(*tasks)

        accepted = sum((device.accepted for device in devices), Counter())
        dropped = sum(totals, Counter())
        assert min(accepted[kind] for kind in ("Create", "Edit", "Delete", "Restore")) > 0
        assert min(dropped["blocks"], dropped["objects"]) > 0
        check = Check(engines[0], objects, ObjectPacks(objects), clock.now_ns(), is_deep=True)
        assert [f for f in check.iter_findings() if not f.is_harmless] == []
