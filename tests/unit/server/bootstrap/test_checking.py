# SPDX-License-Identifier: Apache-2.0

import os

import pytest

from drystone.core.limits import SERVER_DISK_BYTES_MIN
from drystone.server.bootstrap.watching.checking import (
    HomeReadOnly,
    SchemaOlder,
    check_database,
    check_disk,
    check_store,
    make_checks,
)
from drystone.server.ports.objects import ObjectStoreAway, ObjectStoreFull
from drystone.server.settings import ServerSettings
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_memory import MemoryObjects


def test_a_store_is_written_read_and_left_as_it_was():
    objects = MemoryObjects()
    check_store(objects)

    assert list(objects.iter_names()) == []


@pytest.mark.parametrize("found", [b"", b"x" * 16])
def test_a_store_that_gives_back_something_else_is_in_trouble(found):
    class Lying(MemoryObjects):
        def read(self, name, ranges):
            return [found]

    with pytest.raises(ObjectStoreAway):
        check_store(Lying())


def test_a_store_that_forgets_is_in_trouble():
    class Forgetful(MemoryObjects):
        def put(self, name, parts):
            pass

    with pytest.raises(ObjectStoreAway):
        check_store(Forgetful())


def test_a_store_that_may_not_delete_is_well():
    class WriteOnce(MemoryObjects):
        def delete(self, name):
            raise ObjectStoreAway("kept by its rules")

    check_store(WriteOnce())


def test_a_disk_without_room_is_in_trouble(tmp_path, monkeypatch):
    stat = os.statvfs(tmp_path)
    check_disk(tmp_path)
    blocks_free = SERVER_DISK_BYTES_MIN // stat.f_frsize - 1
    full = os.statvfs_result((*stat[:4], blocks_free, *stat[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(ObjectStoreFull):
        check_disk(tmp_path)


def test_a_data_directory_that_is_gone_is_in_trouble(tmp_path):
    with pytest.raises(HomeReadOnly):
        check_disk(tmp_path / "gone")


def test_a_schema_that_became_older_is_trouble_and_a_newer_one_is_not(tmp_path):
    metadata = SqliteMetadata(tmp_path / "metadata.db")
    check_database(metadata)
    found, known = metadata.schema_version()
    metadata._migrations = (*metadata._migrations, None)
    with pytest.raises(SchemaOlder):
        check_database(metadata)
    metadata._migrations = metadata._migrations[:-2]
    check_database(metadata)
    metadata.close()

    assert found == known


def test_embedded_objects_are_not_written_to(tmp_path):
    embedded = make_checks(ServerSettings(), tmp_path, MemoryMetadata(), MemoryObjects())
    cloud = make_checks(
        ServerSettings(objects="s3://bucket/x"), tmp_path, MemoryMetadata(), MemoryObjects()
    )

    assert sorted(embedded) == ["database", "disk"]
    assert sorted(cloud) == ["database", "disk", "store"]
    for check in cloud.values():
        check.run()
