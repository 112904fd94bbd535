# SPDX-License-Identifier: Apache-2.0
"""A server that was restored from a backup: what it lost comes back from the devices."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.close()


Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def pair(server: MemoryServer, tmp_path: Path) -> AsyncIterator[Pair]:
    one = MemoryDevice(server, await server.sign_in(device="one"), "one", tmp_path / "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two", tmp_path / "two")
    for folder in ("docs", "old"):
        one.hand.make_folder(folder)
    for name in ("docs/plan", "docs/moved", "old/inside", "untouched", "removed"):
        one.hand.write(name, b"first " + name.encode())
    await settle([one, two])
    yield one, two
    one.close()
    two.close()


def restore(server: MemoryServer, backup: MemoryMetadata, *devices: MemoryDevice) -> None:
    server.run_anew(backup)
    for device in devices:
        device.remote.service = server.service


async def work(one: MemoryDevice, two: MemoryDevice) -> None:
    """What is done after the backup was made, by both."""
    one.hand.write("docs/plan", b"second plan")
    one.hand.rename("docs/moved", "moved")
    one.hand.rename("old", "docs/renamed")
    two.hand.make_folder("new")
    two.hand.write("new/file", b"new file")
    two.hand.write("fresh", b"fresh")
    one.hand.remove("removed")
    await settle([one, two])
    two.hand.rename("untouched", "new/untouched")
    await settle([one, two])


async def test_what_came_since_the_backup_comes_back(server: MemoryServer, pair: Pair) -> None:
    one, two = pair
    backup = server.metadata.copy()
    await work(one, two)
    before = one.hand.list_tree()
    restore(server, backup, one, two)

    await settle([one, two])

    # What was deleted since is there again: that it was, nobody remembers.
    assert one.hand.list_tree() == {**before, "removed": b"first removed"}
    assert two.hand.list_tree() == one.hand.list_tree()
    assert not one.notices.conflicts + two.notices.conflicts
    assert not one.state.problems() + two.state.problems()
    assert "restored from a backup" in one.notices.messages[-1]


async def test_it_comes_back_also_if_the_server_has_gone_on_meanwhile(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    backup = server.metadata.copy()
    await work(one, two)
    before = one.hand.list_tree()
    restore(server, backup, one, two)
    three = MemoryDevice(server, await server.sign_in(device="three"), "three")
    await three.sync()
    for number in range(30):
        three.hand.write(f"later {number}", b"later")
    three.hand.write("docs/plan", b"another plan")
    three.hand.remove("old")
    await three.sync()
    later = {path: c for path, c in three.hand.list_tree().items() if path.startswith("later")}

    await settle([one, two, three])

    found = one.hand.list_tree()
    assert found == two.hand.list_tree() == three.hand.list_tree()
    copies = {path: found.pop(path) for path in list(found) if "conflicted" in path}
    # Somebody deleted the folder who had seen all that was in it.
    del before["docs/renamed"], before["docs/renamed/inside"]
    assert found == {**before, **later, "removed": b"first removed", "docs/plan": b"another plan"}
    assert set(copies.values()) == {b"second plan"}
    three.close()


async def test_what_is_edited_after_the_backup_was_restored_is_an_edit(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    backup = server.metadata.copy()
    await work(one, two)
    restore(server, backup, one, two)
    one.hand.write("docs/plan", b"third plan")

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree()
    found = one.hand.list_tree()
    assert found.pop("docs/plan") == b"third plan"
    # Two cannot know that it was one who had the second plan before the third.
    assert [found[path] for path in found if "conflicted" in path] == [b"second plan"]


async def test_what_was_deleted_after_the_backup_was_restored_is_deleted(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    backup = server.metadata.copy()
    await work(one, two)
    restore(server, backup, one, two)
    await one.sync()
    one.hand.remove("docs/plan")
    one.hand.remove("new")
    await one.sync()

    await settle([two, one])

    found = two.hand.list_tree()
    assert found == one.hand.list_tree()
    assert not found.keys() & {"docs/plan", "new", "new/file"}


async def test_device_that_is_interrupted_while_it_reads_anew_loses_nothing(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    backup = server.metadata.copy()
    await work(one, two)
    before = one.hand.list_tree()
    for turns_count in range(1, 60, 3):
        restore(server, backup, one, two)
        backup = server.metadata.copy()
        if await one.sync_until(turns_count):
            break
    restore(server, backup, one, two)

    await settle([one, two])

    found = one.hand.list_tree()
    assert found == two.hand.list_tree()
    assert set(before.values()) <= set(found.values())


async def test_edit_is_not_put_over_what_has_the_same_rev_in_the_new_journal(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    backup = server.metadata.copy()
    one.hand.write("docs/plan", b"second plan")
    await one.sync()
    restore(server, backup, one, two)
    two.hand.write("docs/plan", b"second plan of two")
    await two.sync()
    one.hand.write("docs/plan", b"third plan")

    await settle([one, two])

    contents = one.hand.list_tree()
    assert contents == two.hand.list_tree()
    assert {b"third plan", b"second plan of two"} <= set(contents.values())


async def test_server_that_lost_its_key_as_well_deletes_nothing(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    backup = server.metadata.copy()
    await work(one, two)
    before = set(one.hand.list_tree().values())
    server.key = b"another key of the same server.."
    restore(server, backup, one, two)

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree()
    assert before <= set(one.hand.list_tree().values())


async def test_server_that_lost_only_its_key_changes_nothing(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    await work(one, two)
    before = one.hand.list_tree()
    one.hand.remove("fresh")
    await one.sync()
    server.key = b"another key of the same server.."
    restore(server, server.metadata.copy(), one, two)

    await settle([one, two])

    del before["fresh"]
    assert one.hand.list_tree() == two.hand.list_tree() == before


async def test_server_that_begins_with_nothing_gets_everything_again(
    server: MemoryServer, tmp_path: Path
) -> None:
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    backup = server.metadata.copy()
    one.hand.make_folder("a")
    one.hand.write("a/b", b"content")
    await one.sync()
    before = one.hand.list_tree()
    restore(server, backup, one)

    await settle([one])

    assert one.hand.list_tree() == before
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    await two.sync()
    assert two.hand.list_tree() == before
    one.close()
    two.close()
