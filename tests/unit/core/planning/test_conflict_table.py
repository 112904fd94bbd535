# SPDX-License-Identifier: Apache-2.0
"""docs/guides/conflicts.md says what happens: the planner alone does it, row by row.

``tests/simulation/test_conflict_table.py`` does the same with whole devices.
"""

from random import Random

import pytest

from drystone.core.tree.entry import Kind
from tests.property.planner_device import Device
from tests.property.planner_disk import Disk, Node
from tests.property.planner_server import Ids, Server, make_content, token_of
from tests.simulation.conflict_table import BEFORE, Act, Look, Row, Tree, read_rows

NS_PER_S = 10**9


def find(disk: Disk, path: str) -> tuple[Node, str]:
    """Returns the folder and the name that a path names."""
    *folders, name = path.split("/")
    node = disk.root
    for folder in folders:
        node = node.children[folder]
    return node, name


# --- deeds -----------------------------------------------------------------------------------


def write(disk: Disk, path: str, number: int) -> None:
    folder, name = find(disk, path)
    node = folder.children.setdefault(name, disk.make(Kind.FILE))
    node.content = make_content(number)
    node.mtime_ns = number


def make_folder(disk: Disk, path: str) -> None:
    disk.put(*find(disk, path), disk.make(Kind.FOLDER))


def link(disk: Disk, path: str, target: str) -> None:
    node = disk.make(Kind.SYMLINK)
    node.target = target
    disk.put(*find(disk, path), node)


def remove(disk: Disk, path: str) -> None:
    folder, name = find(disk, path)
    del folder.children[name]


def move(disk: Disk, path: str, new_path: str) -> None:
    folder, name = find(disk, path)
    node = folder.children.pop(name)
    folder, name = find(disk, new_path)
    folder.children[name] = node


def swap(disk: Disk, path: str, other: str) -> None:
    move(disk, path, "swapped")
    move(disk, other, path)
    move(disk, "swapped", other)


def set_mode(disk: Disk, path: str, mode: int) -> None:
    folder, name = find(disk, path)
    folder.children[name].mode = mode


def touch(disk: Disk, path: str, mtime_s: int) -> None:
    folder, name = find(disk, path)
    folder.children[name].mtime_ns = mtime_s * NS_PER_S


DEEDS = {
    "write": write, "mkdir": make_folder, "link": link, "remove": remove, "move": move,
    "replace": move, "swap": swap, "chmod": set_mode, "touch": touch,
}  # fmt: skip


def do(disk: Disk, acts: tuple[Act, ...]) -> None:
    for deed, args in acts:
        DEEDS[deed](disk, *args)


# --- devices -----------------------------------------------------------------------------------


def make_devices() -> tuple[Device, Device]:
    server, ids, chance = Server(), Ids(), Random(0)
    first = Device("desktop", server, ids, chance)
    second = Device("laptop", server, ids, chance)
    for path, number in sorted(BEFORE.items()):
        if number is None:
            make_folder(first.disk, path)
        else:
            write(first.disk, path, number)
    settle(first, second)
    return first, second


def settle(*devices: Device) -> None:
    for _ in range(8):
        for device in devices:
            device.pull()
            device.scan()
            device.carry_out(device.plan())


def look(disk: Disk, row: Row) -> Tree:
    """Returns what is on a disk; times only where the table says something of them."""
    found = {}
    for path in disk.paths():
        folder, name = find(disk, path)
        node = folder.children[name]
        what = token_of(node.content) if node.kind == Kind.FILE else node.target or None
        mode = 0 if node.kind == Kind.SYMLINK else node.mode
        timed = path in row.then and row.then[path].mtime_s is not None
        found[path] = Look(what, mode, node.mtime_ns // NS_PER_S if timed else None)
    return found


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row.row_id)
def test_planner_does_what_the_guide_says(row: Row) -> None:
    first, second = make_devices()

    do(first.disk, row.first)
    do(second.disk, row.second)
    settle(first, second)

    assert first.disk.paths() == second.disk.paths() == first.server.paths()
    assert look(first.disk, row) == row.then
    kinds = {found.kind.value for device in (first, second) for found in device.conflicts}
    assert kinds == row.conflicts
