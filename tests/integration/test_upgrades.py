# SPDX-License-Identifier: Apache-2.0
"""Programs of two versions on one database, and upgrades that are cut short; on both engines."""

import subprocess
import sys
import time

import pytest

from drystone.core.ids import ROOT_ID, Seq
from drystone.server.ports.shared import ProgramOutgrown
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.migrations import Migration, load_migrations
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.metadata_sql.trouble import SchemaNewer
from drystone.server.storage.metadata_versioned import VersionedMetadata
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    NAMESPACE,
    A,
    Journalist,
    add_accounts,
    folder,
)

KNOWN = load_migrations()
NUMBER = len(KNOWN) + 1
HARMLESS = Migration(NUMBER, "harmless", "CREATE TABLE later (x INTEGER NOT NULL PRIMARY KEY);")
MOVING = Migration(NUMBER, "moving", "ALTER TABLE brake RENAME TO brakes;")

UPGRADING = """
import sys
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.migrations import Migration, load_migrations
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata

place, text = sys.argv[1:]
known = load_migrations()
kind = PostgresMetadata if place.startswith("postgresql:") else SqliteMetadata
print("begins", flush=True)
kind(place, migrations=[*known, Migration(len(known) + 1, "half", text)])
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path) -> str:
    """Where a database is, or will be."""
    if request.param == "sqlite":
        return str(tmp_path / "metadata.db")
    return str(request.getfixturevalue("postgres_url"))


def open_it(place: str, *later: Migration) -> SqliteMetadata | PostgresMetadata:
    kind = PostgresMetadata if place.startswith("postgresql:") else SqliteMetadata
    return kind(place, migrations=[*KNOWN, *later])


def test_an_older_worker_goes_on_where_its_statements_still_fit(place):
    engine = open_it(place)
    older = VersionedMetadata(engine)
    add_accounts(older)
    found: list[str] = []
    older.on_outgrown = lambda: found.append("outgrown")
    open_it(place, HARMLESS).close()
    Journalist(older).create(folder(A, "a"))

    assert older.read(lambda unit: unit.tree.head(NAMESPACE)) == 1
    assert engine.is_outgrown()
    assert not found
    older.close()


def test_an_older_worker_says_so_where_they_do_not_and_keeps_nothing_of_that(place):
    engine = open_it(place)
    older = VersionedMetadata(engine)
    add_accounts(older)
    found: list[str] = []
    older.on_outgrown = lambda: found.append("outgrown")
    assert not engine.is_outgrown()
    newer = open_it(place, MOVING)

    with pytest.raises(ProgramOutgrown):
        older.read(lambda unit: unit.brakes.list_brakes(NAMESPACE))

    def work(unit):
        unit.accounts.save_account(ANNA._replace(name="other"))
        unit.brakes.list_brakes(NAMESPACE)

    with pytest.raises(ProgramOutgrown):
        older.write(work)
    results = older.write_group([work, lambda unit: unit.tree.head(NAMESPACE)])

    assert isinstance(results[0], ProgramOutgrown)
    assert results[1] == 0
    assert found == ["outgrown"] * 3
    assert newer.read(lambda unit: unit.accounts.find_account("anna")) == ANNA
    for engine in (older, newer):
        engine.close()


def test_a_mistake_of_ours_is_not_taken_for_another_version(place):
    older = VersionedMetadata(open_it(place))

    def work(unit):
        raise AssertionError("ours")

    with pytest.raises(AssertionError, match="ours"):
        older.write(work)
    older.close()


def test_an_older_program_is_not_started_on_a_newer_database(place):
    open_it(place, HARMLESS).close()
    with pytest.raises(SchemaNewer) as caught:
        open_it(place)

    assert caught.value.code == "data-newer"
    open_it(place, HARMLESS).close()


def test_an_upgrade_that_is_killed_midway_is_as_if_it_had_not_begun(place):
    metadata = open_it(place)
    add_accounts(metadata)
    Journalist(metadata).create(folder(A, "a"))
    metadata.close()
    endless = (
        "SELECT pg_sleep(4);"
        if place.startswith("postgresql:")
        else "INSERT INTO half WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        " SELECT x FROM n;"
    )
    text = f"CREATE TABLE half (x INTEGER);\nINSERT INTO half VALUES (1);\n{endless}"
    process = subprocess.Popen(
        [sys.executable, "-c", UPGRADING, place, text], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    # It is in the midst of it for as long as it lives; that it began is all that is waited for.
    time.sleep(0.5)
    assert process.poll() is None
    process.kill()
    process.wait()
    process.stdout.close()
    after = open_it(place)

    assert not after.is_outgrown()
    page = after.read(lambda unit: unit.tree.list_children(NAMESPACE, ROOT_ID, "", 9))
    assert [stored.entry.name for stored in page] == ["a"]
    assert after.read(lambda unit: unit.tree.find_record(NAMESPACE, Seq(1))) is not None
    after.close()
    fresh = Migration(NUMBER, "whole", "CREATE TABLE half (x INTEGER NOT NULL PRIMARY KEY);")
    open_it(place, fresh).close()
