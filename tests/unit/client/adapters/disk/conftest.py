# SPDX-License-Identifier: Apache-2.0
"""A synced folder on this machine's disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.disk import LocalDisk, create_root, open_disk
from drystone.testing.hand import RealHand

ROOT_ID = "11" * 16
NOW_NS = 1_700_000_000 * 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    create_root(tmp_path / "root", ROOT_ID)
    return tmp_path / "root"


@pytest.fixture
def disk(root: Path) -> Iterator[LocalDisk]:
    disk = open_disk(root, ROOT_ID, lambda: NOW_NS)
    yield disk
    disk.close()


@pytest.fixture
def hand(root: Path) -> RealHand:
    return RealHand(root)
