# SPDX-License-Identifier: Apache-2.0
"""What only an engine on a disk can meet: full disks, damage, other processes, restarts."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drystone.core.errors import Unavailable
from drystone.core.ids import ROOT_ID, Seq
from drystone.core.journal.record import StoredEntry
from drystone.server.ports.metadata import Unit
from drystone.server.storage.metadata_sql import SqliteMetadata, sqlite
from drystone.server.storage.metadata_sql.trouble import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseTrouble,
    DatabaseUnusable,
    translate,
)
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    Journalist,
    add_accounts,
    file,
    folder,
    make_file_id,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metadata.db"


@pytest.fixture
def metadata(path: Path) -> Iterator[SqliteMetadata]:
    metadata = SqliteMetadata(path)
    add_accounts(metadata)
    yield metadata
    metadata.close()


def list_all(unit: Unit) -> list[StoredEntry]:
    return unit.tree.list_changes(NAMESPACE, Seq(0), 10_000)


def limit_pages(metadata: SqliteMetadata, *, more: int) -> None:
    """Plays a disk that has room for so many more pages."""
    assert metadata._writer is not None
    (pages,) = metadata._writer.execute("PRAGMA page_count").fetchone()
    metadata._writer.execute(f"PRAGMA max_page_count = {pages + more}")


def test_what_was_acknowledged_is_there_after_a_restart(
    metadata: SqliteMetadata, path: Path
) -> None:
    Journalist(metadata).create(folder(make_file_id(1), "a"), file(make_file_id(2), "b"))
    before = metadata.read(list_all)
    metadata.close()
    again = SqliteMetadata(path)

    assert again.read(list_all) == before
    again.close()


def test_a_commit_is_durable_when_it_returns(metadata: SqliteMetadata) -> None:
    assert metadata._writer is not None
    pragmas = {
        name: metadata._writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_full_disk_is_told_and_what_was_there_stays(metadata: SqliteMetadata) -> None:
    journalist = Journalist(metadata)
    journalist.create(file(make_file_id(1), "a"))
    before = metadata.read(list_all)
    limit_pages(metadata, more=5)
    entries = [file(make_file_id(n), f"some-name-{n}") for n in range(10, 2_000)]
    with pytest.raises(DatabaseFull) as caught:
        journalist.create(*entries)

    assert caught.value.code == "server-database-full"
    assert caught.value.retryable
    assert metadata.read(list_all) == before
    limit_pages(metadata, more=5_000)
    journalist.create(*entries)
    assert len(metadata.read(list_all)) == 1 + len(entries)


def test_a_full_disk_spoils_a_group_as_a_whole_or_one_work_of_it(
    metadata: SqliteMetadata,
) -> None:
    limit_pages(metadata, more=5)

    def fill(unit: Unit) -> None:
        for number in range(10, 2_000):
            unit.tree.keep_manifest(NAMESPACE, bytes([number % 256]) * 32, number, b"h" * 32, 1)
            unit.tree.keep_idempotent(NAMESPACE, b"d" * 16, f"{number}", b"x" * 999, number)  # type: ignore[arg-type]

    def look(unit: Unit) -> int:
        return unit.tree.head(NAMESPACE)

    try:
        results = metadata.write_group([look, fill, look])
    except DatabaseFull:
        results = []
    assert not results or isinstance(results[1], DatabaseFull)
    assert metadata.read(lambda u: u.tree.find_idempotent(NAMESPACE, b"d" * 16, "10")) is None  # type: ignore[arg-type]


def test_a_writer_in_another_process_is_waited_for_and_then_told(
    metadata: SqliteMetadata, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert metadata._writer is not None
    metadata._writer.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(DatabaseBusy):
        metadata.write(lambda unit: unit.tree.head(NAMESPACE))
    # Readers do not wait.
    assert metadata.read(lambda unit: unit.tree.head(NAMESPACE)) == 0
    other.execute("ROLLBACK")
    other.close()

    assert metadata.write(lambda unit: unit.tree.head(NAMESPACE)) == 0


def test_two_processes_write_without_losing_anything(metadata: SqliteMetadata, path: Path) -> None:
    script = """
import sys
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.testing.conformance.metadata.transactions import append_pair
metadata = SqliteMetadata(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 30):
    metadata.write(lambda unit: append_pair(unit, number))
metadata.close()
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path), str(start)])
        for start in (0, 100)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]

    changes = metadata.read(list_all)
    assert [stored.seq for stored in changes] == list(range(1, 121))


def test_a_new_database_may_be_opened_by_two_at_once(path: Path) -> None:
    opened: list[SqliteMetadata] = []
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            opened.append(SqliteMetadata(path))
        except BaseException as error:  # noqa: BLE001  looked at below
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for metadata in opened:
        metadata.close()

    assert errors == []


