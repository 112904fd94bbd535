# SPDX-License-Identifier: Apache-2.0
"""docs/guides/conflicts.md says what happens when two devices change the same thing: every row of
its table happens here, to two devices that were apart, and it has every row there should be.
"""

import re

import pytest

from drystone.core.planning.plan import Conflict
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.disk import Inode
from drystone.testing.world.ledger import make_content
from drystone.testing.world.running import World
from drystone.testing.world.script import Act, Script
from drystone.testing.world.stage.device import DeviceNature
from tests.simulation.conflict_table import (
    BEFORE,
    FIRST,
    SECOND,
    Look,
    Row,
    Tree,
    before_tree,
    done_to,
    original_of,
    read_rows,
)

ROWS = read_rows()
CASES = """
    edit-edit edit-edit-same edit-delete delete-edit delete-delete
    edit-move move-edit move-move move-move-same move-delete delete-move
    edit-mode mode-edit mode-mode mode-move move-mode mode-delete delete-mode
    edit-time time-edit time-time time-mode mode-time time-delete delete-time
    create-create create-create-same create-create-twin
    recase-edit edit-recase recase-recase recase-create create-recase
    move-move-name move-create create-move
    over-edit edit-over swap-edit edit-swap
    file-folder folder-file edit-to-folder to-folder-edit edit-to-file to-file-edit
    file-link link-file link-link link-link-same link-folder folder-link
    edit-to-link to-link-edit
    folder-folder folder-folder-merge folder-folder-clash folder-folder-same
    gone-folder-create create-gone-folder gone-folder-create-deep create-deep-gone-folder
    gone-folder-edit edit-gone-folder gone-folder-delete delete-gone-folder gone-folder-gone
    gone-folder-move-in move-in-gone-folder gone-folder-nest nest-gone-folder
    gone-folder-move-out move-out-gone-folder gone-folder-rename rename-gone-folder
    rename-rename rename-edit edit-rename rename-create create-rename cycle
"""

NOT_NARROW = {"recase-create"}
"""Nobody can do that on a disk that folds case: what is created is there."""

APART_S, DEEDS_S, FIRST_BACK_S, SECOND_BACK_S, END_S = 50.0, 60.0, 100.0, 300.0, 500.0
PLACES = [
    pytest.param("desktop", "laptop", id="desktop-first"),
    pytest.param("laptop", "desktop", id="laptop-first", marks=pytest.mark.slow),
]


class Told(World):
    """A world that keeps which conflicts were told, and by whom."""

    def __init__(self, script: Script) -> None:
        self.conflicts: set[tuple[str, str]] = set()
        super().__init__(script)

    def note_conflict(self, device: str, path: str, conflict: Conflict) -> None:
        super().note_conflict(device, path, conflict)
        self.conflicts.add((device, conflict.kind.value))


def by_id(row: Row) -> str:
    return row.row_id


# --- the table by itself -----------------------------------------------------------------------


def test_table_has_every_case_once() -> None:
    assert [row.row_id for row in ROWS] == CASES.split()


def test_table_tells_of_both_orders() -> None:
    """Who comes first decides: so a pair of unlike changes has a row for either."""
    pairs = {tuple(_kind_of(words) for words in row.words) for row in ROWS}

    assert {pair for pair in pairs if pair[::-1] not in pairs} == set()


@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_table_promises_that_nothing_is_lost(row: Row) -> None:
    before = before_tree()
    sides = [_contents(done_to(before, acts)) for acts in (row.first, row.second)]
    made = sides[0] | sides[1]
    given_up = {what for what in _contents(before) if any(what not in side for side in sides)}
    kept = _contents(row.then)

    assert made - given_up <= kept <= made
    for path, look in row.then.items():
        original = original_of(path)
        if original is not None:
            assert row.then[original].what != look.what, "nothing is in conflict with its like"
            assert row.conflicts


# --- in the world ------------------------------------------------------------------------------


def make_script(row: Row, first: str, second: str, how: str) -> Script:
    """Two devices agree, are apart, are changed, and come back one after the other.

    Args:
        row: What they do.
        first: Who comes back first.
        second: Who comes back later.
        how: ``offline``: the clients run and see what happens; ``off``: they do not run, and
            files are saved as editors do.
    """
    acts = [_make(path, what) for path, what in BEFORE.items()]
    for who, back_s in ((first, FIRST_BACK_S), (second, SECOND_BACK_S)):
        if how == "offline":
            acts.append(Act(APART_S, who, "cut", (back_s - APART_S,)))
        else:
            acts.append(Act(APART_S, who, "crash", (0, back_s - APART_S)))
    for who, done in ((first, row.first), (second, row.second)):
        for number, (deed, args) in enumerate(done):
            name = "save" if how == "off" and deed == "write" else deed
            acts.append(Act(DEEDS_S + number, who, name, args))
    # Until then nobody heals what keeps them apart.
    acts.append(Act(END_S, first, "invent", ("",)))
    return Script(1, {first: DeviceNature(), second: DeviceNature()}, tuple(acts))


