# SPDX-License-Identifier: Apache-2.0
"""Two devices of one account, in memory: what happens on one happens on the other."""

from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio

from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.close()


@pytest_asyncio.fixture
async def pair(server: MemoryServer) -> AsyncIterator[tuple[MemoryDevice, MemoryDevice]]:
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    yield one, two
    one.close()
    two.close()


Pair = tuple[MemoryDevice, MemoryDevice]


async def test_new_tree_arrives_whole(pair: Pair) -> None:
    one, two = pair
    one.hand.make_folder("a")
    one.hand.make_folder("a/b")
    one.hand.write("a/b/file", b"hello" * 1000)
    one.hand.write("empty", b"")
    one.hand.make_symlink("a/link", "b/file")
    one.hand.set_mode("a/b/file", 0o700)

    sent = await one.sync()
    brought = await two.sync()

    assert two.hand.list_tree() == one.hand.list_tree()
    assert two.disk.require("a/b/file").mode == 0o700
    assert two.disk.require("a/b/file").mtime_ns == one.disk.require("a/b/file").mtime_ns
    assert (sent.uploaded_count, brought.downloaded_count) == (5, 5)
    assert (sent.unsettled_count, brought.unsettled_count) == (0, 0)


async def test_second_sync_has_nothing_to_do(pair: Pair) -> None:
    one, _ = pair
    one.hand.write("file", b"hello")
    await one.sync()
    one.remote.asked.clear()

    again = await one.sync()

    assert again.uploaded_count == again.downloaded_count == 0
    assert dict(one.remote.asked) == {"changes": 1}


async def test_edit_travels_as_a_patch(pair: Pair) -> None:
    one, two = pair
    lines = [b"line %d of a long file, of which little changes\n" % n for n in range(2_000)]
    one.hand.write("file", b"".join(lines))
    await settle([one, two])
    lines[1_000] = b"another line\n"
    one.hand.write("file", b"".join(lines))
    sent_before = one.remote.sent_bytes

    await settle([one, two])

    assert two.hand.read("file") == b"".join(lines)
    assert one.remote.sent_bytes - sent_before < 2_000


async def test_rename_of_a_folder_moves_no_content(pair: Pair) -> None:
    one, two = pair
    one.hand.make_folder("old")
    for number in range(20):
        one.hand.write(f"old/{number}", b"content %d" % number)
    await settle([one, two])
    blocks_before = len(one.remote.sent_blocks)
    two.remote.asked.clear()
    inode = two.disk.require("old/3").ino
    one.hand.rename("old", "new")

    sent = await one.sync()
    await two.sync()

    assert sent.uploaded_count == 1
    assert two.hand.list_tree() == one.hand.list_tree()
    assert two.disk.require("new/3").ino == inode
    assert len(one.remote.sent_blocks) == blocks_before
    assert not two.remote.asked["fetch"]


async def test_deletion_travels_and_what_was_deleted_is_in_the_trash(pair: Pair) -> None:
    one, two = pair
    one.hand.make_folder("folder")
    one.hand.write("folder/file", b"hello")
    one.hand.write("other", b"stays")
    await settle([one, two])
    one.hand.remove("folder")

    await settle([one, two])

    assert two.hand.list_tree() == {"other": b"stays"}
    assert b"hello" in [content for _, content in two.hand.list_trash()]


async def test_two_edits_of_one_file_are_both_kept(pair: Pair) -> None:
    one, two = pair
    one.hand.write("notes.txt", b"first")
    await settle([one, two])
    one.hand.write("notes.txt", b"by one")
    two.hand.write("notes.txt", b"by two")

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree()
    assert sorted(one.hand.list_tree().values()) == [b"by one", b"by two"]
    assert "notes (conflicted copy, two, 2023-11-14).txt" in one.hand.list_tree()
    assert [path for path, _ in two.notices.conflicts] == ["notes.txt"]


async def test_same_content_on_both_sides_is_no_conflict(pair: Pair) -> None:
    one, two = pair
    for device in pair:
        device.hand.make_folder("folder")
        device.hand.write("folder/file", b"the same")

    await settle([one, two])

    assert (
        one.hand.list_tree() == two.hand.list_tree() == {"folder": None, "folder/file": b"the same"}
    )
    assert not one.notices.conflicts
    assert not two.notices.conflicts


async def test_edit_wins_over_deletion(pair: Pair) -> None:
    one, two = pair
    one.hand.write("file", b"first")
    await settle([one, two])
    one.hand.remove("file")
    two.hand.write("file", b"second")

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree() == {"file": b"second"}


