# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``Packs`` passes the suite of its port, over every store of objects."""

from pathlib import Path

import pytest

from drystone.server.ports.blocks import Packs
from drystone.server.ports.objects import Objects
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.objects_sealed import MasterKey, SealedObjects, make_keyring
from drystone.server.storage.packs import ObjectPacks
from drystone.testing.conformance.blocks import PacksSuite


class TestPacksInMemory(PacksSuite):
    @pytest.fixture
    def objects(self) -> Objects:
        return MemoryObjects()

    @pytest.fixture
    def packs(self, objects: Objects) -> Packs:
        return ObjectPacks(objects)


class TestPacksInFiles(PacksSuite):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return FileObjects(tmp_path / "objects")

    @pytest.fixture
    def packs(self, objects: Objects) -> Packs:
        return ObjectPacks(objects)


class TestPacksInSealedFiles(PacksSuite):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        keyring = make_keyring(MasterKey(bytes(range(32))), holds_plain=False)
        return SealedObjects(FileObjects(tmp_path / "objects"), keyring, lambda: keyring)

    @pytest.fixture
    def packs(self, objects: Objects) -> Packs:
        return ObjectPacks(objects)