@pytest.mark.parametrize("how", ["offline", "off"])
@pytest.mark.parametrize(("first", "second"), PLACES)
@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_what_the_guide_says_happens(row: Row, first: str, second: str, how: str) -> None:
    world = Told(make_script(row, first, second, how))
    date = world.devices[second].clock.date_text()

    verdict = world.run()

    assert not verdict.law, verdict.what
    one, other = (world.devices[who].disk.root for who in (first, second))
    assert _stamps(one) == _stamps(other)
    assert _look(one, row) == _look(other, row) == row.then_on(second, date)
    assert {kind for _, kind in world.conflicts} == row.conflicts
    assert {who for who, _ in world.conflicts} <= {second}, "whoever comes later settles it"


@pytest.mark.parametrize("disk", ["casefold", pytest.param("hfs", marks=pytest.mark.slow)])
@pytest.mark.parametrize("row", [row for row in ROWS if row.row_id not in NOT_NARROW], ids=by_id)
def test_it_happens_beside_a_narrow_disk_too(row: Row, disk: str) -> None:
    script = make_script(row, "desktop", "laptop", "offline")
    script.devices["laptop"] = DeviceNature(disk=disk)
    world = Told(script)
    date = world.devices["laptop"].clock.date_text()

    verdict = world.run()

    # That the narrow disk holds the same, under whatever names, is a law.
    assert not verdict.law, verdict.what
    assert _look(world.devices["desktop"].disk.root, row) == row.then_on("laptop", date)
    assert {kind for _, kind in world.conflicts} == row.conflicts


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_both_at_once_give_what_one_order_gives(row: Row) -> None:
    """Nobody knows who comes first: then it is as if one had."""
    script = make_script(row, "desktop", "laptop", "offline")
    acts = tuple(
        act._replace(args=(FIRST_BACK_S - APART_S,)) if act.deed == "cut" else act
        for act in script.acts
    )
    swapped = row._replace(first=row.second, second=row.first)
    alone = Told(make_script(swapped, "laptop", "desktop", "offline"))
    alone.run()
    date = alone.devices["laptop"].clock.date_text()
    world = Told(script.with_acts(acts))

    verdict = world.run()

    assert not verdict.law, verdict.what
    found = _look(world.devices["desktop"].disk.root, row)
    other_way = _look(alone.devices["desktop"].disk.root, row)
    assert found in (row.then_on("laptop", date), other_way)


# --- small things ------------------------------------------------------------------------------


def _make(path: str, what: int | None) -> Act:
    if what is None:
        return Act(1.0, "desktop", "mkdir", (path,))
    return Act(2.0, "desktop", "write", (path, what))


def _kind_of(words: str) -> str:
    """Returns what kind of change words stand for, whatever it is done to."""
    words = re.sub(r"`[^`]+`| the same| in the same way", "", words)
    return re.sub("executable|private", "of another mode", words).strip()


def _contents(tree: Tree) -> set[int | str]:
    return {look.what for look in tree.values() if look.what is not None}


def _look(root: Inode, row: Row) -> Tree:
    """Returns what is on a disk; times only where the table says something of them."""
    numbers = {
        make_content(number): number for number in (*BEFORE.values(), FIRST, SECOND) if number
    }
    timed = {path for path, look in row.then.items() if look.mtime_s is not None}
    found: Tree = {}
    for path, inode in _walk(root):
        what = {
            Kind.FILE: numbers.get(inode.content, -1),
            Kind.SYMLINK: inode.target,
            Kind.FOLDER: None,
        }[inode.kind]
        mode = 0 if inode.kind == Kind.SYMLINK else inode.mode
        found[path] = Look(what, mode, inode.mtime_ns // 10**9 if path in timed else None)
    return found


def _stamps(root: Inode) -> dict[str, int]:
    """Returns the mtimes of all files."""
    return {path: inode.mtime_ns for path, inode in _walk(root) if inode.kind == Kind.FILE}


def _walk(folder: Inode, above: str = "") -> list[tuple[str, Inode]]:
    found = []
    for name, inode in folder.names.items():
        found += [(above + name, inode), *_walk(inode, f"{above}{name}/")]
    return found
