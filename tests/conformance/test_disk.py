# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``Disk`` passes the suite of its port."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.disk import create_root, open_disk, system
from drystone.client.ports import Disk
from drystone.testing.conformance.disk import DiskSuite, Hand
from drystone.testing.conformance.narrow import TraitsSuite
from drystone.testing.fakes.disk import FakeDisk
from drystone.testing.hand import RealHand

NOW_NS = 1_700_000_000 * 10**9


class TestFakeDisk(DiskSuite, TraitsSuite):
    @pytest.fixture
    def disk(self) -> Disk:
        return FakeDisk()

    @pytest.fixture
    def hand(self, disk: FakeDisk) -> Hand:
        return disk.hand


class TestLocalDisk(DiskSuite, TraitsSuite):
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Disk]:
        create_root(tmp_path / "root", "11" * 16)
        disk = open_disk(tmp_path / "root", "11" * 16, lambda: NOW_NS)
        yield disk
        assert not os.listdir(tmp_path / "root/.drystone/stage")
        disk.close()

    @pytest.fixture
    def hand(self, tmp_path: Path) -> Hand:
        return RealHand(tmp_path / "root")


class TestLocalDiskWithoutRenameat2(TestLocalDisk):
    """As on systems that can neither exchange two names nor refuse to replace one."""

    @pytest.fixture(autouse=True)
    def poor_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system._LIBC, "renameat2", None)


class TestLocalDiskWithoutLinks(TestLocalDiskWithoutRenameat2):
    """And on filesystems without hard links."""

    @pytest.fixture(autouse=True)
    def poor_filesystem(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
