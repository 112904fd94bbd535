# SPDX-License-Identifier: Apache-2.0
"""What tests of the workers share: a server in memory, devices, and a collector."""

import pytest

from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import BlockDevice
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import Keeper, MemoryServer


@pytest.fixture
def objects():
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def server(objects):
    server = MemoryServer(objects)
    yield server
    server.close()


@pytest.fixture
def keeper(server):
    return Keeper(server.metadata, server.packs, server.clock)


@pytest.fixture
def device(server):
    """Signs a device of an account in."""

    async def sign_in(account="anna"):
        return BlockDevice(server, await server.sign_in(account))

    return sign_in
