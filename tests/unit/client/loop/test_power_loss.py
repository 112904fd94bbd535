# SPDX-License-Identifier: Apache-2.0
"""A power loss takes back what was not flushed. Nobody takes that for a wish."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio

Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    server = MemoryServer()
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two", tmp_path / "two.db")
    one.hand.make_folder("folder")
    one.hand.write("folder/file", b"hello")
    one.hand.write("other", b"world")
    await settle([one, two])
    yield one, two
    one.close()
    two.close()
    server.close()


async def test_file_that_did_not_survive_is_fetched_again(pair: Pair) -> None:
    one, two = pair
    two.crash(with_machine=True)
    two.hand.remove("folder/file")

    await settle([two, one])

    assert two.hand.list_tree() == one.hand.list_tree()
    assert one.hand.read("folder/file") == b"hello"


async def test_folder_that_did_not_survive_is_placed_again_with_all_below(pair: Pair) -> None:
    one, two = pair
    two.crash(with_machine=True)
    two.hand.remove("folder")

    await settle([two, one])

    assert two.hand.list_tree() == one.hand.list_tree()
    assert one.hand.read("folder/file") == b"hello"


async def test_torn_file_is_kept_beside_and_fetched_again(pair: Pair) -> None:
    one, two = pair
    two.crash(with_machine=True)
    two.hand.write_silently("folder/file", b"\0\0\0\0\0")

    await settle([two, one])

    assert two.hand.list_tree() == one.hand.list_tree()
    assert one.hand.read("folder/file") == b"hello"
    assert sorted(v for v in one.hand.list_tree().values() if v) == [
        b"\0\0\0\0\0",
        b"hello",
        b"world",
    ]


@pytest.mark.parametrize("path", ["folder", "folder/file"])
async def test_mode_given_since_is_a_wish(pair: Pair, path: str) -> None:
    one, two = pair
    two.crash(with_machine=True)
    two.hand.set_mode(path, 0o700)

    await settle([two, one])

    assert _mode(one, path) == _mode(two, path) == 0o700


async def test_time_given_since_is_a_wish(pair: Pair) -> None:
    one, two = pair
    two.crash(with_machine=True)
    two.hand.touch("folder/file", 1_600_000_000_000_000_000)

    await settle([two, one])

    assert _mtime_ns(one, "folder/file") == _mtime_ns(two, "folder/file") == 1_600_000_000 * 10**9


@pytest.mark.parametrize("path", ["folder", "folder/file"])
async def test_mode_that_did_not_survive_is_given_again(pair: Pair, path: str) -> None:
    one, two = pair
    before = _mode(one, path)
    one.hand.set_mode(path, 0o700)
    await settle([one, two])
    two.crash(with_machine=True)
    inode = two.disk.find(path)
    assert inode is not None
    inode.mode, inode.ctime_ns = before, inode.ctime_ns - 1

    await settle([two, one])

    assert _mode(one, path) == _mode(two, path) == 0o700


async def test_time_that_did_not_survive_is_given_again(pair: Pair) -> None:
    one, two = pair
    before_ns = _mtime_ns(two, "folder/file")
    two.crash(with_machine=True)
    inode = two.disk.find("folder/file")
    assert inode is not None
    inode.mtime_ns, inode.ctime_ns = 0, inode.ctime_ns - 1

    await settle([two, one])

    assert _mtime_ns(one, "folder/file") == _mtime_ns(two, "folder/file") == before_ns


async def test_what_survived_is_only_read_again(pair: Pair) -> None:
    one, two = pair
    tree = two.hand.list_tree()
    two.crash(with_machine=True)
    two.remote.asked.clear()

    await two.sync()

    assert dict(two.remote.asked) == {"changes": 1}
    assert two.hand.list_tree() == tree == one.hand.list_tree()
    assert not two.state.list_doubtful(10)


async def test_after_a_flush_a_deletion_is_a_wish(pair: Pair) -> None:
    one, two = pair
    await two.flush()
    two.crash(with_machine=True)
    two.hand.remove("folder/file")

    await settle([two, one])

    assert one.hand.list_tree() == {"folder": None, "other": b"world"}


async def test_crash_of_the_program_alone_puts_nothing_in_doubt(pair: Pair) -> None:
    one, two = pair
    two.crash()
    two.hand.remove("folder/file")

    await settle([two, one])

    assert one.hand.list_tree() == {"folder": None, "other": b"world"}


def _mode(device: MemoryDevice, path: str) -> int:
    stat = device.disk.find_stat(path)
    assert stat is not None
    return stat.mode


def _mtime_ns(device: MemoryDevice, path: str) -> int:
    stat = device.disk.find_stat(path)
    assert stat is not None
    return stat.mtime_ns
