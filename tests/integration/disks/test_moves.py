# SPDX-License-Identifier: Apache-2.0
"""Renames and moves on real disks: never content sent again, never a deletion and a creation,
whether the client was running or not.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from drystone.client.bootstrap import open_root
from drystone.testing.hand import RealHand
from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess
from tests.integration.disks.tools import Journal, kept

Deed = Callable[[RealHand], None]
FILES = ("a", "b", "c", "d1/x", "d1/sub/y", "d2/x", "d2/sub/z")
LARGE_BYTES = 300_000


def content_of(path: str) -> bytes:
    return f"what {path} held\n".encode() * (LARGE_BYTES // 20)


def make_tree(folder: Path) -> None:
    for path in FILES:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content_of(path))


def rename(*pairs: tuple[str, str]) -> Deed:
    def do(hand: RealHand) -> None:
        for path, new_path in pairs:
            hand.rename(path, new_path)

    return do


def into_former_child(hand: RealHand) -> None:
    """d1/sub comes up, and d1 goes into it."""
    hand.rename("d1/sub", "up")
    hand.rename("d1", "up/d1")


def turned_inside_out(hand: RealHand) -> None:
    """What was d1/sub is d1 now, and what was d1 is d1/sub."""
    hand.rename("d1/sub", "sub")
    hand.rename("d1", "sub/sub")
    hand.rename("sub", "d1")


def into_new_folder(hand: RealHand) -> None:
    hand.make_folder("new")
    hand.make_folder("new/deep")
    hand.rename("a", "new/deep/a")
    hand.rename("d1", "new/d1")


def and_edited(*pairs: tuple[str, str]) -> Deed:
    """Renames, and then writes something more into each in place."""

    def do(hand: RealHand) -> None:
        rename(*pairs)(hand)
        for _, new_path in pairs:
            hand.write(new_path, hand.read(new_path) + b"and more")

    return do


def with_a_new_one_in_its_place(hand: RealHand) -> None:
    hand.rename("a", "d1/a")
    hand.write("a", b"new")
    hand.rename("d2", "d1/d2")
    hand.make_folder("d2")
    hand.write("d2/x", b"new")


def folder_with_all_in_it_new(hand: RealHand) -> None:
    hand.rename("d2", "e")
    for path in ("e/x", "e/sub/z"):
        content = hand.read(path)
        hand.remove(path)
        hand.write(path, content + b"new")


DEEDS: dict[str, tuple[Deed, dict[str, int]]] = {
    "file": (rename(("a", "renamed")), {"move": 1}),
    "file-into-folder": (rename(("a", "d1/a")), {"move": 1}),
    "file-between-folders": (rename(("d1/x", "d2/sub/x")), {"move": 1}),
    "chain": (rename(("c", "d"), ("b", "c"), ("a", "b")), {"move": 3}),
    "there-and-on": (rename(("a", "t"), ("t", "u"), ("u", "d1/v")), {"move": 1}),
    "there-and-back": (rename(("a", "t"), ("t", "a")), {}),
    "swap": (rename(("a", "t"), ("b", "a"), ("t", "b")), {"move": 3}),
    "cycle-of-three": (rename(("a", "t"), ("c", "a"), ("b", "c"), ("t", "b")), {"move": 4}),
    "swap-between-folders": (
        rename(("d1/x", "t"), ("d2/x", "d1/x"), ("t", "d2/x")), {"move": 3}
    ),
    "case": (rename(("a", "A")), {"move": 1}),
    "folder-case": (rename(("d1", "D1")), {"move": 1}),
    "folder": (rename(("d1", "renamed")), {"move": 1}),
    "folder-into-folder": (rename(("d1", "d2/d1")), {"move": 1}),
    "folders-swapped": (rename(("d1", "t"), ("d2", "d1"), ("t", "d2")), {"move": 3}),
    "children-swapped": (
        rename(("d1/sub", "t"), ("d2/sub", "d1/sub"), ("t", "d2/sub")), {"move": 3}
    ),
    "folder-into-former-child": (into_former_child, {"move": 2}),
    "turned-inside-out": (turned_inside_out, {"move": 3}),
    "folder-and-below": (rename(("d1", "e"), ("e/sub", "e/bus"), ("e/bus/y", "e/z")), {"move": 3}),
    "into-new-folder": (into_new_folder, {"move": 2, "create": 2}),
    "file-and-edited": (and_edited(("a", "d1/b")), {"move": 1, "edit": 1}),
    "chain-and-edited": (and_edited(("c", "d"), ("b", "c")), {"move": 2, "edit": 2}),
    "with-new-ones-in-their-place": (
        # A file's name counts for more than its inode: so do editors keep a backup.
        with_a_new_one_in_its_place, {"move": 1, "create": 3, "edit": 1}
    ),
    "folder-with-all-in-it-new": (folder_with_all_in_it_new, {"move": 1, "edit": 2}),
    "over-another-file": (rename(("a", "b")), {"move": 1, "delete": 1}),
    "over-in-a-chain": (rename(("b", "c"), ("a", "b")), {"move": 2, "delete": 1}),
}  # fmt: skip


class Pair:
    """Two devices that hold the tree, and what the server has written down."""

    def __init__(self, join: Callable[..., RealDevice], server: ServerProcess) -> None:
        self.one, self.two = join("one"), join("two")
        make_tree(self.one.folder)
        converge(self.one, self.two)
        self.journal = Journal(server, self.one.account)
        self.journal.take_new()
        self.blocks_count = self.journal.count_blocks()
        self.inodes = self._list_inodes()

    def expect(self, counts: dict[str, int]) -> None:
        """Just such records were written, at most so many moves, and nothing else was sent."""
        found = self.journal.count_new()
        moves_count = found.pop("move", 0)
        sent_count = found["create"] + found["edit"]
        assert found == {kind: count for kind, count in counts.items() if kind != "move"}
        assert moves_count <= counts.get("move", 0)
        assert self.journal.count_blocks() <= self.blocks_count + sent_count, "sent again"
        assert len(self._list_inodes() - self.inodes) == sent_count, "written anew there"

    def _list_inodes(self) -> set[int]:
        """Returns what the second device's files and folders are, whatever they are called."""
        folder = self.two.folder
        return {p.lstat().st_ino for p in folder.rglob("*") if ".drystone" not in p.parts}


