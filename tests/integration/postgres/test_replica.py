# SPDX-License-Identifier: Apache-2.0
"""A hot standby takes readings off the primary, and never tells anything that is not so."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from drystone.core.ids import ROOT_ID, Seq
from drystone.server.ports.metadata import Unit
from drystone.server.service.writer import Writer
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.conformance.metadata.samples import NAMESPACE, Journalist, add_accounts, file
from drystone.testing.postgres import PostgresServer
from drystone.testing.strategies import make_file_id


class Counting:
    """Counts the readings that the copy answered."""

    def __init__(self, metadata: PostgresMetadata) -> None:
        self.metadata = metadata
        self.answered = 0
        self._read_copy = metadata.read_copy
        metadata.read_copy = self.read_copy  # type: ignore[method-assign]

    def read_copy(self, work):
        result = self._read_copy(work)
        self.answered += 1
        return result


@pytest.fixture(scope="module")
def standby(tmp_path_factory) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    folder = tmp_path_factory.mktemp("replication")
    with (
        PostgresServer(folder / "primary") as primary,
        primary.make_standby(folder / "standby") as standby,
    ):
        yield primary, standby


@pytest.fixture
def counting(standby) -> Iterator[Counting]:
    primary, copy = standby
    url = primary.make_database()
    wait_for_replay(primary, copy)
    metadata = PostgresMetadata(url, replica_url=copy.url(url.rpartition("/")[2]))
    add_accounts(metadata)
    yield Counting(metadata)
    metadata.close()


def wait_for_replay(primary: PostgresServer, copy: PostgresServer) -> None:
    """Waits until the standby has replayed all that the primary has written."""
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        (written,) = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()  # type: ignore[misc]
    with psycopg.connect(copy.url(), autocommit=True) as connection:
        for _ in range(1_000):
            query = "SELECT pg_last_wal_replay_lsn() >= %s"
            (is_there,) = connection.execute(query, [written]).fetchone()  # type: ignore[misc]
            if is_there:
                return
            connection.execute("SELECT pg_sleep(0.02)")
    raise AssertionError("the standby does not follow")


def list_root(metadata: PostgresMetadata) -> list[str]:
    async def read() -> list[str]:
        writer = Writer(metadata)
        try:
            return await writer.read_at_head(NAMESPACE, lambda _: None, work)
        finally:
            await asyncio.to_thread(writer.close)

    def work(unit: Unit) -> list[str]:
        children = unit.tree.list_children(NAMESPACE, ROOT_ID, "", 100)
        return [stored.entry.name for stored in children]

    return asyncio.run(read())


def pause(copy: PostgresServer, *, is_paused: bool) -> None:
    what = "pg_wal_replay_pause" if is_paused else "pg_wal_replay_resume"
    with psycopg.connect(copy.url(), autocommit=True) as connection:
        connection.execute(f"SELECT {what}()")


def test_a_replica_that_keeps_up_answers_and_one_that_lags_is_passed_over(
    standby, counting
) -> None:
    primary, copy = standby
    journalist = Journalist(counting.metadata)
    journalist.create(file(make_file_id(1), "one"))
    wait_for_replay(primary, copy)

    assert list_root(counting.metadata) == ["one"]
    assert counting.answered == 1

    pause(copy, is_paused=True)
    try:
        journalist.create(file(make_file_id(2), "two"))

        assert list_root(counting.metadata) == ["one", "two"]
        assert counting.answered == 1
        # Looked at by itself it does lag.
        assert counting.metadata.read_copy(lambda unit: unit.tree.head(NAMESPACE)) == Seq(1)
        counting.answered = 1
    finally:
        pause(copy, is_paused=False)
    wait_for_replay(primary, copy)

    assert list_root(counting.metadata) == ["one", "two"]
    assert counting.answered == 2


def test_a_replica_that_went_away_is_left_alone_for_a_while(standby, counting) -> None:
    _, copy = standby
    journalist = Journalist(counting.metadata)
    journalist.create(file(make_file_id(1), "one"))
    copy.kill()
    try:
        assert counting.metadata.has_copy
        assert list_root(counting.metadata) == ["one"]
        assert not counting.metadata.has_copy
        assert list_root(counting.metadata) == ["one"]
        assert counting.answered == 0
    finally:
        copy.start()


def test_a_reading_on_the_replica_cannot_write(standby, counting) -> None:
    primary, copy = standby
    wait_for_replay(primary, copy)

    with pytest.raises(Exception, match=r"read-only|did not answer"):
        counting.metadata.read_copy(
            lambda unit: unit.tree.keep_manifest(NAMESPACE, b"m" * 32, 1, b"h" * 32, 1)  # type: ignore[arg-type]
        )


def test_a_copy_that_is_written_to_by_itself_is_no_copy(standby) -> None:
    """It would have other records under the same numbers."""
    primary, _ = standby
    url = primary.make_database()
    original = PostgresMetadata(url)
    add_accounts(original)
    original.close()
    name, copy_name = url.rpartition("/")[2], f"{url.rpartition('/')[2]}copy"
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {copy_name} TEMPLATE {name}")
    elsewhere = PostgresMetadata(primary.url(copy_name))
    Journalist(elsewhere).create(file(make_file_id(1), "theirs"))
    elsewhere.close()
    counting = Counting(PostgresMetadata(url, replica_url=primary.url(copy_name)))
    Journalist(counting.metadata).create(file(make_file_id(1), "ours"))

    assert list_root(counting.metadata) == ["ours"]
    assert counting.answered == 0
    counting.metadata.close()
