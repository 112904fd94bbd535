# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``Bell`` passes the suite of its port."""

import pytest

from drystone.server.ports.bell import Bell
from drystone.server.storage.bell_local import LocalBell
from drystone.testing.conformance.bell import BellSuite


class TestLocalBell(BellSuite):
    @pytest.fixture
    def bell(self) -> Bell:
        return LocalBell()

    @pytest.mark.asyncio
    async def test_nothing_stays_behind_when_nobody_listens(self, bell: LocalBell) -> None:
        async with bell.listen([NAMESPACE]):
            assert bell.count_listeners() == 1

        assert bell.count_listeners() == 0


NAMESPACE = b"n" * 16
