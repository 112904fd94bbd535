# SPDX-License-Identifier: Apache-2.0
"""What tests of blocks share: a store that misbehaves on demand, and devices."""

import pytest

from drystone.server.service.blocks import ingest, verbs
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import BlockDevice
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import MemoryServer


@pytest.fixture
def objects():
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def server(objects):
    server = MemoryServer(objects)
    yield server
    server.close()


@pytest.fixture
def device(server):
    """Signs a device of an account in."""

    async def sign_in(account="anna"):
        return BlockDevice(server, await server.sign_in(account))

    return sign_in


@pytest.fixture
def small_packs(monkeypatch):
    """Groups of 1,000 bytes and packs of 4,000: the same way, in small steps."""
    monkeypatch.setattr(ingest, "_GROUP_BYTES", 1_000)
    monkeypatch.setattr(verbs, "PACK_BYTES_TARGET", 4_000)
    monkeypatch.setattr(verbs, "_PACK_BYTES_MIN", 1_000)


@pytest.fixture
def pack_names(objects):
    """Returns the names of all packs."""
    return lambda: sorted(found.name for found in objects.iter_names("packs/"))
