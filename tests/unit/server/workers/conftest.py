# SPDX-License-Identifier: Apache-2.0
"""What tests of background work share: a server in memory, and devices that put packs."""

from collections.abc import Iterator

import pytest

from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import DirectDevice
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import Keeper, MemoryServer


@pytest.fixture
def objects() -> FaultyObjects:
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def direct_server(objects) -> Iterator[MemoryServer]:
    server = MemoryServer(objects, is_direct=True)
    yield server
    server.close()


@pytest.fixture
def device(direct_server):
    """Signs a device of an account in."""

    async def sign_in(account="anna"):
        return DirectDevice(direct_server, await direct_server.sign_in(account))

    return sign_in


@pytest.fixture
def server(objects) -> Iterator[MemoryServer]:
    server = MemoryServer(objects)
    yield server
    server.close()


@pytest.fixture
def keeper(server) -> Keeper:
    return Keeper(server.metadata, server.packs, server.clock)
