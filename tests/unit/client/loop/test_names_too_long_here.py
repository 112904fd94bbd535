# SPDX-License-Identifier: Apache-2.0
"""Names that this disk cannot hold: told as long as they are, and nothing else waits for them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drystone.client.loop.running import Loop
from drystone.client.ports import NameTooLong
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.fakes.disk import FakeDisk, Inode
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio

LONG = "n" * 60
OLD, FOLDER = "o" * 60, "f" * 60


class NarrowDisk(FakeDisk):
    """Names may have 50 characters, as on some encrypted disks."""

    def open_above(self, path: str) -> tuple[Inode, str]:
        if len(path.rpartition("/")[2]) > 50:
            raise NameTooLong(f"{path!r} is too long for this disk", advice="Shorten it.")
        return super().open_above(path)


Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    """The second has a narrow disk."""
    server = MemoryServer()
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    two.disk = NarrowDisk()
    two.hand = two.disk.hand
    one.hand.write("old", b"old")
    one.hand.make_folder("folder")
    one.hand.write("folder/file", b"file")
    await settle([one, two])
    yield one, two
    one.close()
    two.close()
    server.close()


def lengthen(one: MemoryDevice) -> None:
    one.hand.write(LONG, b"new")
    one.hand.make_folder(FOLDER)
    one.hand.make_folder(f"{FOLDER}/below")
    one.hand.write(f"{FOLDER}/below/file", b"below")
    one.hand.rename("old", OLD)
    one.hand.write("folder/more", b"more")


def problems(device: MemoryDevice) -> dict[str, str]:
    return {row.path: row.code for row in device.state.problems()}


async def test_they_are_told_at_each_sync_and_all_else_goes_on(pair: Pair) -> None:
    one, two = pair
    lengthen(one)
    await one.sync()

    for content in (b"1", b"2", b"3", b"4"):
        two.hand.write("folder/file", content)
        await two.sync()
        # Neither what is in the folder nor a look at what is there hides or adds any.
        assert problems(two) == dict.fromkeys((LONG, FOLDER, "old"), "name-too-long")

    await one.sync()
    assert one.hand.read("folder/file") == b"4"
    assert two.hand.read("folder/more") == b"more"
    assert two.hand.read("old") == b"old"


async def test_shorter_names_are_tried_at_once(pair: Pair) -> None:
    one, two = pair
    lengthen(one)
    await one.sync()
    loop = Loop(two.make_world())
    for _ in range(4):
        await loop.run_once()
    assert len(problems(two)) == 3

    for name in (LONG, FOLDER, OLD):
        one.hand.rename(name, name[:5])
    await one.sync()
    await loop.run_once()
    await loop.close()

    assert two.hand.list_tree() == one.hand.list_tree()
    assert problems(two) == {}
