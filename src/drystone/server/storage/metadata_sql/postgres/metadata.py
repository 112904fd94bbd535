# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: connections and transactions, for many workers on many machines.

Every work is one transaction. Works on one namespace come one after the other, whichever
worker does them: the first thing a work asks of a namespace locks its row. Works on different
namespaces go side by side. Two that got hold of each other's rows are told apart by
PostgreSQL, and the one that lost is done again.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import psycopg
import psycopg_pool

from drystone.server.ports.metadata import Unit
from drystone.server.storage.metadata_sql.migrations import (
    OF_ANOTHER,
    Engine,
    Migration,
    is_beyond,
    load_migrations,
    migrate,
    read_version,
)
from drystone.server.storage.metadata_sql.postgres.dialect import say_schema
from drystone.server.storage.metadata_sql.postgres.replica import Replica
from drystone.server.storage.metadata_sql.postgres.session import PostgresSession
from drystone.server.storage.metadata_sql.postgres.trouble import (
    DatabaseRefuses,
    PostgresUnusable,
    is_worth_another_try,
    translate,
    translated,
)
from drystone.server.storage.metadata_sql.trouble import DatabaseUnusable
from drystone.server.storage.metadata_sql.unit import SqlUnit

T = TypeVar("T")

TRIES_MAX: Final = 8
"""How often a work is begun that loses against others or loses its connection. Waits between
are 10 ms, doubled each time, half of it at random: 1.3 s in all."""

CONNECT_TIMEOUT_S: Final = 10
CONNECTION_WAIT_S: Final = 10.0
LOCK_TIMEOUT_MS: Final = 15_000
"""Who waits longer for a namespace than this is told to come again."""

VERSION_MIN: Final = 14

_VERSION_S_MAX: Final = 2.0
"""Who asks for the version wants to know whether the database answers: soon, and in one try."""

_OPTIONS: Final = " ".join(
    f"-c {setting}"
    for setting in (
        # Statements are walks over indexes in the order in which they are written. The planner,
        # whose numbers are old right after much has been added, is not to think of others.
        "join_collapse_limit=1",
        "from_collapse_limit=1",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "enable_seqscan=off",
        "enable_bitmapscan=off",
        "enable_material=off",
        "enable_memoize=off",
        "jit=off",
        "plan_cache_mode=force_generic_plan",
        f"lock_timeout={LOCK_TIMEOUT_MS}",
        # A worker that vanished in the middle of a work does not hold its rows for long.
        "idle_in_transaction_session_timeout=60000",
        "timezone=UTC",
    )
)

_MIGRATING: Final = Engine(
    begin=("BEGIN", "SELECT pg_advisory_xact_lock(7239012644)"),
    table_names=("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"),
    split=lambda text: iter([say_schema(text)]),
)


