# SPDX-License-Identifier: Apache-2.0
"""Objects and the database that knows them find each other again, and take no others."""

import pytest

from drystone.server.bootstrap.storing.tenant import (
    TENANT,
    ObjectsMissing,
    ObjectsOfAnother,
    adopt,
    move_in,
    require_tenant,
)
from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.testing.blocks import frames_of
from drystone.testing.conformance.metadata.samples import add_accounts


def make_database() -> MemoryMetadata:
    """One that is in use."""
    metadata = MemoryMetadata()
    add_accounts(metadata)
    return metadata


def store_pack(metadata: MemoryMetadata, objects: MemoryObjects) -> None:
    pack = ObjectPacks(objects).store(frames_of([b"block"]))
    metadata.write(lambda unit: unit.blocks.add_pack(pack.pack_id, pack.length_bytes, pack.places))


def test_what_is_new_is_taken_and_known_again():
    metadata, objects = MemoryMetadata(), MemoryObjects()

    for _ in range(3):
        move_in(metadata, objects)
        store_pack(metadata, objects)

    [name] = [stat.name for stat in objects.iter_names() if not stat.name.startswith("packs/")]
    assert name == TENANT


def test_a_second_database_above_the_same_place_is_refused():
    first, second, objects = make_database(), make_database(), MemoryObjects()
    move_in(first, objects)

    for refuse in (move_in, require_tenant):
        with pytest.raises(ObjectsOfAnother) as caught:
            refuse(second, objects)
        assert "rebuild" in caught.value.advice
    move_in(second, MemoryObjects())
    with pytest.raises(ObjectsOfAnother):
        move_in(second, objects)
    move_in(first, objects)


def test_a_new_database_above_packs_of_an_earlier_version_is_refused():
    """They have no tenant yet, and a server that is in use will say so first."""
    metadata, objects = make_database(), MemoryObjects()
    store_pack(metadata, objects)

    with pytest.raises(ObjectsOfAnother):
        move_in(MemoryMetadata(), objects)
    move_in(metadata, objects)
    require_tenant(metadata, objects)


def test_an_empty_place_is_not_taken_for_one_in_which_all_is_lost():
    metadata, objects = make_database(), MemoryObjects()
    move_in(metadata, objects)
    store_pack(metadata, objects)
    empty = MemoryObjects()

    with pytest.raises(ObjectsMissing) as caught:
        move_in(metadata, empty)
    assert list(empty.iter_names()) == []
    # As the advice says, for whoever has lost them for good.
    tenant = caught.value.advice.split()[-1].rstrip(".")
    empty.put(TENANT, [tenant.encode()])
    move_in(metadata, empty)


def test_packs_that_were_brought_elsewhere_without_it_are_taken():
    """A restored backup, for one."""
    metadata, objects, restored = make_database(), MemoryObjects(), MemoryObjects()
    move_in(metadata, objects)
    store_pack(metadata, objects)
    store_pack(MemoryMetadata(), restored)

    move_in(metadata, restored)
    require_tenant(metadata, restored)
    assert restored.read(TENANT, [(0, 99)]) == objects.read(TENANT, [(0, 99)])


def test_a_rebuilt_database_belongs_to_the_objects_it_was_rebuilt_from():
    metadata, objects, rebuilt = make_database(), MemoryObjects(), MemoryMetadata()
    move_in(metadata, objects)
    store_pack(metadata, objects)

    adopt(rebuilt, objects)
    move_in(rebuilt, objects)


def test_what_is_no_tenant_is_not_overwritten():
    metadata, objects = make_database(), MemoryObjects()
    objects.put(TENANT, [b"somebody's"])

    with pytest.raises(ObjectsOfAnother):
        move_in(metadata, objects)
    assert objects.read(TENANT, [(0, 99)]) == [b"somebody's"]


def test_a_full_store_does_not_keep_a_server_from_reading(monkeypatch):
    metadata, objects = make_database(), MemoryObjects()

    def put(*_: object) -> None:
        raise ObjectStoreFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(objects, "put", put)
        move_in(metadata, objects)
    assert objects.find_length(TENANT) is None
    move_in(metadata, objects)
    require_tenant(metadata, objects)
