# SPDX-License-Identifier: Apache-2.0
"""A narrow disk that was widened passes the suite of every disk, and one of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.disk import create_root, open_disk
from drystone.client.adapters.narrow import NarrowDisk, widen
from drystone.client.ports import Disk
from drystone.testing.conformance.disk import DiskSuite, Hand
from drystone.testing.fakes.disk import FakeDisk
from drystone.testing.fakes.narrow import CASEFOLD, HFS, VFAT, WIDE
from drystone.testing.hand import RealHand


class _Widened(DiskSuite):
    @pytest.fixture
    def fake(self) -> FakeDisk:
        raise NotImplementedError

    @pytest.fixture
    def disk(self, fake: FakeDisk) -> Disk:
        disk = widen(fake)
        assert isinstance(disk, NarrowDisk)
        return disk

    @pytest.fixture
    def hand(self, fake: FakeDisk) -> Hand:
        return fake.hand


class TestWidenedCasefold(_Widened):
    @pytest.fixture
    def fake(self) -> FakeDisk:
        return FakeDisk(traits=CASEFOLD)


class TestWidenedHfs(_Widened):
    @pytest.fixture
    def fake(self) -> FakeDisk:
        return FakeDisk(traits=HFS)


class TestWidenedVfatNames(_Widened):
    @pytest.fixture
    def fake(self) -> FakeDisk:
        return FakeDisk(traits=WIDE._replace(names=VFAT.names))


class TestWidenedRealDisk(DiskSuite):
    """A real disk that is taken for a narrower one than it is."""

    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Disk]:
        create_root(tmp_path / "root", "11" * 16)
        disk = open_disk(tmp_path / "root", "11" * 16, lambda: 0)
        assert widen(disk) is disk, "tests need a disk that holds every name"
        disk.traits = disk.traits._replace(names=VFAT.names)
        yield widen(disk)
        disk.close()

    @pytest.fixture
    def hand(self, tmp_path: Path) -> Hand:
        return RealHand(tmp_path / "root")
