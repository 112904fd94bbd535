# SPDX-License-Identifier: Apache-2.0
"""A server that is nearly full: what it can still take is not kept back by what it cannot."""

from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

import pytest
import pytest_asyncio

from drystone.core.content.frame import Frame
from drystone.server.ports.objects import ObjectStoreFull
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.close()


def limit_room(device: MemoryDevice, room_bytes: int) -> list[int]:
    """Lets the server take only so much; returns the sizes of the bundles sent, as they come."""
    put, sizes = device.remote.put_blocks, list[int]()

    async def put_if_it_fits(batches: AsyncIterator[Sequence[Frame]]) -> int:
        nonlocal room_bytes
        held = [frames async for frames in batches]
        sizes.append(sum(len(frame.payload) for frames in held for frame in frames))
        if sizes[-1] > room_bytes:
            raise ObjectStoreFull("the server's disk is full", retry_after_s=30.0)
        room_bytes -= sizes[-1]

        async def again() -> AsyncIterator[Sequence[Frame]]:
            for frames in held:
                yield frames

        return await put(again())

    device.remote.put_blocks = put_if_it_fits  # type: ignore[method-assign]
    return sizes


def noise(number: int, size_bytes: int) -> bytes:
    """Returns what cannot be compressed."""
    chunks = (b"%d %d" % (number, i) for i in range(size_bytes // 32))
    return b"".join(sha256(chunk).digest() for chunk in chunks)


async def test_small_files_arrive_though_a_large_one_does_not(server: MemoryServer) -> None:
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    put = one.remote.put_blocks
    one.hand.make_folder("folder")
    one.hand.write("folder/large", noise(0, 200_000))
    for number in range(1, 40):
        one.hand.write(f"folder/{number}", noise(number, 320))
    sizes = limit_room(one, 50_000)

    with pytest.raises(ObjectStoreFull):
        await one.sync()
    await two.sync()

    expected = one.hand.list_tree()
    expected.pop("folder/large")
    assert two.hand.list_tree() == expected
    assert len(sizes) < 20

    one.remote.put_blocks = put  # type: ignore[method-assign]
    await settle([one, two])
    assert two.hand.list_tree() == one.hand.list_tree()
    one.close()
    two.close()


async def test_server_that_takes_nothing_is_not_asked_for_each_file(server: MemoryServer) -> None:
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    for number in range(100):
        one.hand.write(str(number), noise(number, 320))
    sizes = limit_room(one, 0)

    with pytest.raises(ObjectStoreFull):
        await one.sync()

    assert len(sizes) < 20
    one.close()
