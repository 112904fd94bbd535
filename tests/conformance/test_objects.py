# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``Objects`` passes the suite of its port."""

from pathlib import Path

import pytest

from drystone.server.ports.objects import Objects
from drystone.server.storage.objects_cloud import CloudObjects, parse_location
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.objects_sealed import MasterKey, SealedObjects, make_keyring
from drystone.testing.conformance.objects import ObjectsSuite


class TestMemoryObjects(ObjectsSuite):
    @pytest.fixture
    def objects(self) -> Objects:
        return MemoryObjects()


class TestFileObjects(ObjectsSuite):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return FileObjects(tmp_path / "objects")


def sealed(inner: Objects, *, holds_plain: bool) -> SealedObjects:
    keyring = make_keyring(MasterKey(bytes(range(32))), holds_plain=holds_plain)
    return SealedObjects(inner, keyring, lambda: keyring)


class TestSealedMemoryObjects(ObjectsSuite):
    @pytest.fixture
    def objects(self) -> Objects:
        return sealed(MemoryObjects(), holds_plain=False)


class TestSealedFileObjects(ObjectsSuite):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return sealed(FileObjects(tmp_path / "objects"), holds_plain=False)


class TestSealedFileObjectsBesideOldOnes(ObjectsSuite):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return sealed(FileObjects(tmp_path / "objects"), holds_plain=True)


class TestS3Objects(ObjectsSuite):
    @pytest.fixture
    def objects(self, s3_url: str) -> Objects:
        return CloudObjects(parse_location(s3_url))


class TestAzureObjects(ObjectsSuite):
    @pytest.fixture
    def objects(self, azure_url: str) -> Objects:
        return CloudObjects(parse_location(azure_url))
