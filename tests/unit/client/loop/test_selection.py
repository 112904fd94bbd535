# SPDX-License-Identifier: Apache-2.0
"""Folders that are not selected on a device: they leave its disk, and the server keeps them."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest
import pytest_asyncio

from drystone.client.ports import Stat
from drystone.client.steps.pull import CURSOR_KEY, Selection, TooManyUnselected
from drystone.core import limits
from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.journal.change import Restore
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


class KilledError(Exception):
    """The program ends here."""


Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.close()


@pytest_asyncio.fixture
async def pair(server: MemoryServer) -> AsyncIterator[Pair]:
    """Two devices in step: ``big/sub/x``, ``big/y``, ``docs/z``."""
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    for folder in ("big", "big/sub", "docs"):
        one.hand.make_folder(folder)
    for path in ("big/sub/x", "big/y", "docs/z"):
        one.hand.write(path, path.encode())
    await settle([one, two])
    yield one, two
    one.close()
    two.close()


def find(device: MemoryDevice, path: str) -> Entry:
    entry, folder_id = None, ROOT_ID
    for name in path.split("/"):
        entry = device.state.synced.children(folder_id)[name]
        folder_id = entry.file_id
    assert entry is not None
    return entry


def unselect(device: MemoryDevice, knower: MemoryDevice, path: str) -> FileId:
    entry = find(knower, path)
    Selection(device.state).unselect([StoredEntry(entry, Seq(1), Action.CREATE)])
    device.state.save()
    return entry.file_id


def select(device: MemoryDevice, file_id: FileId) -> None:
    Selection(device.state).select([file_id])
    device.state.save()


async def test_unselected_folder_leaves_the_disk_and_nothing_else(pair: Pair) -> None:
    one, two = pair
    before = one.hand.list_tree()

    big = unselect(two, one, "big")
    summaries = [await two.sync(), await one.sync()]

    assert set(two.hand.list_tree()) == {"docs", "docs/z"}
    assert one.hand.list_tree() == before
    assert [(s.unsettled_count, s.uploaded_count) for s in summaries] == [(0, 0), (0, 0)]
    assert list(two.state.remote_changes) == [big]
    assert Selection(two.state).list_paths() == {big: "big"}

    select(two, big)
    await settle([two, one])
    assert two.hand.list_tree() == one.hand.list_tree() == before
    assert not two.notices.conflicts
    assert not two.state.remote_changes


async def test_selecting_what_went_with_the_folder_above_leaves_nothing_open(pair: Pair) -> None:
    one, two = pair
    sub = unselect(two, one, "big/sub")
    await settle([two, one])
    one.hand.remove("big")
    await settle([one, two])

    select(two, sub)
    summary = await two.sync()

    assert summary.unsettled_count == 0
    assert not two.state.remote_changes
    assert set(two.hand.list_tree()) == {"docs", "docs/z"}


async def test_what_was_never_selected_is_never_fetched(server: MemoryServer, pair: Pair) -> None:
    one, _ = pair
    three = MemoryDevice(server, await server.sign_in(device="three"), "three")
    unselect(three, one, "big")

    await three.sync()

    assert set(three.hand.list_tree()) == {"docs", "docs/z"}
    assert three.remote.fetched_blocks == 1
    three.close()


async def test_rename_of_an_unselected_folder_is_just_a_rename(pair: Pair) -> None:
    one, two = pair
    big = unselect(two, one, "big")
    await settle([two, one])
    before = two.hand.list_tree()

    one.hand.rename("big", "docs/large")
    one.hand.write("docs/large/new", b"new")
    await settle([one, two])

    assert two.hand.list_tree() == before
    assert Selection(two.state).list_paths() == {big: "docs/large"}
    select(two, big)
    await settle([two, one])
    assert two.hand.list_tree() == one.hand.list_tree()


async def test_what_moves_in_leaves_and_what_moves_out_comes(pair: Pair) -> None:
    one, two = pair
    unselect(two, one, "big")
    await settle([two, one])

    one.hand.rename("docs/z", "big/z")
    one.hand.rename("big/sub", "docs/sub")
    one.hand.set_mode("docs/sub", 0o700)
    await settle([one, two])

    assert set(two.hand.list_tree()) == {"docs", "docs/sub", "docs/sub/x"}
    assert "big/z" in one.hand.list_tree()

    one.hand.rename("docs", "big/docs")
    await settle([one, two])

    assert not two.hand.list_tree()
    assert "big/docs/sub/x" in one.hand.list_tree()
    assert not one.notices.conflicts


async def test_edit_here_and_move_out_of_sight_there_keeps_both(pair: Pair) -> None:
    one, two = pair
    unselect(two, one, "big")
    await settle([two, one])

    one.hand.rename("docs/z", "big/z")
    await one.sync()
    two.hand.write("docs/z", b"edited")
    await settle([two, one])

    assert two.hand.read("docs/z") == b"edited"
    assert one.hand.list_tree()["docs/z"] == b"edited"
    assert one.hand.list_tree()["big/z"] == b"docs/z"


async def test_deleting_the_folder_above_deletes_only_what_was_seen(pair: Pair) -> None:
    one, two = pair
    one.hand.rename("big", "docs/big")
    await settle([one, two])
    unselect(two, one, "docs/big")
    await settle([two, one])

    two.hand.remove("docs")
    await settle([two, one])

    assert two.hand.list_tree() == {"docs": None}
    assert set(one.hand.list_tree()) == {
        "docs", "docs/big", "docs/big/sub", "docs/big/sub/x", "docs/big/y",
    }  # fmt: skip


async def test_new_folder_of_an_unselected_one_s_name_gets_another(pair: Pair) -> None:
    one, two = pair
    unselect(two, one, "big")
    await settle([two, one])

    two.hand.make_folder("big")
    two.hand.write("big/mine", b"mine")
    await settle([two, one])

    copy = next(path for path in two.hand.list_tree() if path.startswith("big (conflicted"))
    assert set(two.hand.list_tree()) == {"docs", "docs/z", copy, f"{copy}/mine"}
    assert one.hand.list_tree()[f"{copy}/mine"] == b"mine"
    assert one.hand.list_tree()["big/y"] == b"big/y"


async def test_what_was_not_sent_when_it_was_unselected_is_not_lost(pair: Pair) -> None:
    one, two = pair
    two.hand.write("big/y", b"edited")
    two.hand.write("big/sub/new", b"new")
    unselect(two, one, "big")

    await settle([two, one])

    kept = {path.rpartition("/")[2]: data for path, data in two.hand.list_tree().items()}
    assert (kept["y"], kept["new"]) == (b"edited", b"new")
    assert one.hand.list_tree().items() >= two.hand.list_tree().items()
    assert one.hand.list_tree()["big/y"] == b"big/y"


async def test_deleted_unselected_folder_is_in_nobody_s_way(
    server: MemoryServer, pair: Pair
) -> None:
    one, two = pair
    big = unselect(two, one, "big")
    await settle([two, one])
    one.hand.remove("big")
    await settle([one, two])
    assert not two.state.remote_changes
    assert Selection(two.state).list_paths() == {}

    two.hand.make_folder("big")
    await settle([two, one])
    assert "big" in one.hand.list_tree()
    one.hand.remove("big")
    await settle([one, two])

    await server.commit(one.remote.actor, [Restore(big)])
    await settle([one, two])
    assert "big/sub/x" in one.hand.list_tree()
    assert set(two.hand.list_tree()) == {"docs", "docs/z"}


async def test_selection_outlives_a_server_that_is_read_anew(pair: Pair) -> None:
    one, two = pair
    big = unselect(two, one, "big")
    await settle([two, one])

    two.state.put(CURSOR_KEY, "of another server")
    await settle([two, one])

    assert set(two.hand.list_tree()) == {"docs", "docs/z"}
    assert list(two.state.remote_changes) == [big]


async def test_unselecting_nearly_everything_is_no_catastrophe(pair: Pair) -> None:
    one, two = pair
    for number in range(200):
        one.hand.write(f"big/{number}", b"%d" % number)
    await settle([one, two])

    unselect(two, one, "big")
    unselect(two, one, "docs")
    await settle([two, one])

    assert not two.hand.list_tree()
    assert len(one.hand.list_tree()) == 206


async def test_leaving_that_was_never_noted_is_no_deletion(
    server: MemoryServer, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    before = one.hand.list_tree()
    three = MemoryDevice(server, await server.sign_in(device="three"), "three", tmp_path / "state")
    await three.sync()
    discard = three.disk.discard

    def discard_and_die(path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        discard(path, expected, stock)
        raise KilledError

    big = unselect(three, one, "big")
    with monkeypatch.context() as patch:
        patch.setattr(three.disk, "discard", discard_and_die)
        with pytest.raises(KilledError):
            await three.sync()
    three.crash()
    assert set(three.hand.list_tree()) == {"docs", "docs/z"}
    assert three.state.find_synced_row(big) is not None

    select(three, big)
    await settle([three, one])

    assert three.hand.list_tree() == one.hand.list_tree() == before
    three.close()


async def test_selecting_and_unselecting_again_changes_nothing(pair: Pair) -> None:
    one, two = pair
    selection = Selection(two.state)
    big = unselect(two, one, "big")
    unselect(two, one, "big")
    assert selection.ids == {big}
    select(two, big)
    select(two, big)
    assert not selection.ids

    await settle([two, one])

    assert two.hand.list_tree() == one.hand.list_tree()


async def test_number_of_unselected_folders_is_bounded(pair: Pair) -> None:
    one, two = pair
    entry = find(one, "big")
    many = [
        StoredEntry(entry._replace(file_id=FileId(n.to_bytes(16, "big"))), Seq(1), Action.CREATE)
        for n in range(1, limits.UNSELECTED_FOLDERS_MAX + 2)
    ]

    with pytest.raises(TooManyUnselected):
        Selection(two.state).unselect(many)

    assert not Selection(two.state).ids
