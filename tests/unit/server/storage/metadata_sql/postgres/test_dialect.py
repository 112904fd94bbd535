# SPDX-License-Identifier: Apache-2.0
"""What is said to PostgreSQL in other words, and that nothing else is."""

import pytest

from drystone.server.storage.metadata_sql.migrations import load_migrations
from drystone.server.storage.metadata_sql.postgres.dialect import say, say_schema
from drystone.server.storage.metadata_sql.rows import LOCKED, many


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT 1 WHERE a = :ns AND b = :ns", "SELECT 1 WHERE a = %(ns)s AND b = %(ns)s"),
        ("VALUES (?, ?)", "VALUES (%s, %s)"),
        ("SELECT :names::json", "SELECT %(names)s::json"),
        ("SELECT 1", "SELECT 1"),
    ],
)
def test_parameters_are_said_as_psycopg_takes_them(ours: str, theirs: str) -> None:
    assert say(ours, is_writing=True) == theirs


def test_a_percent_sign_would_be_taken_for_a_parameter() -> None:
    with pytest.raises(AssertionError):
        say("SELECT name LIKE 'a%'", is_writing=False)


def test_only_a_writing_work_locks_what_it_reads() -> None:
    statement = f"SELECT 1 FROM namespace {LOCKED}"

    assert say(statement, is_writing=True).endswith("FOR NO KEY UPDATE")
    assert "UPDATE" not in say(statement, is_writing=False)
    assert LOCKED not in say(statement, is_writing=False)


@pytest.mark.parametrize("length", [16, 32])
def test_many_ids_are_cut_up_without_recursion(length: int) -> None:
    said = say(f"{many(length)} SELECT id FROM many", is_writing=False)

    assert "generate_series" in said
    assert "UNION" not in said


@pytest.mark.parametrize("migration", load_migrations(), ids=lambda m: m.name)
def test_no_word_of_ours_is_left_in_a_migration(migration) -> None:
    said = say_schema(migration.text)

    assert not [word for word in ("BLOB", "INTEGER", "WITHOUT", "--") if word in said]
    assert said.count("CREATE TABLE") == migration.text.count("CREATE TABLE")
