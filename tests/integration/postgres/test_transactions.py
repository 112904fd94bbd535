# SPDX-License-Identifier: Apache-2.0
"""Several workers on one PostgreSQL: nothing twice, nothing lost, nobody waits for nothing."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from drystone.core.errors import Unavailable
from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.record import Action, Record
from drystone.server.ports.metadata import Account, AccountExists, Unit
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.metadata_sql.postgres.trouble import (
    DatabaseRefuses,
    DatabaseUnreachable,
    PostgresUnusable,
)
from drystone.server.storage.metadata_sql.trouble import SchemaNewer
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    LAPTOP,
    NAMESPACE,
    OTHER,
    add_accounts,
    file,
    make_file_id,
)
from drystone.testing.conformance.metadata.transactions import run_together
from drystone.testing.postgres import PostgresServer


@pytest.fixture
def workers(postgres_url: str) -> Iterator[tuple[PostgresMetadata, PostgresMetadata]]:
    """Two processes' engines on one database."""
    one = PostgresMetadata(postgres_url)
    add_accounts(one)
    two = PostgresMetadata(postgres_url)
    yield one, two
    one.close()
    two.close()


def append(unit: Unit, namespace_id: NamespaceId, number: int) -> Seq:
    """Appends one record behind the head."""
    seq = Seq(unit.tree.head(namespace_id) + 1)
    entry = file(make_file_id(number + 1), f"{number}")
    record = Record(seq, Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)
    unit.tree.append(namespace_id, [record])
    return seq


def list_names(unit: Unit, namespace_id: NamespaceId = NAMESPACE) -> list[str]:
    return [s.entry.name for s in unit.tree.list_changes(namespace_id, Seq(0), 10_000)]


