# SPDX-License-Identifier: Apache-2.0
"""Bells between workers, over real servers of messages, pass the suites of their port."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from drystone.server.ports.bell import Bell
from drystone.server.storage.nats import NatsLine
from drystone.server.storage.nats import parse_address as parse_nats_address
from drystone.server.storage.valkey import ValkeyLine, parse_address
from drystone.testing.brokers.nats import NatsServer
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.conformance.bell import BellSuite, SharedBells, SharedBellSuite


class OverValkey:
    """On a Valkey of its own, which may be killed."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[ValkeyServer]:
        with ValkeyServer(tmp_path, password="open sesame") as server:
            yield server

    @pytest_asyncio.fixture
    async def bells(self, server: ValkeyServer) -> AsyncIterator[SharedBells]:
        address = parse_address(server.url(3).replace("open sesame", "open%20sesame"))
        bells = SharedBells(lambda worker: ValkeyLine(address, worker))
        yield bells
        await bells.close()

    @pytest_asyncio.fixture
    async def bell(self, bells: SharedBells) -> Bell:
        return await bells.add()


class TestValkeyBell(OverValkey, BellSuite): ...


class TestValkeyBells(OverValkey, SharedBellSuite): ...


class OverNats:
    """On a NATS of its own, which may be killed."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[NatsServer]:
        with NatsServer(tmp_path, token="sesame") as server:
            yield server

    @pytest_asyncio.fixture
    async def bells(self, server: NatsServer) -> AsyncIterator[SharedBells]:
        address = parse_nats_address(server.url)
        bells = SharedBells(lambda worker: NatsLine(address, worker))
        yield bells
        await bells.close()

    @pytest_asyncio.fixture
    async def bell(self, bells: SharedBells) -> Bell:
        return await bells.add()


class TestNatsBell(OverNats, BellSuite): ...


class TestNatsBells(OverNats, SharedBellSuite): ...
