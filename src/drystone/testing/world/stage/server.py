# SPDX-License-Identifier: Apache-2.0
"""The server of a world: the real service over engines in memory, which crashes and is restored."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final, TypeVar

from drystone.core.content.content import Content
from drystone.core.content.manifest import decode_manifest
from drystone.core.ids import AccountId, BlockId, DeviceId, NamespaceId, Seq
from drystone.core.journal.eras import ERA_ID_BYTES
from drystone.core.journal.record import Record
from drystone.core.tree.entry import Entry
from drystone.server.ports.blocks import LostBlock
from drystone.server.ports.metadata import Account, BlockPlace, Device, Metadata, Unit
from drystone.server.ports.objects import ObjectParts, ObjectStat
from drystone.server.ports.watching.tracing import NO_TRACING
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.shelf import LeaseTimes, read_plain
from drystone.server.service.identity.passwords import Passwords
from drystone.server.service.service import Engines, Service, make_service
from drystone.server.service.writer import Writer
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.bell_relayed import RelayedBell
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.collecting import Collector, CollectRules, Tally
from drystone.server.workers.scrubbing import Scrub, ScrubTally
from drystone.testing.world.stage.life import Life
from drystone.testing.world.stage.timeline import Killed, Timeline
from drystone.testing.world.stage.told import Told

T = TypeVar("T")

ACCOUNT_ID: Final = AccountId(b"account of world")
NAMESPACE_ID: Final = NamespaceId(b"the one of world")
_CURSOR_KEY: Final = b"k" * 32
_NS_PER_S: Final = 1_000_000_000
_READ_S_MAX: Final = 5.0
"""What reads blocks has done so, and noted what it found, after so long."""
_FLUSH_S: Final = 0.001
"""Until what waits to be written is written, together."""
_PASSWORDS: Final = Passwords(memory_kib=1024, rounds=1)


class WorldServer:
    """One account, one namespace, and the service as it runs now, if it does.

    Args:
        timeline: Where it runs.
        now_ns: Its clock.
        workers: How many answer, in turns.
        leases: For how long it keeps what nothing refers to.

    Attributes:
        collectors: All that ever ran.
        scrubs: All that ever ran.
        rotten: Names of objects that cannot be read as they were written.
    """

    def __init__(
        self,
        timeline: Timeline,
        now_ns: Callable[[], int],
        workers_count: int = 1,
        *,
        leases: LeaseTimes = LeaseTimes(),  # noqa: B008  a constant
    ) -> None:
        self._timeline = timeline
        self._leases = leases
        self.collectors: list[WorldCollector] = []
        self.scrubs: list[WorldCollector] = []
        self.rotten: set[str] = set()
        self._clock = _Clock(now_ns)
        self._metadata = MemoryMetadata()
        self._objects = MemoryObjects()
        self._backup: tuple[MemoryMetadata, MemoryObjects] | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.life = Life(lambda: None)
        self.life.end()
        self.service: Service | None = None
        """That of the first worker."""
        self._workers_count = workers_count
        self._workers: list[Service] = []
        self._turns = count()
        self.starts_count = 0
        self._era_numbers = count(1)
        self.told = Told()
        """What devices were answered."""
        self.on_end: list[Callable[[], None]] = []
        """Who is told when it crashes: connections break."""
        account = Account(ACCOUNT_ID, "anna", "", NAMESPACE_ID, now_ns())
        self._metadata.write(lambda unit: unit.accounts.add_account(account))

    # --- its life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Starts it, if it does not run."""
        if self.life.is_alive:
            return
        self.life = Life(self._end)
        metadata = _MortalMetadata(self._metadata, self.life)
        packs = ObjectPacks(_MortalObjects(self._objects, self.life, self.rotten))
        self.starts_count += 1
        if self._workers_count == 1:
            self._metadata.begin_run()
        bells = [RelayedBell(LocalBell()) for _ in range(self._workers_count)]
        for bell in bells:
            bell.relay = _make_relay([other for other in bells if other is not bell])
        self._workers = [
            make_service(
                Engines(metadata, packs, bell, self._clock, _PASSWORDS),
                _CURSOR_KEY,
                make_era_id=self._make_era_id,
                writer=_LoopWriter(metadata, self._timeline),
                leases=self._leases,
            )
            for bell in bells
        ]
        self.service = self._workers[0]

    def pick_worker(self) -> Service | None:
        """Returns whoever answers the next request; None if nobody does."""
        return self._workers[next(self._turns) % len(self._workers)] if self._workers else None

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Lets the running server do something."""
        task = self._timeline.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def back_up(self) -> None:
        """Makes a backup in place of the one before."""
        self._backup = self._metadata.copy(), self._objects.copy()

    def restore(self) -> bool:
        """Puts the last backup in place, if there is one; it must not run."""
        assert not self.life.is_alive
        if self._backup is None:
            return False
        for collector in self.collectors + self.scrubs:
            collector.life.end()
        metadata, objects = self._backup
        self._metadata, self._objects = metadata.copy(), objects.copy()
        self.told = Told()  # What was told before is no longer so.
        return True

    def put_back(self) -> bool:
        """Puts the metadata of the last backup in place, if there is one, while it runs; packs
        stay, as a store of objects has them. Connections break.
        """
        if self._backup is None:
            return False
        for collector in self.collectors + self.scrubs:
            collector.life.end()
        self._metadata.become(self._backup[0])
        self.told = Told()
        for tell in self.on_end:
            tell()
        return True

    def collect(self, rules: CollectRules, step_s: float, effects_count: int) -> None:
        """Somebody runs a collector beside it, which ends after so many effects."""
        metadata, packs, life = self._make_engines(effects_count)
        steps = Collector(metadata, packs, self._clock, rules).run(Tally())
        self.collectors.append(self._begin_steps(steps, step_s, life))

    def scrub(self, step_s: float, effects_count: int) -> None:
        """Somebody scrubs all packs beside it, which ends after so many effects."""
        metadata, packs, life = self._make_engines(effects_count)
        steps = Scrub(metadata, packs, self._clock).run(ScrubTally(), within_s=0)
        self.scrubs.append(self._begin_steps(steps, step_s, life))

    def rot(self, which: int, for_s: float) -> None:
        """One of the packs cannot be read, until somebody brings it back from a backup."""
        names = sorted(stat.name for stat in self._objects.iter_names())
        if names:
            name = names[which % len(names)]
            self.rotten.add(name)
            self._timeline.call_later(for_s, lambda: self.rotten.discard(name))

    def scrub_all(self) -> None:
        """Brings all back that is rotten, and finds out that it can be read again: now, and once
        whoever is reading now has noted what they read.
        """
        self.rotten.clear()
        for scrub in self.scrubs:
            scrub.life.end()
        self._mend_all()
        self._timeline.call_later(_READ_S_MAX, self._mend_all)

    def _mend_all(self) -> None:
        scrub = Scrub(self._metadata, ObjectPacks(self._objects), self._clock)
        for _ in scrub.run(ScrubTally(), within_s=0):
            pass

    def collect_all(self) -> None:
        """Collects until nothing more goes, long after everybody has done what they wanted."""
        clock = _Clock(lambda: self._clock.now_ns() + 1_000_000 * _NS_PER_S)
        rules = CollectRules(age_s=0, quarantine_s=0, remembered_s=0)
        for _ in range(3):
            packs = ObjectPacks(self._objects)
            for _ in Collector(self._metadata, packs, clock, rules).run(Tally()):
                pass
            clock = _Clock(lambda: self._clock.now_ns() + 2_000_000 * _NS_PER_S)

    def count_kept(self) -> tuple[int, int, int]:
        """Returns how many blocks and packs the index has, and how many packs there are."""
        totals = self._metadata.read(lambda unit: unit.blocks.totals())
        stored_count = len(list(ObjectPacks(self._objects).iter_stored()))
        return totals["blocks"], totals["packs"], stored_count

    def _make_engines(self, effects_count: int) -> "tuple[Metadata, ObjectPacks, Life]":
        """Returns what a process beside the server has, and its life."""
        life = Life(lambda: None)
        life.end_after(effects_count)
        packs = ObjectPacks(_MortalObjects(self._objects, life, self.rotten))
        return _MortalMetadata(self._metadata, life), packs, life

    def _begin_steps(self, steps: Iterator[int], step_s: float, life: Life) -> "WorldCollector":
        collector = WorldCollector(self._timeline, steps, step_s, life)
        collector.take_step()
        return collector

    def _end(self) -> None:
        self.service = None
        self._workers = []
        for task in list(self._tasks):
            task.cancel()
        for tell in self.on_end:
            tell()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever asked is told, if they are still there

    def _make_era_id(self) -> bytes:
        return next(self._era_numbers).to_bytes(ERA_ID_BYTES)

    # --- for devices and checkers --------------------------------------------------------------

    def add_device(self, name: str) -> Actor:
        """Returns a new device of the account."""
        device_id = DeviceId(f"device {name}".encode().ljust(16, b"."))
        now_ns = self._clock.now_ns()
        device = Device(device_id, ACCOUNT_ID, name, device_id * 2, now_ns, now_ns)
        self._metadata.write(lambda unit: unit.accounts.add_device(device))
        self.some_actor = Actor(ACCOUNT_ID, "anna", device_id, name, NAMESPACE_ID)
        return self.some_actor

    def read(self, work: Callable[[Unit], T]) -> T:
        """Looks at its metadata, whether it runs or not."""
        return self._metadata.read(work)

    def read_journal(self) -> tuple[Record, ...]:
        """Returns all records."""

        def work(unit: Unit) -> tuple[Record, ...]:
            head = unit.tree.head(NAMESPACE_ID)
            found = (unit.tree.find_record(NAMESPACE_ID, Seq(n)) for n in range(1, head + 1))
            return tuple(record for record in found if record is not None)

        return self._metadata.read(work)

    def head(self) -> int:
        """Returns the last seq."""
        return self._metadata.read(lambda unit: unit.tree.head(NAMESPACE_ID))

    def find_content(self, entry: Entry) -> bytes | None:
        """Returns the bytes of a file, put together from its blocks; None if one is missing."""
        content = entry.content
        assert content is not None
        root = self._find_block(content.root) if content.root else b""
        if root is None or not content.chunked:
            return root
        pieces = [self._find_block(chunk.block_id) for chunk in decode_manifest(root).chunks]
        return None if None in pieces else b"".join(piece for piece in pieces if piece)

    def find_blocks(self, content: Content) -> set[BlockId]:
        """Returns the blocks that make up a content."""
        if not content.chunked:
            return {content.root}
        manifest = self._find_block(content.root)
        assert manifest is not None, "a manifest is lost"
        return {content.root, *(chunk.block_id for chunk in decode_manifest(manifest).chunks)}

    def _find_block(self, block_id: BlockId) -> bytes | None:
        def locate(unit: Unit) -> Mapping[BlockId, BlockPlace]:
            held = unit.blocks.find_held(NAMESPACE_ID, (block_id,))
            return unit.blocks.locate(held)

        places = list(self._metadata.read(locate).values())
        if not places:
            return None
        [found] = read_plain(ObjectPacks(self._objects), places)
        return None if isinstance(found, LostBlock) else found


class WorldCollector:
    """A collector, or a scrub, that takes one step after another.

    Args:
        timeline: Where.
        steps: Of it.
        step_s: Between two of them.
        life: Of its process.
    """

    def __init__(self, timeline: Timeline, steps: Iterator[int], step_s: float, life: Life) -> None:
        self._timeline = timeline
        self._steps = steps
        self._step_s = step_s
        self.life = life

    def take_step(self) -> None:
        """Takes one, and the next one a little later."""
        if not self.life.is_alive:
            return
        try:
            next(self._steps)
        except (Killed, StopIteration):
            self.life.end()
        else:
            self._timeline.call_later(self._step_s, self.take_step)


def _make_relay(others: Sequence[RelayedBell]) -> Callable[[NamespaceId, int], None]:
    def relay(namespace_id: NamespaceId, head: int) -> None:
        for other in others:
            other.hear(namespace_id, head)

    return relay


class _Clock:
    """Implements ``server.ports.clock.Clock``."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns()


