# SPDX-License-Identifier: Apache-2.0
"""Replica: reads on a copy of the database that PostgreSQL itself keeps, and that may lag behind.

Nothing depends on it. Whoever reads here looks how far the copy is; one that does not answer, or
breaks a reading off because the primary's changes must go on, is left alone for a while, and the
primary reads instead.
"""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
import psycopg_pool
import structlog

from drystone.core.errors import Unavailable
from drystone.server.ports.metadata import Unit
from drystone.server.storage.metadata_sql.postgres.session import PostgresSession
from drystone.server.storage.metadata_sql.unit import SqlUnit

T = TypeVar("T")

log = structlog.get_logger()

WAIT_S: Final = 1.0
"""How long a reading waits for a connection before the primary reads instead."""

REST_S: Final = 10.0
"""How long a replica that did not answer is not asked again."""

_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class ReplicaAway(Unavailable):
    """The copy did not answer, or broke the reading off; the primary can be read instead."""

    code = "database-replica-away"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the database's replica did not answer ({what})", advice="Read from the primary."
        )


def _require_standby(connection: "psycopg.Connection[Any]") -> None:
    """Refuses a connection to what is no copy (any more): a database that is written to by itself
    may hold another history under the same numbers.
    """
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if row is None or not row[0]:
        raise psycopg.OperationalError("it is no standby")


class Replica:
    """Connections to a hot standby; opened when they are first needed.

    Args:
        where: Its address, as it may be told to anybody.
        conninfo: How to connect to it.
        connections_max: Opened at once.
    """

    def __init__(self, where: str, conninfo: str, connections_max: int) -> None:
        self._where = where
        self._rests_until_s = 0.0
        self._pool = psycopg_pool.ConnectionPool(
            conninfo,
            min_size=0,
            max_size=connections_max,
            open=False,
            timeout=WAIT_S,
            reconnect_timeout=WAIT_S,
            name="replica",
            configure=_require_standby,
            kwargs={"autocommit": True, "prepare_threshold": 2},
        )
        self._pool.open(wait=False)

    @property
    def is_resting(self) -> bool:
        """Whether it failed so lately that it is not worth asking."""
        return time.monotonic() < self._rests_until_s

    def read(self, work: Callable[[Unit], T]) -> T:
        """Runs ``work`` on one consistent state of the copy.

        Raises:
            ReplicaAway: It did not answer, or not to the end. It is resting now.
        """
        try:
            with self._pool.connection() as connection:
                session = PostgresSession(connection, is_writing=False)
                session.execute(_READING)
                try:
                    return work(SqlUnit(session))
                finally:
                    if not connection.broken:
                        session.execute("ROLLBACK")
        except psycopg.Error as error:
            what = (str(error).splitlines() or [type(error).__name__])[0]
            self._rests_until_s = time.monotonic() + REST_S
            log.warning("database.replica-away", replica=self._where, why=what)
            raise ReplicaAway(what) from error

    def close(self) -> None:
        """Ends all connections. Idempotent."""
        self._pool.close()
