# SPDX-License-Identifier: Apache-2.0
"""Laws of eras with several workers: whoever writes, and whenever a database is put back, also
beneath workers that go on, a reader is told exactly from where on it knows something else."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.ids import FileId, Seq
from drystone.core.journal.cursor import Cursor
from drystone.core.journal.record import Action, Record
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor
from drystone.server.service.trees.cursors import Cursors
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    LAPTOP,
    NAMESPACE,
    add_accounts,
    file,
)

KEY = b"k" * 32
READER = Actor(ANNA.account_id, ANNA.name, LAPTOP.device_id, LAPTOP.name, NAMESPACE)

# One of three workers commits so many records, or is started anew; somebody reads everything; a
# backup is made, or put back while the workers go on.
deeds = st.lists(
    st.tuples(st.just("commit"), st.integers(0, 2), st.integers(1, 3))
    | st.tuples(st.just("start"), st.integers(0, 2))
    | st.sampled_from([("read",), ("back up",), ("put back",)]),
    max_size=30,
)


class Deployment:
    """Workers over one database in memory, and what readers have read."""

    def __init__(self) -> None:
        self.metadata = MemoryMetadata()
        add_accounts(self.metadata)
        self.backup = self.metadata.copy()
        self.numbers = count(1)
        self.ids = count(1)
        self.workers = [self.start() for _ in range(3)]
        self.readers: list[tuple[list[Record], str]] = []

    def start(self) -> Cursors:
        return Cursors(KEY, lambda: next(self.ids).to_bytes(8))

    def do(self, deed: str, *args: int) -> None:
        if deed == "commit":
            worker, records = args
            self.metadata.write(lambda unit: self.commit(unit, self.workers[worker], records))
        elif deed == "start":
            self.workers[args[0]] = self.start()
        elif deed == "back up":
            self.backup = self.metadata.copy()
        elif deed == "put back":
            self.metadata.become(self.backup)
        else:
            self.readers.append((self.journal(), self.metadata.read(self.read)))

    def commit(self, unit: Unit, worker: Cursors, records_count: int) -> None:
        worker.begin_era(unit, NAMESPACE)
        for _ in range(records_count):
            number = next(self.numbers)
            unit.tree.append(
                NAMESPACE,
                [
                    Record(
                        Seq(unit.tree.head(NAMESPACE) + 1),
                        Action.CREATE,
                        file(FileId(number.to_bytes(16)), str(number)),
                        ANNA.account_id,
                        LAPTOP.device_id,
                        number,
                    )
                ],
            )

    def read(self, unit: Unit) -> str:
        return self.workers[0].make(unit, READER, NAMESPACE, unit.tree.head(NAMESPACE))

    def journal(self) -> list[Record]:
        def work(unit: Unit) -> list[Record]:
            head = unit.tree.head(NAMESPACE)
            found = (unit.tree.find_record(NAMESPACE, Seq(n)) for n in range(1, head + 1))
            return [record for record in found if record is not None]

        return self.metadata.read(work)

    def find_rewind(self, text: str) -> Seq | None:
        def work(unit: Unit) -> Seq | None:
            cursor = self.workers[1].decode(text, READER)
            assert isinstance(cursor, Cursor)
            return self.workers[1].find_rewind(unit, cursor, NAMESPACE)

        return self.metadata.read(work)


@given(deeds)
def test_reader_is_told_exactly_up_to_where_all_workers_have_the_same(
    done: list[tuple[str, *tuple[int, ...]]],
) -> None:
    deployment = Deployment()
    for deed, *args in done:
        deployment.do(deed, *args)
    journal = deployment.journal()
    puts_back = sum(deed == "put back" for deed, *_ in done)
    for read, text in deployment.readers:
        common = next(
            (n for n, (a, b) in enumerate(zip(read, journal, strict=False)) if a != b),
            min(len(read), len(journal)),
        )
        told = deployment.find_rewind(text)
        if common == len(read):
            assert told is None
        else:
            assert told is not None
            # An era ends only where the database is put back: eight are told.
            assert told == common if puts_back < 8 else told <= common


@given(deeds)
def test_workers_that_take_turns_write_one_era(
    done: list[tuple[str, *tuple[int, ...]]],
) -> None:
    deployment = Deployment()
    for deed, *args in done:
        if deed != "put back":
            deployment.do(deed, *args)
    head = Seq(len(deployment.journal()))
    eras = deployment.metadata.read(lambda unit: unit.tree.list_eras(NAMESPACE, head, 99))

    assert len(eras) == bool(head)