class _LoopWriter(Writer):
    """Writes and reads in callbacks of the timeline instead of in threads."""

    def __init__(self, metadata: Metadata, timeline: Timeline) -> None:
        self._metadata = metadata
        self._readers = ThreadPoolExecutor(4)  # No thread begins: the timeline does the work.
        self._tracing = NO_TRACING
        self._waiting = {}
        self._busy_lanes = set()
        self._changed = _Bell(timeline, self._turn)  # type: ignore[assignment]  # what it needs
        self._is_closing = False
        self._works = self._groups = self._largest = 0

    def close(self) -> None:
        """Ends nothing: there is no thread."""

    def _turn(self) -> None:
        if self._waiting:
            jobs = self._take_group()
            self._busy_lanes.discard(jobs[0].lane)
            self._carry_out(jobs)


class _Bell:
    """As much of a condition as a writer needs: being notified, it takes its turn soon."""

    def __init__(self, timeline: Timeline, turn: Callable[[], None]) -> None:
        self._timeline = timeline
        self._turn = turn

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def notify(self) -> None:
        self._timeline.call_later(_FLUSH_S, self._turn)


class _MortalMetadata:
    """Implements ``Metadata`` as long as a life lasts."""

    writes_at_once = 1
    has_copy = False

    def __init__(self, metadata: MemoryMetadata, life: Life) -> None:
        self._metadata = metadata
        self._life = life

    def write(self, work: Callable[[Unit], T]) -> T:
        self._life.meet()
        result = self._metadata.write(work)
        self._life.meet()
        return result

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        self._life.meet()
        results = self._metadata.write_group(works)
        self._life.meet()
        return results

    def read(self, work: Callable[[Unit], T]) -> T:
        if not self._life.is_alive:
            raise Killed
        return self._metadata.read(work)

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        return self.read(work)

    def close(self) -> None:
        pass


class _MortalObjects:
    """Implements ``Objects`` as long as a life lasts."""

    def __init__(self, objects: MemoryObjects, life: Life, rotten: Collection[str]) -> None:
        self._objects = objects
        self._life = life
        self._rotten = rotten

    def put(self, name: str, parts: ObjectParts) -> None:
        self.put_many([(name, parts)])

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        self._life.meet()
        self._objects.put_many(objects)
        self._life.meet()

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if not self._life.is_alive:
            raise Killed
        found = self._objects.read(name, ranges)
        if name in self._rotten:
            return [part[:-1] + bytes((part[-1] ^ 1,)) if part else part for part in found]
        return found

    def find_length(self, name: str) -> int | None:
        return self._objects.find_length(name)

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        return self._objects.iter_names(prefix)

    def delete(self, name: str) -> None:
        self._life.meet()
        self._objects.delete(name)
