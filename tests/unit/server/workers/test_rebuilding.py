# SPDX-License-Identifier: Apache-2.0
"""Rebuilding from odd stores: what is not whole is told, and what is, is taken."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drystone.core.content.hashing import block_id
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.storage.packs.layout import pack_name
from drystone.server.workers.rebuilding import Rebuilding, Rebuilt
from drystone.testing.blocks import frames_of, make_noise

BLOCKS = make_noise(3)
ARRIVED = f"arriving/{'ab' * 16}/{'cd' * 16}"


class Store:
    """A store of objects, and the metadata that are made from it."""

    def __init__(self, metadata: SqliteMetadata) -> None:
        self.objects = MemoryObjects()
        self.metadata = metadata
        self.packs = ObjectPacks(self.objects)

    def rebuild(self) -> Rebuilt:
        return Rebuilding(self.metadata, self.objects, self.packs, now_ns=1).run()

    def knows(self, block: bytes) -> bool:
        name = block_id(block)
        return name in self.metadata.read(lambda unit: unit.blocks.locate([name]))

    def read(self, name: str) -> bytes:
        length = self.objects.find_length(name)
        assert length is not None
        return self.objects.read(name, [(0, length)])[0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(SqliteMetadata(tmp_path / "metadata.db")) as metadata:
        yield Store(metadata)


def test_damaged_pack_gives_the_blocks_that_are_whole(store: Store) -> None:
    pack = store.packs.store(frames_of(BLOCKS))
    name = pack_name(pack.pack_id)
    content = bytearray(store.read(name))
    content[pack.places[1].offset_bytes] ^= 1
    store.objects.put(name, [content])

    rebuilt = store.rebuild()

    assert rebuilt.damaged_packs == (name,)
    assert [store.knows(block) for block in BLOCKS] == [True, False, True]


def test_pack_that_arrived_by_itself_becomes_one_like_others(store: Store) -> None:
    pack = store.packs.store(frames_of(BLOCKS))
    content = store.read(pack_name(pack.pack_id))
    store.objects.delete(pack_name(pack.pack_id))
    store.objects.put(ARRIVED, [content])

    assert store.rebuild().damaged_packs == ()
    assert all(map(store.knows, BLOCKS))
    assert store.read(pack_name(pack.pack_id)) == content


def test_pack_that_arrived_and_lies_is_not_believed(store: Store) -> None:
    pack = store.packs.store(frames_of(BLOCKS))
    content = bytearray(store.read(pack_name(pack.pack_id)))
    store.objects.delete(pack_name(pack.pack_id))
    content[pack.places[1].offset_bytes] ^= 1
    store.objects.put(ARRIVED, [content])

    assert store.rebuild().damaged_packs == (ARRIVED,)
    assert not any(map(store.knows, BLOCKS))
    assert not list(store.objects.iter_names("packs/"))


def test_store_without_journals_gives_an_index_and_no_trees(store: Store) -> None:
    store.packs.store(frames_of(BLOCKS))
    rebuilt = store.rebuild()

    assert rebuilt == Rebuilt((), (), 1, 3, (), 0)