def test_a_file_that_is_no_database_is_corrupt(path: Path) -> None:
    path.write_bytes(b"this is not a database at all " * 1_000)
    with pytest.raises(DatabaseCorrupt) as caught:
        SqliteMetadata(path)

    assert "backup" in caught.value.advice
    assert path.read_bytes().startswith(b"this is not")


def test_damage_met_later_is_corrupt_and_reported_each_time(
    metadata: SqliteMetadata, path: Path
) -> None:
    journalist = Journalist(metadata)
    journalist.create(*(file(make_file_id(n), f"name-{n}") for n in range(1, 1_000)))
    metadata.close()
    damaged = bytearray(path.read_bytes())
    # The schema at the front is whole, what it leads to is not.
    spared = 64 * 4_096
    damaged[spared:] = b"\xa5" * (len(damaged) - spared)
    path.write_bytes(damaged)
    again = SqliteMetadata(path)
    for _ in range(2):
        with pytest.raises(DatabaseCorrupt):
            again.read(lambda u: u.tree.list_below(NAMESPACE, ROOT_ID, "", 1_000))
    again.close()


@pytest.mark.parametrize("where", ["missing/metadata.db", "."])
def test_a_path_where_no_database_can_be_is_a_wrong_setting(tmp_path: Path, where: str) -> None:
    with pytest.raises(DatabaseUnusable) as caught:
        SqliteMetadata(tmp_path / where)

    assert caught.value.code == "data-unusable"
    assert str(tmp_path) in caught.value.message


def test_after_trouble_with_the_disk_the_connection_is_a_new_one(
    metadata: SqliteMetadata,
) -> None:
    first = metadata._writer

    def work(_: Unit) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(DatabaseTrouble, match="disk I/O error"):
        metadata.write(work)
    with pytest.raises(DatabaseTrouble, match="disk I/O error"):
        metadata.read(work)
    Journalist(metadata).create(file(make_file_id(1), "a"))

    assert metadata._writer is not first
    assert len(metadata.read(list_all)) == 1


def test_readers_that_are_idle_are_few(
    metadata: SqliteMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "READERS_KEPT_MAX", 2)
    barrier = threading.Barrier(5)
    heads: list[int] = []

    def work(unit: Unit) -> None:
        barrier.wait(timeout=120)
        heads.append(unit.tree.head(NAMESPACE))

    threads = [threading.Thread(target=metadata.read, args=(work,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert heads == [0] * 5
    assert len(metadata._readers) == 2


def test_nothing_is_done_once_it_is_closed(metadata: SqliteMetadata) -> None:
    metadata.close()
    for ask in (metadata.read, metadata.write):
        with pytest.raises(AssertionError, match="closed"):
            ask(lambda unit: unit.tree.head(NAMESPACE))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, DatabaseFull),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, DatabaseBusy),
        (sqlite3.SQLITE_CORRUPT_INDEX, DatabaseCorrupt),
        (sqlite3.SQLITE_IOERR_WRITE, DatabaseTrouble),
        (sqlite3.SQLITE_READONLY_DBMOVED, DatabaseTrouble),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, AssertionError),
        (sqlite3.SQLITE_ERROR, AssertionError),
    ],
)
def test_each_trouble_has_its_family(code: int, expected: type[Exception]) -> None:
    error = sqlite3.OperationalError("what happened")
    error.sqlite_errorcode = code
    found = translate(error)

    assert type(found) is expected
    if isinstance(found, Unavailable):
        assert found.retry_after_s > 0
    assert type(translate(sqlite3.ProgrammingError("wrong"))) is AssertionError


def test_workers_on_one_database_take_turns_to_write(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    worker, other = (SqliteMetadata(path, run="r") for _ in range(2))
    begun, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def first(unit: Unit) -> None:
        begun.set()
        may_end.wait(60)
        order.append("first")

    with ThreadPoolExecutor() as threads:
        writing = threads.submit(worker.write, first)
        begun.wait(60)
        waiting = threads.submit(other.write, lambda _: order.append("second"))
        # Whoever does not know of turns waits in SQLite's way, and is not kept from reading.
        assert other.read(lambda unit: unit.accounts.list_accounts()) == []
        may_end.set()
        writing.result(60)
        waiting.result(60)

    assert order == ["first", "second"]
    for metadata in (worker, other):
        metadata.close()


def test_turn_that_cannot_be_taken_is_trouble_with_the_disk(tmp_path: Path) -> None:
    metadata = SqliteMetadata(tmp_path / "metadata.db", run="r")
    (tmp_path / "metadata.db-turn").mkdir()
    with pytest.raises(DatabaseTrouble):
        metadata.write(lambda unit: unit.shared.move_stamp())
    (tmp_path / "metadata.db-turn").rmdir()

    metadata.write(lambda unit: unit.shared.move_stamp())
    metadata.close()