@pytest.fixture
def pair(join: Callable[..., RealDevice], shared_server: ServerProcess) -> Pair:
    return Pair(join, shared_server)


@pytest.mark.parametrize("deed", DEEDS)
def test_moves_while_the_client_was_off(deed: str, pair: Pair) -> None:
    do, counts = DEEDS[deed]
    do(RealHand(pair.one.folder))
    converge(pair.one, pair.two)

    pair.expect(counts)


@pytest.mark.parametrize("deed", DEEDS)
def test_moves_while_the_client_runs(deed: str, pair: Pair) -> None:
    do, counts = DEEDS[deed]
    with kept(pair.one, pair.two):
        do(RealHand(pair.one.folder))
    converge(pair.one, pair.two)

    pair.expect(counts)


@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
def test_hundreds_of_renames_at_once(is_running: bool, pair: Pair) -> None:
    folder = pair.one.folder
    for number in range(400):
        pair.one.write(f"many/{number % 8}/{number}", str(number).encode())
    converge(pair.one, pair.two)
    pair.journal.take_new()
    pair.blocks_count = pair.journal.count_blocks()

    def do() -> None:
        for number in range(400):
            place = folder / f"many/{(number * 3 + 1) % 8}/n{(number + 1) % 400}"
            (folder / f"many/{number % 8}/{number}").rename(place)
        (folder / "many").rename(folder / "d1/all")

    if is_running:
        with kept(pair.one, pair.two):
            do()
    else:
        do()
    converge(pair.one, pair.two)

    found = pair.journal.count_new()
    if is_running:
        # It may look in the middle: some are told under the names that they had for a moment, and
        # one that is gone from its folder in one look is new in another in the next.
        assert found.pop("create", 0) <= 100
        assert found.pop("delete", 0) <= 100
    assert set(found) == {"move"}
    assert found["move"] <= 401 + 10
    assert pair.journal.count_blocks() == pair.blocks_count


def test_move_to_another_synced_folder_deletes_and_adds_and_sends_nothing(
    join: Callable[..., RealDevice], shared_server: ServerProcess
) -> None:
    left = join("one")
    right = RealDevice(left.home / "other", left.url, left.account, left.name)
    right.settings = left.settings
    for device, to in ((left, "left"), (right, "right")):
        open_root(device.settings, device.folder, to)
    make_tree(left.folder)
    left.sync()
    right.sync()
    journal = Journal(shared_server, left.account)
    journal.take_new()
    blocks_count = journal.count_blocks()

    (left.folder / "d1").rename(right.folder / "d1")
    (left.folder / "a").rename(right.folder / "a")
    left.sync()
    sent = right.sync()

    assert journal.count_new() == {"delete": 2, "create": 5}
    assert journal.count_blocks() == blocks_count
    assert sent.traffic.sent_bytes < LARGE_BYTES // 10
    assert right.read("d1/sub/y") == content_of("d1/sub/y")
