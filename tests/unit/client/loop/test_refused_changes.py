# SPDX-License-Identifier: Apache-2.0
"""Changes that the server refuses: they are sent again otherwise, or told; nothing is lost."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio

from drystone.client.adapters.remote_http.session import ServerAway
from drystone.client.ports import CommitResult
from drystone.core.ids import ROOT_ID, BlockId, Seq
from drystone.core.journal.change import Change
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio

Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    server = MemoryServer()
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    yield one, two
    one.close()
    two.close()
    server.close()


def lose_answers(device: MemoryDevice, then: Callable[[], Awaitable[bool]]) -> None:
    """Loses the answers to commits; after each something happens, until that says it is done."""
    commit = device.remote.commit

    async def commit_and_lose(
        changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        await commit(changes, seen_seq, key, cursor)
        if await then():
            device.remote.commit = commit  # type: ignore[method-assign]
        raise ServerAway("the answer was lost")

    device.remote.commit = commit_and_lose  # type: ignore[method-assign]


async def move_unsent(device: MemoryDevice, path: str, new_path: str) -> None:
    """Renames; it is seen, but cannot be sent."""
    commit = device.remote.commit

    async def refuse(
        changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        raise ServerAway("the server's disk is full")

    device.hand.rename(path, new_path)
    device.remote.commit = refuse  # type: ignore[method-assign]
    with pytest.raises(ServerAway):
        await device.sync()
    device.remote.commit = commit  # type: ignore[method-assign]


def overtake(device: MemoryDevice, other: MemoryDevice) -> None:
    """Lets another device commit just before the next commit."""
    commit = device.remote.commit

    async def commit_second(
        changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        device.remote.commit = commit  # type: ignore[method-assign]
        await other.sync()
        return await commit(changes, seen_seq, key, cursor)

    device.remote.commit = commit_second  # type: ignore[method-assign]


def delete_once_it_comes(device: MemoryDevice, path: str) -> Callable[[], Awaitable[bool]]:
    async def sync_and_delete() -> bool:
        await device.sync()
        if path not in device.hand.list_tree():
            return False
        device.hand.remove(path)
        device.allows_deletions = True
        await device.sync()
        return True

    return sync_and_delete


async def test_what_was_deleted_before_its_lost_answer_was_missed_does_not_return(
    pair: Pair,
) -> None:
    one, two = pair

    one.hand.write("file", b"hello")
    lose_answers(one, delete_once_it_comes(two, "file"))

    await settle([one, two])

    # Who deleted it had seen just this; the server's history has it.
    assert one.hand.list_tree() == two.hand.list_tree() == {}
    assert one.state.problems() == one.notices.problems == []
    assert not one.state.local_changes


async def test_what_was_changed_once_more_after_its_lost_answer_outlives_its_deletion(
    pair: Pair,
) -> None:
    one, two = pair

    async def delete_and_change() -> bool:
        is_done = await delete_once_it_comes(two, "file")()
        if is_done:
            one.hand.write("file", b"hello again")
        return is_done

    one.hand.write("file", b"hello")
    lose_answers(one, delete_and_change)

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree() == {"file": b"hello again"}
    assert one.state.problems() == one.notices.problems == []


async def test_folders_deleted_before_their_lost_answers_were_missed_are_made_again(
    pair: Pair,
) -> None:
    one, two = pair
    path = ""
    for name in "abcdefg":
        path = f"{path}/{name}" if path else name
        one.hand.make_folder(path)
        one.hand.write(f"{path}/file", name.encode())
    expected = one.hand.list_tree()
    lose_answers(one, delete_once_it_comes(two, "a"))

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree() == expected
    assert one.state.problems() == []
    assert not one.state.local_changes


async def test_id_of_another_living_entry_keeps_both(pair: Pair) -> None:
    one, two = pair
    one.hand.write("one", b"of one")
    await one.sync()
    (taken,) = one.state.synced.children(ROOT_ID).values()
    fresh = two.make_world().new_file_id
    ids = iter([taken.file_id])
    two._new_file_id = lambda: next(ids, None) or fresh()
    two.hand.write("two", b"of two")

    await settle([two, one])

    assert one.hand.list_tree() == two.hand.list_tree()
    assert sorted(one.hand.list_tree().values()) == [b"of one", b"of two"]


async def test_edit_of_a_moved_file_is_kept_if_only_its_move_is_accepted(pair: Pair) -> None:
    one, two = pair
    one.hand.write("file", b"first")
    await settle([one, two])
    await move_unsent(one, "file", "moved")
    one.hand.write("moved", b"edited on one")
    two.hand.write("file", b"edited on two")
    overtake(one, two)

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree()
    assert set(one.hand.list_tree().values()) == {b"edited on one", b"edited on two"}


async def test_edit_of_a_moved_file_is_kept_if_it_cannot_be_read_when_it_is_sent(
    pair: Pair,
) -> None:
    one, two = pair
    edited = b"".join(b"line %d\n" % number for number in range(100_000))
    one.hand.write("file", b"first")
    await settle([one, two])
    await move_unsent(one, "file", "moved")
    one.hand.write("moved", edited)
    ask = one.remote.ask

    async def forbid_and_ask(block_ids: Sequence[BlockId]) -> list[BlockId]:
        one.disk.require("moved").is_readable = False
        return await ask(block_ids)

    one.remote.ask = forbid_and_ask  # type: ignore[method-assign]
    await one.sync()
    one.remote.ask = ask  # type: ignore[method-assign]
    one.disk.require("moved").is_readable = True
    await settle([one, two])

    assert two.hand.list_tree() == {"moved": edited}