class PostgresMetadata:
    """Implements the port ``Metadata`` on a PostgreSQL of version 14 or newer."""

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = 8,
        writes_at_once: int = 4,
        replica_url: str = "",
        wait_s: float = CONNECTION_WAIT_S,
        migrations: Sequence[Migration] | None = None,
    ) -> None:
        """Connects, and brings the database up to date.

        Args:
            url: ``postgresql://user:password@host/database``, or what else libpq takes.
            connections_max: Opened at once by this process; works beyond them wait.
            writes_at_once: See the port; some of those connections.
            replica_url: Of a hot standby of the same database; ``""``: there is none. Whether it
                answers is found out later.
            wait_s: How long a work waits for a connection before it is told to come again.
            migrations: Others than those of the program, for tests.

        Raises:
            SchemaNewer: It was written by a later version; it is left as it is.
            PostgresUnusable: It is not to be reached, too old, or something else.
        """
        self._where, conninfo = _parse_url(url)
        self.writes_at_once: Final = writes_at_once
        self._replica: Replica | None = None
        if replica_url:
            self._replica = Replica(*_parse_url(replica_url), connections_max)
        self._pool = psycopg_pool.ConnectionPool(
            conninfo,
            min_size=1,
            max_size=connections_max,
            open=False,
            timeout=wait_s,
            # After that long a work that waits tries anew: not minutes later, when waits between
            # tries have grown.
            reconnect_timeout=2.0,
            name="metadata",
            kwargs={
                "autocommit": True,
                "prepare_threshold": 2,
            },
        )
        self._migrations = load_migrations() if migrations is None else migrations
        try:
            # Outside the pool: it would go on trying in the background.
            self._begin(conninfo, self._migrations)
            self._pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
        except BaseException:
            self.close()
            raise

    def write(self, work: Callable[[Unit], T]) -> T:
        for rest in range(TRIES_MAX - 1, -1, -1):
            try:
                with self._transaction("BEGIN", is_writing=True) as session:
                    return work(SqlUnit(session))
            except psycopg.Error as error:
                if not rest or not is_worth_another_try(error):
                    raise translate(error) from error
                _wait(TRIES_MAX - rest)
        raise AssertionError("the last try returns or raises")

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        if len(works) > 1:
            try:
                with self._transaction("BEGIN", is_writing=True) as session:
                    return [_run_in_savepoint(session, work) for work in works]
            except psycopg.Error as error:
                if not is_worth_another_try(error):
                    raise translate(error) from error
        # One alone, or together they came into each other's or another worker's way.
        return [self._write_alone(work) for work in works]

    def read(self, work: Callable[[Unit], T]) -> T:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        for rest in range(TRIES_MAX - 1, -1, -1):
            try:
                with self._transaction(begin, is_writing=False) as session:
                    return work(SqlUnit(session))
            except psycopg.errors.ReadOnlySqlTransaction as error:
                raise AssertionError("a reading work has written") from error
            except psycopg.Error as error:
                if not rest or not is_worth_another_try(error):
                    raise translate(error) from error
                _wait(TRIES_MAX - rest)
        raise AssertionError("the last try returns or raises")

    def schema_version(self) -> tuple[int, int]:
        """Returns the version of the database's schema, and the one that this program brings.

        One try, so that what is away is told soon.
        """
        with translated(), self._pool.connection(timeout=_VERSION_S_MAX) as connection:
            session = PostgresSession(connection, is_writing=False)
            return read_version(session, self._where, _MIGRATING), len(self._migrations)

    def pool_stats(self) -> Mapping[str, int]:
        """Returns what the pool tells of itself; what is 0 may be missing."""
        return self._pool.get_stats()

    def is_outgrown(self) -> bool:
        with translated(), self._transaction("BEGIN READ ONLY", is_writing=False) as session:
            return is_beyond(session, self._migrations)

    @property
    def has_copy(self) -> bool:
        return self._replica is not None and not self._replica.is_resting

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        assert self._replica is not None, "there is no copy"
        return self._replica.read(work)

    def close(self) -> None:
        """Ends all connections once the work under way is done; idempotent."""
        if self._replica is not None:
            self._replica.close()
        self._pool.close()

    def _begin(self, conninfo: str, migrations: Sequence[Migration]) -> None:
        try:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                self._check(connection)
                with translated():
                    session = PostgresSession(connection, is_writing=True)
                    try:
                        migrate(session, self._where, migrations, _MIGRATING)
                    except psycopg.errors.UndefinedColumn as error:
                        # Somebody else's table of that name.
                        raise PostgresUnusable(self._where, OF_ANOTHER) from error
        except psycopg.Error as error:
            what = (str(error).splitlines() or [type(error).__name__])[0]
            raise PostgresUnusable(self._where, what) from error
        except DatabaseRefuses as error:
            raise PostgresUnusable(self._where, error.what) from error
        except DatabaseUnusable as error:
            raise PostgresUnusable(self._where, error.what) from error

    def _check(self, connection: "psycopg.Connection[Any]") -> None:
        if connection.info.server_version < VERSION_MIN * 10_000:
            version = connection.info.server_version // 10_000
            what = f"it is PostgreSQL {version}, and at least {VERSION_MIN} is needed"
            raise PostgresUnusable(self._where, what)
        row = connection.execute("SHOW server_encoding").fetchone()
        if row is None or row[0] != "UTF8":
            raise PostgresUnusable(self._where, "it does not keep text as UTF8")

    @contextmanager
    def _transaction(self, begin: str, *, is_writing: bool) -> Iterator[PostgresSession]:
        """Yields a session in a transaction, which is durable at the end.

        Raises what psycopg does, but for an end of unknown outcome: that is told at once, as
        nothing may be done a second time that may have been done.
        """
        with self._pool.connection() as connection:
            session = PostgresSession(connection, is_writing=is_writing)
            try:
                session.execute(begin)
                yield session
            except BaseException as error:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                if is_writing and isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                    # What was the primary is none any more: the next one looks for it anew.
                    connection.close()
                raise
            with translated():
                session.execute("COMMIT")

    def _write_alone(self, work: Callable[[Unit], object]) -> object:
        try:
            return self.write(work)
        except Exception as error:  # noqa: BLE001  it stands in the answer in the result's place
            return error


def _run_in_savepoint(session: PostgresSession, work: Callable[[Unit], object]) -> object:
    """Returns what ``work`` returned, or what it raised; then it alone is undone."""
    session.execute("SAVEPOINT work")
    try:
        result = work(SqlUnit(session))
    except Exception as error:
        if isinstance(error, psycopg.Error) and is_worth_another_try(error):
            raise
        session.execute("ROLLBACK TO work")
        session.execute("RELEASE work")
        return translate(error) if isinstance(error, psycopg.Error) else error
    session.execute("RELEASE work")
    return result


def _wait(tries: int) -> None:
    span_s = 0.01 * 2 ** (tries - 1)
    time.sleep(span_s / 2 + random.uniform(0, span_s / 2))


def _is_cut_up(parts: Mapping[str, object]) -> bool:
    """Tells whether an address was cut in the midst of its password, as libpq reads it: pieces of
    that would be told as host, port or name.
    """
    host, port, name = (str(parts.get(key) or "") for key in ("host", "port", "dbname"))
    return "@" in host + name or re.fullmatch(r"[0-9,]*", port) is None


def _parse_url(url: str) -> tuple[str, str]:
    """Returns where the database is, as it may be told to anybody, and how to connect to it.

    Raises:
        PostgresUnusable: It is no address of a PostgreSQL.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        raise PostgresUnusable("that the settings name", "its address cannot be read") from error
    if _is_cut_up(parts):
        what = "write @ / : ? # and % in its password as %40 %2F %3A %3F %23 %25"
        raise PostgresUnusable("that the settings name", what)
    where = ":".join(str(parts[key]) for key in ("host", "port") if parts.get(key))
    options = f"{parts.pop('options', '')} {_OPTIONS}".strip()
    parts = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "drystone", **parts}
    texts = {key: str(value) for key, value in parts.items() if value is not None}
    conninfo = psycopg.conninfo.make_conninfo(**texts, options=options)
    return f"postgresql://{where}/{parts.get('dbname', '')}", conninfo
