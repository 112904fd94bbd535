# SPDX-License-Identifier: Apache-2.0
"""Migrations: numbered SQL files bring a database of any earlier version up to date.

Each file is carried out in one transaction with the note that it was, so that an interrupted
one leaves the version before it whole. Files are never changed once released.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Final, NamedTuple, Protocol

from drystone.server.storage.metadata_sql.session import Session
from drystone.server.storage.metadata_sql.trouble import DatabaseUnusable, SchemaNewer


class Migration(NamedTuple):
    """One step from a version to the next.

    Attributes:
        number: The version after it; they count from 1 without gaps.
        name: Of its file.
        text: SQL statements.
    """

    number: int
    name: str
    text: str


class MigratingSession(Session, Protocol):
    """A connection whose transactions are begun and ended by statements."""

    @property
    def in_transaction(self) -> bool:
        """Whether one was begun and has not ended."""
        ...


class Engine(NamedTuple):
    """What carrying out migrations has to know of an engine.

    Attributes:
        begin: Statements that begin a transaction beside which nobody else migrates.
        table_names: A query for the names of all tables.
        split: Cuts a migration into the statements to run.
    """

    begin: tuple[str, ...]
    table_names: str
    split: Callable[[str], Iterator[str]]


def load_migrations() -> tuple[Migration, ...]:
    """Returns the migrations that come with the program, first one first."""
    folder = files("drystone.server.storage.metadata_sql") / "sql" / "migrations"
    found = sorted(
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})-[a-z0-9-]+\.sql", file.name))
    )
    assert [m.number for m in found] == list(range(1, len(found) + 1)), "a number is missing"
    return tuple(found)


def migrate(
    connection: MigratingSession,
    path: str,
    migrations: Sequence[Migration],
    engine: Engine | None = None,
) -> None:
    """Brings the database up to the last of ``migrations``; SQLite unless told otherwise.

    Several processes may do so at once: each step is done by one of them.

    Raises:
        SchemaNewer: The database is beyond the last one; it is left as it is.
        DatabaseUnusable: There is something else in the file.
    """
    known = len(migrations)
    engine = engine or _SQLITE
    while (version := read_version(connection, path, engine)) < known:
        _carry_out(connection, path, migrations[version], engine)
    if version > known:
        raise SchemaNewer(path, version, known)


def is_beyond(session: Session, migrations: Sequence[Migration]) -> bool:
    """Tells whether a database that was brought up to date has had later migrations since."""
    (version,) = session.execute(_FIND_VERSION).fetchone()
    return int(version) > len(migrations)


def _carry_out(
    connection: MigratingSession, path: str, migration: Migration, engine: Engine
) -> None:
    try:
        for statement in engine.begin:
            connection.execute(statement)
        # Another process may have done it while this one waited for the lock.
        if read_version(connection, path, engine) == migration.number - 1:
            for statement in engine.split(migration.text):
                connection.execute(statement)
            connection.execute(_NOTE_VERSION, {"number": migration.number, "name": migration.name})
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def read_version(connection: Session, path: str, engine: Engine | None = None) -> int:
    """Returns the number of the last migration carried out; 0 for an empty database.

    Raises:
        DatabaseUnusable: There is something else in it.
    """
    engine = engine or _SQLITE
    tables = {name for (name,) in connection.execute(engine.table_names)}
    if "schema_version" in tables:
        (version,) = connection.execute(_FIND_VERSION).fetchone()
        return int(version)
    if tables:
        raise DatabaseUnusable(path, OF_ANOTHER)
    return 0


def _iter_statements(text: str) -> Iterator[str]:
    """Yields the statements of a script; ``executescript`` would end the transaction."""
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        statement = "\n".join(lines)
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            lines.clear()
    rest = [line for line in lines if line.strip() and not line.startswith("--")]
    assert not rest, f"a statement does not end: {rest[0]}"


OF_ANOTHER: Final = "it is the database of another program"

_SQLITE: Final = Engine(
    begin=("BEGIN IMMEDIATE",),
    table_names="SELECT name FROM sqlite_master WHERE type = 'table'",
    split=_iter_statements,
)

_FIND_VERSION: Final = "SELECT max(number) FROM schema_version"

_NOTE_VERSION: Final = "INSERT INTO schema_version (number, name) VALUES (:number, :name)"
