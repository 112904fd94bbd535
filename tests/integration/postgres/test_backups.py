# SPDX-License-Identifier: Apache-2.0
"""Backups from SQLite or PostgreSQL, into a folder or a store, and back to either."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from drystone.core.ids import Seq
from drystone.server.bootstrap import (
    back_up,
    list_backups,
    move_metadata,
    open_check,
    restore,
    verify_backup,
)
from drystone.server.bootstrap.data_dir import opened_data_dir
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.survey import survey_of
from drystone.server.settings import ServerSettings
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.testing.blocks import frames_of, make_noise
from drystone.testing.conformance.metadata.samples import Journalist, add_accounts, file
from drystone.testing.postgres import PostgresServer
from drystone.testing.strategies import make_file_id

# Several processes each, beside whatever else the machine does.


def tell(_what: str, _count: int) -> None:
    pass


def open_database(settings: ServerSettings) -> Metadata:
    if settings.is_embedded:
        return SqliteMetadata(settings.data_dir / "metadata.db")
    return PostgresMetadata(settings.database)


def tell_all(settings: ServerSettings) -> tuple[object, ...]:
    def work(unit: Unit) -> tuple[object, ...]:
        survey = survey_of(unit)
        lines = survey.list_namespaces(b"", 10)
        return (
            lines,
            [survey.list_records(line.namespace_id, Seq(0), 10_000) for line in lines],
            [survey.list_entry_rows(line.namespace_id, Seq(0), 10_000) for line in lines],
            survey.list_packs(b"", 100),
            [line.place for line in survey.list_places(0, 10_000)],
            unit.accounts.list_accounts(),
        )

    with closing(open_database(settings)) as metadata:
        return metadata.read(work)


@pytest.fixture
def small(tmp_path: Path) -> ServerSettings:
    """A data directory with accounts, packs, and a journal of files without content."""
    settings = ServerSettings(data_dir=tmp_path / "data")
    with opened_data_dir(settings.data_dir) as data_dir:
        data_dir.load_key("cursor")
    packs = ObjectPacks(FileObjects(settings.data_dir / "objects"))
    with closing(open_database(settings)) as metadata:
        add_accounts(metadata)
        commit(metadata, range(1, 20))
        for number in range(3):
            pack = packs.store(frames_of(make_noise(5, seed=number)))
            metadata.write(lambda unit, pack=pack: unit.blocks.add_pack(*pack))
    return settings


def commit(metadata: Metadata, numbers: range) -> None:
    journalist = Journalist(metadata)
    journalist.records = [None] * (numbers[0] - 1)  # type: ignore[list-item]  only counted
    for number in numbers:
        entry = file(make_file_id(number), f"f{number}", text="")
        journalist.create(entry._replace(rev=number))


def is_sound(settings: ServerSettings) -> bool:
    with open_check(settings, tell, is_deep=True) as check:
        assert list(check.iter_findings()) == []
        return check.sum_up().is_sound


def test_backup_goes_from_either_database_to_either(
    small: ServerSettings, postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    embedded, where = tell_all(small), str(tmp_path / "backups")
    move_metadata(small, postgres_url, tell)
    scaled = ServerSettings(data_dir=small.data_dir, database=postgres_url)
    made = back_up(scaled, where, tell).manifest
    other_url = postgres.make_schema()
    try:
        for number, url in enumerate(["sqlite", other_url]):
            new = ServerSettings(data_dir=tmp_path / f"new-{number}", database=url)
            restored = restore(new, where, "", tell)
            assert restored.checked.is_sound
            assert tell_all(new) == embedded
            # What the database numbers goes on where it was.
            with closing(open_database(new)) as metadata:
                commit(metadata, range(20, 30))
            assert is_sound(new)
    finally:
        postgres.drop_schema(other_url)

    assert made.database == "postgresql"
    assert verify_backup(where, "", tell)[1] == []


def test_export_under_commits_is_one_instant(
    small: ServerSettings, postgres_url: str, tmp_path: Path
) -> None:
    move_metadata(small, postgres_url, tell)
    scaled = ServerSettings(data_dir=small.data_dir, database=postgres_url)
    has_begun = threading.Event()

    def work() -> None:
        with closing(PostgresMetadata(postgres_url)) as metadata:
            for number in range(20, 80):
                commit(metadata, range(number, number + 1))
                has_begun.set()

    thread = threading.Thread(target=work)
    thread.start()
    has_begun.wait(30)
    back_up(scaled, str(tmp_path / "backups"), tell)
    thread.join()
    new = ServerSettings(data_dir=tmp_path / "new")
    assert restore(new, str(tmp_path / "backups"), "", tell).checked.is_sound
    kept, now = tell_all(new)[1], tell_all(scaled)[1]

    assert isinstance(kept, list)
    assert isinstance(now, list)
    assert len(kept[0]) >= 20
    assert now[0][: len(kept[0])] == kept[0]


def test_backup_in_an_object_store_comes_back(
    small: ServerSettings, s3_url: str, tmp_path: Path
) -> None:
    before = tell_all(small)
    first = back_up(small, s3_url, tell)
    second = back_up(small, s3_url, tell, keep_count=1)
    new = ServerSettings(data_dir=tmp_path / "new")
    restored = restore(new, s3_url, "", tell)

    assert first.copied_count == 3
    assert second.copied_count == 0
    assert [manifest.stamp for manifest in list_backups(s3_url)[0]] == [second.manifest.stamp]
    assert verify_backup(s3_url, "", tell)[1] == []
    assert restored.checked.is_sound
    assert tell_all(new) == before
