# SPDX-License-Identifier: Apache-2.0
"""Moving: an embedded server's metadata carried over to PostgreSQL, and compared row by row.

All of it is one transaction: the new database has everything, or is as empty as before. The
old one is only read.
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from drystone.core.errors import Refused
from drystone.server.storage.metadata_sql.postgres.metadata import PostgresMetadata
from drystone.server.storage.metadata_sql.postgres.trouble import translated
from drystone.server.storage.metadata_sql.sqlite import SqliteMetadata

_ROWS_AT_ONCE: Final = 10_000


class MovingTo(Refused):
    """The metadata cannot be moved to that database, or were not moved whole; it is as it was."""

    code = "move-refused"


class Moved(NamedTuple):
    """What was moved.

    Attributes:
        rows_counts: Of each table, how many rows stand in both databases now, compared.
    """

    rows_counts: dict[str, int]


class Table(NamedTuple):
    """A table of the old database.

    Attributes:
        name: Of it.
        columns: In their order.
        key: Those of its primary key, in their order.
        is_numbered: Whether the database gives out its key.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    is_numbered: bool


def move_to(
    path: str, url: str, tell: Callable[[str, int], None] = lambda _table, _rows: None
) -> Moved:
    """Copies all metadata from a file of SQLite to an empty PostgreSQL, and compares them.

    Nobody may write to the file meanwhile: the caller sees to that.

    Args:
        path: Of the file; brought up to date first, as a server would.
        url: Of the new database; its tables are made.
        tell: Is told of each table when it has been copied: its name, and how many rows.

    Raises:
        MovingTo: There is something in the new database already, or it does not hold what was
            sent to it. It is as it was.
        Misconfigured: One of them cannot be opened.
    """
    SqliteMetadata(path).close()
    PostgresMetadata(url).close()
    old = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        with translated(), psycopg.connect(url) as new:
            tables = list_tables(old)
            _require_empty(new, tables)
            counts = {}
            for table in tables:
                counts[table.name] = _copy(old, new, table)
                tell(table.name, counts[table.name])
            for table in tables:
                _compare(old, new, table)
            new.commit()
        with translated(), psycopg.connect(url, autocommit=True) as new:
            # The planner is to know at once what took others months to add.
            new.execute("ANALYZE")
    finally:
        old.close()
    return Moved(counts)


def list_tables(old: sqlite3.Connection) -> list[Table]:
    """Returns the tables in the order in which they were made: what refers comes behind."""
    names = [
        name
        for (name,) in old.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
        )
        if name != "schema_version"
    ]
    tables = []
    for name in names:
        rows = old.execute(f"SELECT name, type, pk FROM pragma_table_info('{name}')").fetchall()
        key = [column for column, _, pk in sorted(rows, key=lambda row: row[2]) if pk]
        kinds = {column: kind for column, kind, _ in rows}
        is_numbered = len(key) == 1 and kinds[key[0]] == "INTEGER"
        tables.append(Table(name, tuple(kinds), tuple(key), is_numbered))
    return tables


def _require_empty(new: "psycopg.Connection[Any]", tables: list[Table]) -> None:
    for table in tables:
        found = new.execute(
            sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table.name))
        ).fetchone()
        if found is not None:
            raise MovingTo(
                f"there is something in the new database already (in its table {table.name})",
                advice="Name an empty database, or remove what is in this one.",
            )


def _copy(old: sqlite3.Connection, new: "psycopg.Connection[Any]", table: Table) -> int:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    name = sql.Identifier(table.name)
    count = 0
    with new.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)) as copy:
            for row in _iter_old(old, table):
                copy.write_row(row)
                count += 1
        if table.is_numbered:
            key = sql.Identifier(table.key[0])
            cursor.execute(
                sql.SQL(
                    "SELECT setval(pg_get_serial_sequence({}, {}), greatest(max({}), 1)) FROM {}"
                ).format(sql.Literal(table.name), sql.Literal(table.key[0]), key, name)
            )
    return count


def _compare(old: sqlite3.Connection, new: "psycopg.Connection[Any]", table: Table) -> None:
    """Reads both again, side by side."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
        columns, sql.Identifier(table.name), key
    )
    with new.cursor(name="moved") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(query)
        for number, row in enumerate(_iter_old(old, table), 1):
            if row != cursor.fetchone():
                raise MovingTo(
                    f"row {number} of {table.name} arrived otherwise than it was sent",
                    advice="Nothing was kept in the new database. Look at both, and try again.",
                )
        if cursor.fetchone() is not None:
            raise MovingTo(
                f"there is more in {table.name} than was sent",
                advice="Is a server running on the new database? Stop it, and try again.",
            )


def _iter_old(old: sqlite3.Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    columns, key = ", ".join(table.columns), ", ".join(table.key)
    yield from old.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}")
