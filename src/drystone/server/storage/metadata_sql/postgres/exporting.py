# SPDX-License-Identifier: Apache-2.0
"""Exporting: all metadata of a PostgreSQL in one instant, as a SQLite database.

One reading transaction, so that writers neither wait nor are seen in part. ``moving`` is the way
back.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from drystone.server.storage.metadata_sql import trouble as sqlite_trouble
from drystone.server.storage.metadata_sql.postgres.metadata import PostgresMetadata
from drystone.server.storage.metadata_sql.postgres.moving import Table, list_tables
from drystone.server.storage.metadata_sql.postgres.trouble import translated
from drystone.server.storage.metadata_sql.sqlite import SqliteMetadata

_ROWS_AT_ONCE: Final = 10_000


def export_to(url: str, path: Path, tell: Callable[[int], None]) -> None:
    """Copies all metadata from a PostgreSQL to a new file of SQLite.

    Args:
        url: Of the database; brought up to date first, as a server would.
        path: Of the file; there is none yet.
        tell: Is told how many rows were copied so far.

    Raises:
        DatabaseUnreachable: It cannot be read now.
        DatabaseFull: The disk of the file has no room.
        Misconfigured: It cannot be opened.
    """
    PostgresMetadata(url).close()
    SqliteMetadata(path).close()
    done = 0
    with (
        sqlite_trouble.translated(),
        closing(sqlite3.connect(path, isolation_level=None)) as new,
        translated(),
        psycopg.connect(url) as old,
    ):
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.read_only = True
        new.execute("PRAGMA journal_mode = OFF")
        new.execute("BEGIN")
        for table in list_tables(new):
            done = _copy(old, new, table, lambda rows, done=done: tell(done + rows)) + done  # type: ignore[misc]
        new.execute("COMMIT")
        new.execute("PRAGMA journal_mode = DELETE")


def _copy(
    old: "psycopg.Connection[Any]",
    new: sqlite3.Connection,
    table: Table,
    tell: Callable[[int], None],
) -> int:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
        columns, sql.Identifier(table.name), key
    )
    marks = ", ".join("?" for _ in table.columns)
    names = ", ".join(table.columns)
    insert = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"
    count = 0
    with old.cursor(name="exported") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(query)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            new.executemany(insert, rows)
            count += len(rows)
            tell(count)
    return count
