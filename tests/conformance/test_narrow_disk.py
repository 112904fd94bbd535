# SPDX-License-Identifier: Apache-2.0
"""Narrow disks are what they say, and once widened pass the suite of every disk and their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.disk import create_root, open_disk
from drystone.client.adapters.narrow import widen
from drystone.client.ports import Disk, DiskTraits
from drystone.testing.conformance.disk import DiskSuite, Hand
from drystone.testing.conformance.narrow import NarrowSuite, TraitsSuite
from drystone.testing.fakes.disk import FakeDisk
from drystone.testing.fakes.narrow import CASEFOLD, HFS, VFAT, WIDE
from drystone.testing.hand import RealHand

ALL = [WIDE, CASEFOLD, HFS, VFAT]


@pytest.mark.parametrize("traits", ALL, ids=["wide", "casefold", "hfs", "vfat"])
class TestFakesAreWhatTheySay(TraitsSuite):
    @pytest.fixture
    def disk(self, traits: DiskTraits) -> Disk:
        return FakeDisk(traits=traits)


class TestWidenedCasefold(NarrowSuite, DiskSuite):
    @pytest.fixture
    def raw(self) -> FakeDisk:
        return FakeDisk(traits=CASEFOLD)

    @pytest.fixture
    def hand(self, raw: FakeDisk) -> Hand:
        return raw.hand


class TestWidenedHfs(TestWidenedCasefold):
    @pytest.fixture
    def raw(self) -> FakeDisk:
        return FakeDisk(traits=HFS)


class TestWidenedVfatNames(TestWidenedCasefold):
    @pytest.fixture
    def raw(self) -> FakeDisk:
        return FakeDisk(traits=WIDE._replace(names=VFAT.names))


class TestDiskThatFoldsMoreThanItTells(TestWidenedCasefold):
    """Whoever compares names in a way that we do not know."""

    @pytest.fixture
    def raw(self) -> FakeDisk:
        disk = FakeDisk(traits=CASEFOLD)
        disk.traits = disk.traits._replace(names=VFAT.names)
        return disk


class TestWidenedRealDisk(NarrowSuite, DiskSuite):
    """A real disk that is taken for a narrower one than it is."""

    @pytest.fixture
    def raw(self, tmp_path: Path) -> Iterator[Disk]:
        create_root(tmp_path / "root", "11" * 16)
        disk = open_disk(tmp_path / "root", "11" * 16, lambda: 0)
        assert widen(disk) is disk, "tests need a disk that holds every name"
        disk.traits = disk.traits._replace(names=VFAT.names)
        yield disk
        disk.close()

    @pytest.fixture
    def hand(self, tmp_path: Path) -> Hand:
        return RealHand(tmp_path / "root")
