# SPDX-License-Identifier: Apache-2.0
"""The keeper: when journals follow into the store, and that they do whatever happens."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from drystone.core.ids import Rev, Seq
from drystone.core.journal.record import Action
from drystone.core.tree.entry import Entry
from drystone.server.ports.objects import ObjectStoreAway
from drystone.server.ports.survey import survey_of
from drystone.server.service.duties import MetadataDuties
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.workers.journals import writing
from drystone.server.workers.journals.keeper import JournalKeeper, find_position
from drystone.server.workers.journals.names import cut_name, end_name
from drystone.server.workers.journals.people import find_people
from drystone.server.workers.journals.reading import find_life
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    LAPTOP,
    NAMESPACE,
    Journalist,
    add_accounts,
    file,
)
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import until
from drystone.testing.strategies import make_file_id


class World:
    """A server's metadata and store, and a keeper with a clock by hand."""

    def __init__(self) -> None:
        self.metadata = MemoryMetadata()
        self.stored = MemoryObjects()
        self.objects = FaultyObjects(self.stored)
        self.now_s = 1_000.0
        add_accounts(self.metadata)
        self.journalist = Journalist(self.metadata)
        self.begin()

    def begin(self) -> None:
        """A server begins anew."""
        self.keeper = self.make_keeper()

    def make_keeper(self) -> JournalKeeper:
        """Returns one of several servers on the same database."""
        clock = ManualClock()
        return JournalKeeper(
            self.metadata,
            self.objects,
            clock,
            lag_s=60,
            now_s=lambda: self.now_s,
            duties=MetadataDuties(self.metadata, clock),
        )

    def commit(self, count: int = 1) -> None:
        begin = len(self.journalist.records)
        self.journalist.create(*(new_file(begin + number) for number in range(1, count + 1)))

    def kept(self) -> int:
        return find_position(self.metadata, self.stored, NAMESPACE)

    def after(self, seconds: float) -> int:
        """Lets time pass and a round be worked; returns how many stretches were written."""
        self.now_s += seconds
        return self.keeper.work_round()


def new_file(number: int) -> Entry:
    return file(make_file_id(number), f"f{number}")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SEGMENT_RECORDS_MAX", 4)
    monkeypatch.setattr(writing, "CHECKPOINT_RECORDS_MIN", 8)


def test_quiet_journal_is_written_and_a_busy_one_waits(world: World) -> None:
    world.commit(3)
    assert world.after(0) == 0
    for _ in range(4):
        world.commit()
        assert world.after(5) == 0
    assert world.after(5) == 0
    assert world.after(10) == 2
    assert world.kept() == 7
    assert world.after(100) == 0


def test_journal_that_is_never_quiet_is_written_in_time(world: World) -> None:
    written = 0
    for _ in range(13):
        world.commit()
        written += world.after(5)

    assert written
    assert world.kept() >= 10


def test_server_that_begins_anew_writes_what_is_missing_and_no_more(world: World) -> None:
    world.commit(10)
    world.after(0)
    world.after(15)
    puts_count = world.objects.puts_count
    world.begin()
    world.after(0)
    assert world.after(15) == 0
    assert world.objects.puts_count == puts_count

    lost = sorted(stat.name for stat in world.stored.iter_names("journal/"))[1]
    world.stored.delete(lost)
    assert world.kept() == 4
    world.begin()
    world.after(0)
    world.after(15)
    assert world.kept() == 10


def test_store_that_is_away_is_met_again(world: World) -> None:
    world.commit(5)
    world.after(0)
    world.objects.put_errors = [None, ObjectStoreAway("away"), ObjectStoreAway("away")]
    for _ in range(2):
        with pytest.raises(ObjectStoreAway):
            world.after(15)
    world.after(15)
    assert world.kept() == 5


def test_what_is_written_and_what_waits_is_told(world: World) -> None:
    assert world.keeper.stats() == (0, 0, 0, 0, 0.0)
    world.commit(5)
    world.after(0)
    assert world.keeper.stats() == (0, 0, 0, 5, 0.0)
    world.now_s += 10
    assert world.keeper.stats() == (0, 0, 0, 5, 10.0)
    assert world.after(10) == 2
    assert world.keeper.stats() == (2, 0, 0, 0, 0.0)


def test_checkpoints_are_counted(world: World) -> None:
    world.commit(17)
    world.after(0)
    world.after(15)

    assert world.keeper.stats() == (5, 2, 0, 0, 0.0), "one after 8 records, one after 16"


def test_rounds_that_were_broken_off_are_counted(world: World) -> None:
    world.commit(5)
    world.after(0)
    world.now_s += 15
    world.objects.put_errors = [None, ObjectStoreAway("away")]
    world.keeper._try_round()

    assert world.keeper.stats() == (1, 0, 1, 1, 15.0), "what was written before stays written"


def test_journal_that_was_put_back_is_looked_up_anew(world: World) -> None:
    world.commit(5)
    backup = world.metadata.copy()
    world.commit(4)
    world.after(0)
    world.after(15)
    assert world.kept() == 9
    world.metadata.become(backup)
    world.journalist.records = world.journalist.records[:5]
    world.after(0)
    world.journalist.create(file(make_file_id(99), "another"))
    world.after(5)
    world.after(15)

    assert world.kept() == 6