def end_connections(url: str) -> int:
    """Ends everybody's connections but this one's; returns how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        return len(
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        )


def test_commits_of_one_namespace_have_no_gaps_whoever_makes_them(workers) -> None:
    def write(engine: PostgresMetadata, first: int) -> None:
        for number in range(first, first + 40):
            engine.write(lambda unit, n=number: append(unit, NAMESPACE, n))  # type: ignore[misc]

    run_together(
        [
            lambda e=engine, first=first: write(e, first)  # type: ignore[misc]
            for engine, first in ((workers[0], 0), (workers[1], 100), (workers[1], 200))
        ]
    )

    changes = workers[0].read(lambda u: u.tree.list_changes(NAMESPACE, Seq(0), 999))
    assert [stored.seq for stored in changes] == list(range(1, 121))
    assert {int(s.entry.name) for s in changes} == {
        *range(40), *range(100, 140), *range(200, 240)
    }  # fmt: skip


def test_who_reads_meanwhile_never_sees_a_gap(workers) -> None:
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        after = Seq(0)
        while True:
            is_last = done.is_set()
            page = workers[1].read(lambda u, a=after: u.tree.list_changes(NAMESPACE, a, 7))
            assert [s.seq for s in page] == list(range(after + 1, after + 1 + len(page)))
            seen.extend(s.seq for s in page)
            if page:
                after = page[-1].seq
            elif is_last:
                return

    def write(engine: PostgresMetadata, first: int) -> None:
        for number in range(first, first + 50):
            engine.write(lambda unit, n=number: append(unit, NAMESPACE, n))  # type: ignore[misc]

    def write_both() -> None:
        try:
            run_together([lambda: write(workers[0], 0), lambda: write(workers[1], 100)])
        finally:
            done.set()

    run_together([read, write_both])

    assert seen == list(range(1, 101))


def test_namespaces_do_not_wait_for_each_other(workers) -> None:
    # Who writes for the first time is given a number, which another one waits for.
    workers[0].write(lambda unit: append(unit, OTHER, 0))
    # Were the second work to wait for the first, neither would end.
    is_inside, is_other_done = threading.Event(), threading.Event()

    def slow(unit: Unit) -> None:
        append(unit, NAMESPACE, 1)
        is_inside.set()
        assert is_other_done.wait(20)

    def other() -> None:
        assert is_inside.wait(20)
        workers[1].write(lambda unit: append(unit, OTHER, 2))
        is_other_done.set()

    run_together([lambda: workers[0].write(slow), other])

    assert workers[0].read(list_names) == ["1"]
    assert workers[0].read(lambda unit: list_names(unit, OTHER)) == ["0", "2"]


@pytest.mark.parametrize("is_group", [False, True])
def test_works_that_lock_each_other_out_are_both_done_in_the_end(workers, is_group) -> None:
    meet = threading.Barrier(2, timeout=120)

    def take(engine: PostgresMetadata, first: NamespaceId, second: NamespaceId, n: int) -> None:
        def one(unit: Unit) -> None:
            append(unit, first, n)
            # Once both hold their first, neither gets its second.
            if not meet.broken:
                with suppress(threading.BrokenBarrierError):
                    meet.wait(1)
            if not is_group:
                append(unit, second, n + 10)

        def two(unit: Unit) -> None:
            append(unit, second, n + 10)

        if is_group:
            assert engine.write_group([one, two]) == [None, None]
        else:
            engine.write(one)

    run_together(
        [
            lambda: take(workers[0], NAMESPACE, OTHER, 1),
            lambda: take(workers[1], OTHER, NAMESPACE, 2),
        ]
    )

    assert sorted(workers[0].read(list_names)) == ["1", "12"]
    assert sorted(workers[0].read(lambda unit: list_names(unit, OTHER))) == ["11", "2"]


def test_two_that_add_the_same_account_are_told_apart(workers) -> None:
    meet = threading.Barrier(2, timeout=120)
    refused: list[AccountExists] = []

    def add(engine: PostgresMetadata, letter: bytes) -> None:
        account = Account(letter * 16, "Carla", "hash", letter.upper() * 16, 3)  # type: ignore[arg-type]

        def work(unit: Unit) -> None:
            if not meet.broken:
                unit.accounts.find_account("carla")
                with suppress(threading.BrokenBarrierError):
                    meet.wait(1)
            unit.accounts.add_account(account)

        try:
            engine.write(work)
        except AccountExists as error:
            refused.append(error)

    run_together([lambda: add(workers[0], b"c"), lambda: add(workers[1], b"d")])

    assert len(refused) == 1
    assert len(workers[0].read(lambda unit: unit.accounts.list_accounts())) == 3


def test_a_work_whose_connection_ends_is_done_again_and_only_once(workers, postgres_url) -> None:
    tries = []

    def work(unit: Unit) -> Seq:
        seq = append(unit, NAMESPACE, 1)
        tries.append(seq)
        if len(tries) == 1:
            end_connections(postgres_url)
        unit.accounts.list_accounts()
        return seq

    assert workers[0].write(work) == 1
    assert tries == [1, 1]
    assert workers[1].read(list_names) == ["1"]


def test_an_end_that_is_not_known_is_told_and_not_done_again(
    workers, postgres_url, monkeypatch
) -> None:
    calls = []
    execute = psycopg.Connection.execute

    def cut(self, query, *args, **kwargs):
        if query == "COMMIT" and not calls:
            calls.append(query)
            execute(self, query)
            # Committed; but nobody hears of it.
            raise psycopg.OperationalError("the connection is lost")
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Connection, "execute", cut)
    with pytest.raises(DatabaseUnreachable) as caught:
        workers[0].write(lambda unit: append(unit, NAMESPACE, 1))

    assert caught.value.retryable
    assert workers[1].read(list_names) == ["1"]
    # What was said may name addresses and users, and the message goes to devices.
    assert caught.value.what == "the connection is lost"
    assert "the connection is lost" not in caught.value.message


def test_a_server_that_was_away_is_found_again(tmp_path) -> None:
    with PostgresServer(tmp_path) as server:
        engine = PostgresMetadata(server.make_database(), wait_s=3)
        add_accounts(engine)
        engine.write(lambda unit: append(unit, NAMESPACE, 1))
        server.stop()
        with pytest.raises(Unavailable):
            engine.write(lambda unit: append(unit, NAMESPACE, 2))
        with pytest.raises(Unavailable):
            engine.read(list_names)
        server.start()

        engine.write(lambda unit: append(unit, NAMESPACE, 3))
        assert engine.read(list_names) == ["1", "3"]
        engine.close()


def test_a_database_of_a_later_version_is_left_as_it_is(postgres_url) -> None:
    PostgresMetadata(postgres_url).close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO schema_version VALUES (999, 'later')")

    with pytest.raises(SchemaNewer) as caught:
        PostgresMetadata(postgres_url)
    assert "999" in str(caught.value)


def test_the_database_of_another_program_is_not_touched(postgres_url) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE theirs (id int)")

    with pytest.raises(PostgresUnusable, match="another program") as caught:
        PostgresMetadata(postgres_url)
    assert "user" in caught.value.advice
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        )
        assert found.fetchall() == [("theirs",)]


def test_a_table_of_another_program_may_be_called_as_ours(postgres_url) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE schema_version (theirs text)")

    with pytest.raises(PostgresUnusable, match="another program"):
        PostgresMetadata(postgres_url)


@pytest.mark.parametrize("may", ["make no tables", "only read"])
def test_a_user_without_the_rights_is_told_at_the_start(postgres, postgres_url, may) -> None:
    schema = postgres_url.rpartition("%3D")[2]
    url = f"{postgres_url}%20-cdefault_transaction_read_only%3Don"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        if may == "make no tables":
            connection.execute(f"CREATE ROLE {schema}_user LOGIN")
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_user")
            url = postgres_url.replace("drystone@", f"{schema}_user:hush@")
    with pytest.raises(PostgresUnusable, match=r"permission denied|read-only") as caught:
        PostgresMetadata(url)
    assert "hush" not in f"{caught.value}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        if may == "make no tables":
            connection.execute(f"DROP OWNED BY {schema}_user")
            connection.execute(f"DROP ROLE {schema}_user")


def test_a_primary_that_was_replaced_is_left_for_the_new_one(workers, postgres_url) -> None:
    """What was the primary answers still, and can only be read: as after a failover."""
    engine, other = workers
    engine.write(lambda unit: append(unit, NAMESPACE, 1))

    def turn(how: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} {how}")

    turn("SET default_transaction_read_only = on")
    try:
        end_connections(postgres_url)
        works = [lambda unit: append(unit, NAMESPACE, 2), lambda unit: append(unit, OTHER, 1)]
        with pytest.raises(DatabaseRefuses) as caught:
            engine.write(works[0])
        assert caught.value.retryable
        assert "read-only" in caught.value.what
        assert "read-only" not in caught.value.message
        assert [type(told) for told in engine.write_group(works)] == [DatabaseRefuses] * 2
        assert engine.read(list_names) == ["1"]
    finally:
        turn("RESET default_transaction_read_only")
    # The sessions that could only read are gone.
    engine.write(works[0])
    assert other.read(list_names) == ["1", "2"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:secret@127.0.0.1:1/drystone",
        "postgresql://anna:secret@127.0.0.1:1/drystone?sslmode=never",
    ],
)
def test_where_there_is_none_it_is_said_without_the_password(url) -> None:
    with pytest.raises(PostgresUnusable) as caught:
        PostgresMetadata(url)

    assert "secret" not in f"{caught.value} {caught.value.advice}"
    assert caught.value.advice


def test_several_that_start_at_once_migrate_once(postgres_url) -> None:
    engines: list[PostgresMetadata] = []
    run_together([lambda: engines.append(PostgresMetadata(postgres_url)) for _ in range(3)])

    assert len(engines) == 3
    add_accounts(engines[0])
    for engine in engines:
        assert len(engine.read(lambda unit: unit.accounts.list_accounts())) == 2
        engine.close()
