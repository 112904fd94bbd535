# SPDX-License-Identifier: Apache-2.0
"""A device whose disk cannot hold every name, beside one whose disk can."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drystone.core.names.standing import MARK
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.fakes.narrow import VFAT
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio

TWIN = f"README (twin{MARK}2).md"
Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    """The first has two twins and a file; the second is as a memory stick."""
    server = MemoryServer()
    wide = MemoryDevice(server, await server.sign_in(device="wide"), "wide")
    narrow = MemoryDevice(server, await server.sign_in(device="narrow"), "narrow", traits=VFAT)
    wide.hand.write("readme.md", b"small")
    await settle([wide])
    wide.hand.write("README.md", b"CAPITAL")
    wide.hand.make_folder("12:30")
    wide.hand.write("12:30/con", b"talk")
    wide.hand.set_mode("README.md", 0o755)
    await settle([wide, narrow])
    yield wide, narrow
    wide.close()
    narrow.close()
    server.close()


def files(device: MemoryDevice) -> dict[str, bytes | str | None]:
    return device.hand.list_tree()


async def test_everything_comes_and_nothing_goes_back(pair: Pair) -> None:
    wide, narrow = pair
    before = files(wide)

    assert files(narrow) == {
        "readme.md": b"small", TWIN: b"CAPITAL",
        f"12{MARK}\uff1a30": None, f"12{MARK}\uff1a30/{MARK}\uff43on": b"talk",
    }  # fmt: skip
    for device in (narrow, wide):
        done = await device.sync()
        assert (done.uploaded_count, done.downloaded_count, done.unsettled_count) == (0, 0, 0)
    assert files(wide) == before
    assert wide.disk.require("README.md").mode == 0o755


async def test_editing_what_stands_under_another_name_is_an_edit(pair: Pair) -> None:
    wide, narrow = pair
    narrow.hand.write(TWIN, b"edited")
    narrow.hand.write(f"12{MARK}\uff1a30/{MARK}\uff43on", b"more")
    await settle([narrow, wide])

    assert files(wide)["README.md"] == b"edited"
    assert files(wide)["12:30/con"] == b"more"
    assert wide.disk.require("README.md").mode == 0o755


async def test_renaming_it_is_a_rename_everywhere(pair: Pair) -> None:
    wide, narrow = pair
    ino = wide.disk.require("README.md").ino
    narrow.hand.rename(TWIN, "notes.md")
    await settle([narrow, wide])

    assert set(files(wide)) == {"readme.md", "notes.md", "12:30", "12:30/con"}
    assert wide.disk.require("notes.md").ino == ino


async def test_it_stays_where_it_stands_when_its_twin_goes(pair: Pair) -> None:
    wide, narrow = pair
    wide.hand.remove("readme.md")
    await settle([wide, narrow])

    assert TWIN in files(narrow)
    assert set(files(wide)) == {"README.md", "12:30", "12:30/con"}


@pytest.mark.parametrize("who", [0, 1])
async def test_a_change_of_case_alone_moves_no_content(pair: Pair, who: int) -> None:
    one, other = pair[who], pair[1 - who]
    one.hand.write("plan.txt", b"plan")
    await settle([one, other])
    ino = other.disk.require("plan.txt").ino
    one.hand.rename("plan.txt", "PLAN.txt")
    sent = (await one.sync()).traffic.sent_bytes
    await settle([one, other])

    for device in (one, other):
        assert "PLAN.txt" in files(device)
        assert "plan.txt" not in files(device)
    assert other.disk.require("PLAN.txt").ino == ino
    assert sent < 1_000


async def test_a_lost_database_is_no_loss_of_names(pair: Pair) -> None:
    wide, narrow = pair
    before, there = files(wide), files(narrow)
    narrow.state.close()
    narrow.state = narrow._open_state()
    await settle([narrow, wide])

    assert files(wide) == before
    assert files(narrow) == there


async def test_a_symlink_is_told_and_left_on_the_server(pair: Pair) -> None:
    wide, narrow = pair
    wide.hand.make_symlink("link", "readme.md")
    await wide.sync()
    await narrow.sync()

    assert [(row.path, row.code) for row in narrow.state.problems()] == [("link", "no-symlinks")]
    assert (await narrow.sync()).problems_count == 0, "nobody need do anything"
    assert "link" not in files(narrow)
    await wide.sync()
    assert files(wide)["link"] == "readme.md"
    wide.hand.remove("link")
    await settle([wide, narrow])
    assert not narrow.state.problems()


async def test_what_is_made_there_has_no_mode_and_what_lives_on_keeps_its_own(pair: Pair) -> None:
    wide, narrow = pair
    narrow.hand.write("made", b"there")
    await settle([narrow, wide])
    assert wide.disk.require("made").mode == 0o644

    wide.hand.remove("README.md")
    await wide.sync()
    narrow.hand.write(TWIN, b"edited meanwhile")
    await settle([narrow, wide])
    assert files(wide)["README.md"] == b"edited meanwhile"
    assert wide.disk.require("README.md").mode == 0o755