def test_people_are_written_once_and_without_secrets(world: World) -> None:
    world.after(0)
    people = find_people(world.stored)
    assert people is not None
    assert [account.name for account in people.accounts] == ["Anna", "bob"]
    assert people.accounts[0] == ANNA._replace(password_hash="")
    assert people.devices == (LAPTOP._replace(token_hash=b"", seen_ns=0),)
    names = [stat.name for stat in world.stored.iter_names("checkpoints/accounts/")]
    [content] = world.stored.read(names[0], [(0, 10_000)])
    assert LAPTOP.token_hash not in content
    for _ in range(3):
        world.after(1_000)
        world.begin()
    assert [stat.name for stat in world.stored.iter_names("checkpoints/accounts/")] == names
    world.metadata.write(lambda unit: unit.accounts.save_account(ANNA._replace(disabled=True)))
    world.after(1_000)
    found = find_people(world.stored)
    assert found is not None
    assert found.accounts[0].disabled
    newest = max(stat.name for stat in world.stored.iter_names("checkpoints/accounts/"))
    world.stored.put(newest, [b"damaged"])
    assert find_people(world.stored) == people


def test_no_thread_is_at_work_when_it_has_been_cancelled(world: World) -> None:
    async def live(condition: Callable[[], bool]) -> None:
        running = asyncio.create_task(keeper.run(lambda: True))
        await until(condition)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    world.commit(9)
    keeper = JournalKeeper(world.metadata, world.objects, ManualClock(), lag_s=0.0001)
    begun: list[int] = []
    world.objects.before_put = lambda: begun.append(1)
    asyncio.run(live(lambda: len(begun) > 1))
    count = len(begun)

    assert world.objects.puts_count == count
    assert world.kept() in (Seq(0), Seq(4), Seq(8), Seq(9))


def test_of_two_servers_one_writes_at_a_time(world: World) -> None:
    other = world.make_keeper()
    world.commit(9)
    world.after(0)
    other.work_round()
    world.now_s += 15
    written: list[int] = []
    people: list[int] = []

    def meet() -> None:
        world.objects.before_put = lambda: None
        puts_count = world.objects.puts_count
        written.append(other.work_round())
        people.append(world.objects.puts_count - puts_count)

    world.objects.before_put = meet
    assert world.keeper.work_round() == 3
    assert (written, people) == ([0], [0])
    # What the one let go of, the other takes up.
    world.commit()
    other.work_round()
    world.now_s += 15
    assert other.work_round() == 1
    assert world.kept() == 10
    assert other.work_round() == 0


def test_checkpoint_that_two_servers_have_mixed_is_none(world: World) -> None:
    def checkpoint(objects: MemoryObjects) -> str:
        [line] = world.metadata.read(lambda unit: survey_of(unit).list_namespaces(b"", 1))
        writing.write_checkpoint(world.metadata, objects, line)
        [(folder, _)] = writing.iter_ends(objects, NAMESPACE)
        return folder

    world.commit(8)
    early, late = FaultyObjects(MemoryObjects()), MemoryObjects()

    def edit() -> None:
        early.before_put = lambda: None
        world.journalist.append((Action.EDIT, new_file(1)._replace(rev=Rev(9))))

    early.before_put = edit
    mixed, whole = checkpoint(early), checkpoint(late)  # type: ignore[arg-type]
    assert find_life(late, NAMESPACE).head == 9
    assert find_life(early, NAMESPACE).head == 9
    # The cuts of the one end elsewhere than those of the other.
    for name_in in (lambda folder: cut_name(folder, 2), end_name):
        length_bytes = late.find_length(name_in(whole))
        early.put(name_in(mixed), late.read(name_in(whole), [(0, length_bytes)]))
    life = find_life(early, NAMESPACE)

    assert life.checkpoint is None
    assert [fault.name for fault in life.unreadable] == [mixed]


def test_journal_that_begins_with_a_checkpoint_is_kept_by_checkpoints_until_it_has_no_gap(
    world: World, tmp_path: Path
) -> None:
    """A rebuilt server may lack records that were replaced since: no stretch can tell of them."""
    world.commit(6)
    for number in range(3):
        entry = new_file(1)._replace(rev=Rev(7 + number), mtime_ns=number)
        world.journalist.append((Action.EDIT, entry))
    last = world.metadata.read(
        lambda unit: survey_of(unit).list_last_records(NAMESPACE, Seq(0), 99)
    )
    with closing(SqliteMetadata(tmp_path / "metadata.db")) as rebuilt:
        add_accounts(rebuilt)
        rebuilt.write(lambda unit: survey_of(unit).adopt_records(NAMESPACE, last))
        world.metadata = rebuilt  # type: ignore[assignment]
        world.journalist = Journalist(rebuilt)
        world.journalist.records += [last[0]] * 9
        world.begin()
        for count in (0, 1, 1, 1, 5, 1):
            world.commit(count)
            world.after(0)
            world.after(15)
            life = find_life(world.stored, NAMESPACE)
            assert life.head == len(world.journalist.records)
            assert life.unreadable == ()
        assert world.after(15) == 0
