# SPDX-License-Identifier: Apache-2.0
"""Migrations: from any earlier version to this one, whole or not at all."""

import sqlite3
from pathlib import Path

import pytest

from drystone.core.ids import ROOT_ID
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.migrations import Migration, load_migrations
from drystone.server.storage.metadata_sql.trouble import DatabaseUnusable, SchemaNewer
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    Journalist,
    add_accounts,
    file,
    make_file_id,
)

KNOWN = load_migrations()
NEXT = Migration(
    len(KNOWN) + 1,
    "next.sql",
    """-- A comment; with a semicolon.
    CREATE TABLE later (number INTEGER NOT NULL PRIMARY KEY, text TEXT);

    INSERT INTO later
    SELECT seq, 'a;b' FROM record;
    """,
)
BROKEN = NEXT._replace(text=f"{NEXT.text}\nINSERT INTO nowhere VALUES (1);")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the version before ``NEXT``, with something in it."""
    path = tmp_path / "metadata.db"
    metadata = SqliteMetadata(path)
    add_accounts(metadata)
    Journalist(metadata).create(file(make_file_id(1), "a"), file(make_file_id(2), "b"))
    metadata.close()
    return path


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_migrations_are_numbered_without_gaps_and_make_every_table() -> None:
    assert [migration.number for migration in KNOWN] == list(range(1, len(KNOWN) + 1))
    assert all(migration.name.endswith(".sql") for migration in KNOWN)


def test_every_table_and_index_has_a_paragraph_above_it() -> None:
    for migration in KNOWN:
        lines = migration.text.splitlines()
        for number, line in enumerate(lines):
            if line.startswith("CREATE"):
                assert lines[number - 1].startswith("-- "), line
                assert line.strip().endswith(("(", ";"))


def test_a_later_version_keeps_what_there_is(path: Path) -> None:
    metadata = SqliteMetadata(path, migrations=[*KNOWN, NEXT])
    page = metadata.read(lambda unit: unit.tree.list_children(NAMESPACE, ROOT_ID, "", 9))
    metadata.close()

    assert [stored.entry.name for stored in page] == ["a", "b"]
    assert "INSERT INTO \"later\" VALUES(2,'a;b');" in dump(path)
    # Once is enough.
    SqliteMetadata(path, migrations=[*KNOWN, NEXT]).close()
    assert sum(line.startswith('INSERT INTO "later"') for line in dump(path)) == 2


def test_a_database_of_a_later_version_is_refused_and_left_as_it_is(path: Path) -> None:
    SqliteMetadata(path, migrations=[*KNOWN, NEXT]).close()
    before = dump(path)
    with pytest.raises(SchemaNewer) as caught:
        SqliteMetadata(path)

    assert caught.value.code == "data-newer"
    assert f"version {NEXT.number}" in caught.value.message
    assert dump(path) == before


def test_an_interrupted_migration_leaves_the_version_before_it_whole(path: Path) -> None:
    before = dump(path)
    with pytest.raises(AssertionError, match="nowhere"):
        SqliteMetadata(path, migrations=[*KNOWN, BROKEN])

    assert dump(path) == before
    SqliteMetadata(path).close()
    SqliteMetadata(path, migrations=[*KNOWN, NEXT]).close()


def test_a_first_migration_that_is_interrupted_leaves_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    broken = KNOWN[0]._replace(text=f"{KNOWN[0].text}\nNOT SQL AT ALL;")
    with pytest.raises(AssertionError, match="syntax error"):
        SqliteMetadata(path, migrations=[broken])

    assert dump(path) == ["BEGIN TRANSACTION;", "COMMIT;"]
    SqliteMetadata(path).close()


def test_a_statement_that_does_not_end_is_a_broken_invariant(path: Path) -> None:
    before = dump(path)
    endless = NEXT._replace(text=f"{NEXT.text}\nCREATE TABLE more (x INTEGER)")
    with pytest.raises(AssertionError, match="does not end"):
        SqliteMetadata(path, migrations=[*KNOWN, endless])

    assert dump(path) == before


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photo (name TEXT)")
    connection.close()
    before = dump(path)
    with pytest.raises(DatabaseUnusable, match="another program"):
        SqliteMetadata(path)

    assert dump(path) == before
