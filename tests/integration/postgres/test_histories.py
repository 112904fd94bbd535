# SPDX-License-Identifier: Apache-2.0
"""A history of appends by workers that are killed in the middle of commits, checked afterwards.

In the manner of Elle's list-append: every value is appended once; who was told so, is told the
place as well; readers keep what they saw. From that follows what must hold of the whole.
"""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from drystone.core.ids import Seq
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.conformance.metadata.samples import NAMESPACE, add_accounts

pytestmark = pytest.mark.slow

WORKERS, KILLS, APPENDS_MIN = 3, 8, 200

APPENDER = """
import os
import signal
import sys
from drystone.core.ids import Seq
from drystone.core.journal.record import Action, Record
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata, metadata
from drystone.server.storage.metadata_sql.postgres.session import PostgresSession
from drystone.testing.conformance.metadata.samples import ANNA, LAPTOP, NAMESPACE, file
from drystone.testing.strategies import make_file_id

url, first, death = sys.argv[1], int(sys.argv[2]), sys.argv[3]
engine = PostgresMetadata(url)
LAST = first + 30

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(PostgresSession):
    # Kills its process at one point of the last group's transaction.
    def execute(self, statement, values=(), /):
        if statement == "COMMIT" and is_last:
            if death == "before":
                die()
            # PostgreSQL is told to commit, and nobody waits for what comes of it.
            self._connection.pgconn.send_query(b"COMMIT")
            self._connection.pgconn.flush()
            die()
        return super().execute(statement, values)

if death != "later":
    metadata.PostgresSession = Dying

def append(unit, number):
    seq = Seq(unit.tree.head(NAMESPACE) + 1)
    entry = file(make_file_id(number + 1), str(number))
    record = Record(seq, Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)
    unit.tree.append(NAMESPACE, [record])
    return seq

for base in range(first, first + 100_000, 3):
    count = base % 3 + 1
    numbers = range(base, base + count)
    is_last = base >= LAST
    print("try", *numbers, flush=True)
    seqs = engine.write_group([lambda u, n=n: append(u, n) for n in numbers])
    print("done", *[f"{n}:{seq}" for n, seq in zip(numbers, seqs)], flush=True)
"""


class Appender:
    """A worker process, and what it was told.

    Args:
        url: Of the database.
        number: How many were started before.
        folder: For what it says.
        death: It kills itself ``before`` it asks for a commit, or ``amid`` one, once it has done
            some; or is killed ``later``, from outside.
    """

    def __init__(self, url: str, number: int, folder: Path, death: str = "later") -> None:
        self.log = folder / f"{number}"
        first = 1_000_000 * number
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", APPENDER, url, str(first), death], stdout=out
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def read(self) -> tuple[set[int], dict[int, int]]:
        """Returns what it tried to append, and the seqs of what it was told is done."""
        tried: set[int] = set()
        done: dict[int, int] = {}
        # The last line may be cut off.
        for line in self.log.read_text().split("\n")[:-1]:
            kind, *words = line.split()
            if kind == "try":
                tried |= set(map(int, words))
            else:
                done.update((int(n), int(seq)) for n, seq in (word.split(":") for word in words))
        return tried, done

    def find_last(self) -> list[int]:
        """Returns the last group that it tried."""
        [*_, last] = [line for line in self.log.read_text().split("\n") if line.startswith("try")]
        return [int(word) for word in last.split()[1:]]


def test_nothing_acknowledged_is_lost_and_nobody_saw_a_gap(postgres_url, tmp_path) -> None:
    engine = PostgresMetadata(postgres_url)
    add_accounts(engine)
    is_over = threading.Event()
    seen: list[list[tuple[int, str]]] = [[], []]

    def read(mine: list[tuple[int, str]]) -> None:
        while not is_over.is_set():
            after = Seq(mine[-1][0] if mine else 0)
            page = engine.read(lambda unit: unit.tree.list_changes(NAMESPACE, after, 50))  # noqa: B023
            mine.extend((int(s.seq), s.entry.name) for s in page)

    readers = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for reader in readers:
        reader.start()
    started = [Appender(postgres_url, n, tmp_path) for n in range(WORKERS)]
    running = list(started)
    mortal = [
        Appender(postgres_url, 100 + n, tmp_path, death)
        for n, death in enumerate(("before", "amid", "before", "amid"))
    ]
    chance = random.Random(7)
    try:
        for number in range(KILLS):
            wait_for_appends(started, APPENDS_MIN * (number + 1) // KILLS)
            victim = running.pop(chance.randrange(len(running)))
            victim.kill()
            fresh = Appender(postgres_url, WORKERS + number, tmp_path)
            started.append(fresh)
            running.append(fresh)
        assert [appender.process.wait(60) for appender in mortal] == [-signal.SIGKILL] * 4
    finally:
        for appender in (*running, *mortal):
            appender.kill()
        is_over.set()
        for reader in readers:
            reader.join(30)

    # What a killed worker left open ends when PostgreSQL notices: a write waits for that.
    engine.write(lambda unit: unit.tree.head(NAMESPACE))
    final = [
        (int(s.seq), s.entry.name)
        for s in engine.read(lambda unit: unit.tree.list_changes(NAMESPACE, Seq(0), 100_000))
    ]
    engine.close()
    in_doubt = [appender.find_last() for appender in mortal]
    started += mortal
    tried = set().union(*(appender.read()[0] for appender in started))
    done = {n: seq for appender in started for n, seq in appender.read()[1].items()}

    assert [seq for seq, _ in final] == list(range(1, len(final) + 1))
    assert len({name for _, name in final}) == len(final)
    assert len(done) >= APPENDS_MIN
    assert {(seq, str(n)) for n, seq in done.items()} <= set(final)
    assert {int(name) for _, name in final} <= tried
    # What was in the middle of its commit came whole or not at all, and is told to nobody.
    names = [name for _, name in final]
    for appender, last in zip(mortal, in_doubt, strict=True):
        assert len(appender.read()[1]) >= 10, "it did not live until its last group"
        assert not done.keys() & set(last)
        there = [str(number) in names for number in last]
        assert all(there) or not any(there)
    assert not any(str(number) in names for last in in_doubt[::2] for number in last)
    for mine in seen:
        assert mine
        assert mine == final[: len(mine)]


def wait_for_appends(appenders: list[Appender], count: int) -> None:
    """Waits until so many values have been acknowledged."""
    while sum(len(appender.read()[1]) for appender in appenders) < count:
        for appender in appenders[-WORKERS:]:
            if appender.process.poll() not in (None, -signal.SIGKILL):
                raise AssertionError(f"a worker ended by itself: {appender.process.poll()}")
        threading.Event().wait(0.02)
