# SPDX-License-Identifier: Apache-2.0
"""docs/guides/conflicts.md on real folders, with a real server: those rows of its table in which a
real disk has a say. ``tests/simulation/test_conflict_table.py`` does all of them.
"""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from drystone.testing.hand import RealHand
from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.world.ledger import make_content
from tests.simulation.conflict_table import (
    BEFORE,
    FIRST,
    SECOND,
    Act,
    Look,
    Row,
    Tree,
    before_tree,
    read_rows,
)

CASES = """
    edit-edit edit-edit-same edit-delete delete-edit edit-move move-edit move-move move-delete
    delete-move move-create edit-mode mode-edit time-mode time-delete over-edit edit-over
    swap-edit edit-swap create-create create-create-same
    file-folder edit-to-folder to-folder-edit edit-to-file to-file-edit file-link link-link
    edit-to-link to-link-edit folder-folder-merge folder-folder-same
    gone-folder-create create-gone-folder edit-gone-folder gone-folder-edit gone-folder-move-in
    move-in-gone-folder gone-folder-rename rename-gone-folder create-rename rename-edit cycle
"""
ROWS = {row.row_id: row for row in read_rows()}
NUMBERS = {make_content(number): number for number in (*BEFORE.values(), FIRST, SECOND) if number}
NS_PER_S = 10**9


def write(hand: RealHand, path: str, number: int) -> None:
    hand.write(path, make_content(number))


def swap(hand: RealHand, path: str, other: str) -> None:
    hand.rename(path, "swapped")
    hand.rename(other, path)
    hand.rename("swapped", other)


def touch(hand: RealHand, path: str, mtime_s: int) -> None:
    hand.touch(path, mtime_s * NS_PER_S)


DEEDS: dict[str, Callable[..., None]] = {
    "write": write, "mkdir": RealHand.make_folder, "link": RealHand.make_symlink,
    "remove": RealHand.remove, "move": RealHand.rename, "replace": RealHand.rename,
    "swap": swap, "chmod": RealHand.set_mode, "touch": touch,
}  # fmt: skip


def do(folder: Path, acts: tuple[Act, ...]) -> None:
    for deed, args in acts:
        DEEDS[deed](RealHand(folder), *args)


def make_before(folder: Path) -> None:
    acts = [
        Act("mkdir", (path,)) if number is None else Act("write", (path, number))
        for path, number in sorted(BEFORE.items())
    ]
    do(folder, tuple(acts))
    for path, look in before_tree().items():
        (folder / path).chmod(look.mode)


def look(device: RealDevice, row: Row) -> Tree:
    """Returns what is in a folder; times only where the table says something of them."""
    found: Tree = {}
    for path, seen in device.look().items():
        what = {
            "file": NUMBERS.get(seen.content, -1),
            "symlink": seen.content.decode(),
            "folder": None,
        }[seen.kind]
        timed = path in row.then and row.then[path].mtime_s is not None
        found[path] = Look(what, seen.mode, seen.mtime_ns // NS_PER_S if timed else None)
    return found


def find_date(tree: Tree) -> str:
    """Returns the day that a conflicted copy names; empty without one."""
    dates = {re.search(r"\(conflicted copy, \w+, ([\d-]+)\)", path) for path in tree}
    return next((date[1] for date in dates if date), "")


@pytest.mark.slow
@pytest.mark.parametrize("row", [ROWS[case] for case in CASES.split()], ids=lambda row: row.row_id)
def test_what_the_guide_says_happens_on_disks(row: Row, join: Callable[..., RealDevice]) -> None:
    first, second = join("desktop"), join("laptop")
    make_before(first.folder)
    converge(first, second)

    do(first.folder, row.first)
    do(second.folder, row.second)
    told = sync_in_turn(first, second)
    converge(first, second)

    found = look(first, row)
    assert found == look(second, row) == row.then_on(second.name, find_date(found))
    assert told == {(second.name, kind) for kind in row.conflicts}


def sync_in_turn(*devices: RealDevice) -> set[tuple[str, str]]:
    """Syncs each until nothing is left, and then again; returns who told of which conflicts."""
    told = set()
    for device, _ in itertools.product((*devices, *devices), range(2)):
        device.sync()
        told |= {(device.name, kind) for kind in device.told.conflict_kinds}
    return told
