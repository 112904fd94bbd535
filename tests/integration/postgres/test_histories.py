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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WORKERS, KILLS, APPENDS_MIN = 3, 8, 200

APPENDER = """
import sys
from drystone.core.ids import Seq
from drystone.core.journal.record import Action, Record
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.conformance.metadata.samples import ANNA, LAPTOP, NAMESPACE, file
from drystone.testing.strategies import make_file_id

url, first = sys.argv[1], int(sys.argv[2])
engine = PostgresMetadata(url)

def append(unit, number):
    seq = Seq(unit.tree.head(NAMESPACE) + 1)
    entry = file(make_file_id(number + 1), str(number))
    record = Record(seq, Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)
    unit.tree.append(NAMESPACE, [record])
    return seq

for base in range(first, first + 100_000, 3):
    count = base % 3 + 1
    numbers = range(base, base + count)
    print("try", *numbers, flush=True)
    seqs = engine.write_group([lambda u, n=n: append(u, n) for n in numbers])
    print("done", *[f"{n}:{seq}" for n, seq in zip(numbers, seqs)], flush=True)
"""


class Appender:
    """A worker process, and what it was told."""

    def __init__(self, url: str, first: int, log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", APPENDER, url, str(first)], stdout=out
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
    started = [Appender(postgres_url, 1_000_000 * n, tmp_path / f"{n}") for n in range(WORKERS)]
    running = list(started)
    chance = random.Random(7)
    try:
        for number in range(KILLS):
            wait_for_appends(started, APPENDS_MIN * (number + 1) // KILLS)
            victim = running.pop(chance.randrange(len(running)))
            victim.kill()
            fresh = Appender(
                postgres_url, 1_000_000 * (WORKERS + number), tmp_path / f"{WORKERS + number}"
            )
            started.append(fresh)
            running.append(fresh)
    finally:
        for appender in running:
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
    tried = set().union(*(appender.read()[0] for appender in started))
    done = {n: seq for appender in started for n, seq in appender.read()[1].items()}

    assert [seq for seq, _ in final] == list(range(1, len(final) + 1))
    assert len({name for _, name in final}) == len(final)
    assert len(done) >= APPENDS_MIN
    assert {(seq, str(n)) for n, seq in done.items()} <= set(final)
    assert {int(name) for _, name in final} <= tried
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
