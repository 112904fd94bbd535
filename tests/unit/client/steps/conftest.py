# SPDX-License-Identifier: Apache-2.0
"""One synced folder in memory."""

import pytest

from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeDisk, FakeHand


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def hand(disk: FakeDisk) -> FakeHand:
    return disk.hand


@pytest.fixture
def desk(disk: FakeDisk) -> Desk:
    return Desk(disk)
