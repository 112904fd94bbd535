# SPDX-License-Identifier: Apache-2.0
"""The databases of every version that was released, as text: each is opened by this version, with
all that was in it, and then has the tables that a new one has.

``vectors/metadata-N.dump`` and ``vectors/state-N.dump`` hold version N after two devices had synced
some files, renamed a folder and deleted a file. They are never changed; a new version adds its own.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drystone.client.adapters.state_sqlite import open_state
from drystone.client.adapters.state_sqlite.schema import VERSION
from drystone.core.ids import ROOT_ID, Seq
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.migrations import load_migrations

VECTORS = Path(__file__).parent / "vectors"
METADATA = sorted(VECTORS.glob("metadata-*.dump"))
STATES = sorted(VECTORS.glob("state-*.dump"))
NAMES = {"notes.txt", "renamed", "link", "large.bin"}


def restore(vector: Path, path: Path) -> Path:
    """Makes the database file that a text tells of."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(vector.read_text(encoding="utf-8"))
    return path


def tables(path: Path) -> set[tuple[str, str, str]]:
    """Returns kind, name and columns of all that a database is made of."""
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
        return {
            (kind, name, str([row[1:] for row in db.execute(f'PRAGMA table_xinfo("{name}")')]))
            for kind, name in found.fetchall()
        }


def version_of(vector: Path) -> int:
    return int(re.findall(r"\d+", vector.stem)[0])


def test_there_is_a_vector_for_every_version() -> None:
    versions = [migration.number for migration in load_migrations()]

    assert sorted(map(version_of, METADATA)) == versions
    assert sorted(map(version_of, STATES)) == list(range(1, VERSION + 1))


@pytest.mark.parametrize("vector", METADATA, ids=lambda vector: vector.stem)
def test_metadata_of_every_version_is_opened_with_all_that_is_in_it(
    vector: Path, tmp_path: Path
) -> None:
    path = restore(vector, tmp_path / "old.db")
    metadata = SqliteMetadata(path)
    try:
        anna = metadata.read(lambda unit: unit.accounts.find_account("anna"))
        assert anna is not None
        namespace_id = anna.root_namespace_id
        devices = metadata.read(lambda unit: unit.accounts.list_devices(anna.account_id))
        head = metadata.read(lambda unit: unit.tree.head(namespace_id))
        entries, _ = metadata.read(
            lambda unit: unit.tree.list_below(namespace_id, ROOT_ID, "", 100)
        )
        deleted = metadata.read(lambda unit: unit.tree.list_deleted(namespace_id, Seq(99), 10))
        roots = {
            entry.content.root
            for stored in entries
            if (entry := stored.entry).content is not None and entry.content.size_bytes
        }
        held = metadata.read(lambda unit: unit.blocks.find_held(namespace_id, roots))
        places = metadata.read(lambda unit: unit.blocks.locate(roots))
    finally:
        metadata.close()

    assert {device.name for device in devices} == {"desktop", "laptop"}
    assert head >= len(entries) + 2
    top = {stored.entry.name for stored in entries if stored.entry.parent_id == ROOT_ID}
    assert top == NAMES
    assert {stored.entry.name for stored in entries} - top == {"deep", "empty"}
    assert [record.entry.name for record in deleted] == ["gone.txt"]
    assert held == roots == set(places)
    SqliteMetadata(tmp_path / "new.db").close()
    assert tables(path) == tables(tmp_path / "new.db")


@pytest.mark.parametrize("vector", STATES, ids=lambda vector: vector.stem)
def test_state_of_every_version_is_opened_with_all_that_is_in_it(
    vector: Path, tmp_path: Path
) -> None:
    path = restore(vector, tmp_path / "old.db")

    state, aside = open_state(str(path), "boot", 0)
    try:
        children = state.synced.children(ROOT_ID)
        inside = state.synced.children(children["renamed"].file_id)
        count = state.count_synced()
    finally:
        state.close()

    assert not aside
    assert set(children) == NAMES
    assert set(inside) == {"deep", "empty"}
    assert count == len(children) + len(inside)
    assert children["link"].target == "notes.txt"
    new, _ = open_state(str(tmp_path / "new.db"), "boot", 0)
    new.close()
    assert tables(path) == tables(tmp_path / "new.db")
