# SPDX-License-Identifier: Apache-2.0
"""Session: a connection of psycopg's, as units of work use it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from drystone.server.storage.metadata_sql.postgres.dialect import say
from drystone.server.storage.metadata_sql.session import Rows


class PostgresSession:
    """Implements ``Session`` on a connection of psycopg."""

    def __init__(self, connection: "psycopg.Connection[Any]", *, is_writing: bool) -> None:
        self._connection = connection
        self._is_writing = is_writing

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status != TransactionStatus.IDLE

    def execute(self, statement: str, values: Mapping[str, Any] | Sequence[Any] = (), /) -> Rows:
        text = say(statement, is_writing=self._is_writing)
        return self._connection.execute(text, values or None)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Rows:
        cursor = self._connection.cursor()
        cursor.executemany(
            say(statement, is_writing=self._is_writing),
            list(rows),
        )
        return cursor