async def test_lost_answer_to_a_commit_changes_nothing_twice(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    one.hand.write("file", b"hello")
    one.remote.faults.lost_answers = 1

    await settle([one, two])

    assert two.hand.list_tree() == {"file": b"hello"}
    assert one.remote.sent_blocks == one.remote.sent_blocks[:1]
    assert server.metadata.read(lambda unit: unit.tree.head(one.remote.namespace_id)) == 1


async def test_large_file_is_built_from_what_is_there(pair: Pair) -> None:
    one, two = pair
    pattern = bytes(range(256)) * 17
    content = b"".join(pattern + b"%08d" % n for n in range(1_200))
    one.hand.write("large", content)
    await settle([one, two])
    assert two.hand.read("large") == content
    changed = content[:3_000_000] + b"!" + content[3_000_001:]
    one.hand.write("large", changed)
    blocks_before, bytes_before = len(one.remote.sent_blocks), one.remote.sent_bytes

    await settle([one, two])

    assert two.hand.read("large") == changed
    assert len(one.remote.sent_blocks) - blocks_before == 2
    assert one.remote.sent_bytes - bytes_before < 40_000


async def test_broken_upload_goes_on_where_it_was(pair: Pair) -> None:
    one, two = pair
    for number in range(1_000):
        one.hand.write(f"{number}", b"content %d" % number * 700)
    one.remote.faults.broken_puts = 1

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree()


async def test_broken_download_goes_on_where_it_was(pair: Pair) -> None:
    one, two = pair
    for number in range(300):
        one.hand.write(f"{number}", b"content %d" % number)
    await one.sync()
    two.remote.faults.broken_fetches = 1

    await settle([two, one])

    assert one.hand.list_tree() == two.hand.list_tree()


async def test_half_fetched_large_file_is_gone_on_with(pair: Pair) -> None:
    one, two = pair
    content = Random(1).randbytes(20_000_000)
    one.hand.write("large", content)
    await one.sync()
    two.remote.group_blocks = 3
    two.remote.faults.broken_fetches = 3

    await two.sync()

    assert two.hand.read("large") == content
    assert not two.disk.kept
    assert two.disk.staged_count == 0
    # Its manifest comes again each time; a group of blocks is all that is lost with a connection.
    whole = len(one.remote.sent_blocks)
    assert two.remote.fetched_blocks <= whole + 3 * 3


async def test_large_file_is_not_left_half_fetched_where_the_server_refuses(pair: Pair) -> None:
    one, two = pair
    one.hand.write("large", Random(1).randbytes(9_000_000))
    await one.sync()
    two.disk.room_bytes = 1_000

    summary = await two.sync()

    assert summary.problems_count == 1
    assert not two.disk.kept
    assert two.disk.staged_count == 0


async def test_server_away_changes_nothing(pair: Pair) -> None:
    one, _ = pair
    one.hand.write("file", b"hello")
    one.remote.faults.is_away = True

    with pytest.raises(Exception, match="down"):
        await one.sync()

    assert one.hand.list_tree() == {"file": b"hello"}


async def test_restored_folder_comes_back_with_all_below(server: MemoryServer, pair: Pair) -> None:
    from drystone.core.journal.change import Restore

    one, two = pair
    one.hand.make_folder("folder")
    one.hand.write("folder/file", b"hello")
    await settle([one, two])
    folder_id = next(iter(one.state.synced.children(bytes(16)).values())).file_id
    one.hand.remove("folder")
    await settle([one, two])
    assert not two.hand.list_tree()

    await server.commit(one.remote.actor, [Restore(folder_id)])
    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree() == {"folder": None, "folder/file": b"hello"}


async def test_unreadable_file_does_not_stop_the_others(pair: Pair) -> None:
    one, two = pair
    one.hand.write("good", b"hello")
    one.hand.write("bad", b"secret")
    one.disk.require("bad").is_readable = False

    summary = await one.sync()
    await two.sync()

    assert two.hand.list_tree() == {"good": b"hello"}
    assert summary.problems_count == 1
    assert [row.path for row in one.state.problems()] == ["bad"]


async def test_lost_state_is_a_union_never_a_deletion(pair: Pair) -> None:
    one, two = pair
    one.hand.write("kept", b"hello")
    one.hand.write("deleted while the state was lost", b"hello again")
    await settle([one, two])
    two.close()
    two.state = two._open_state()
    two.hand.remove("deleted while the state was lost")
    two.hand.write("new", b"new")

    await settle([one, two])

    everything = {
        "kept": b"hello",
        "deleted while the state was lost": b"hello again",
        "new": b"new",
    }
    assert one.hand.list_tree() == two.hand.list_tree() == everything
