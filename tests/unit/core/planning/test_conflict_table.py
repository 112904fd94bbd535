# SPDX-License-Identifier: Apache-2.0
"""docs/guides/conflicts.md says what happens: every row of its table is carried out here."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from drystone.core.tree.entry import Kind
from tests.property.planner_device import Device
from tests.property.planner_disk import Disk, Node
from tests.property.planner_server import Ids, Server, make_content

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "conflicts.md"
TOKENS = {"a.txt": 1, "b.txt": 2, "docs/c.txt": 3, "docs/d.txt": 4, "the first's": 10}
SECOND = {False: 11, True: 10}


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yields the cells of each row of the table."""
    for line in GUIDE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and not cells[0].startswith(("the first", "-")):
            yield cells[0], cells[1], cells[2], cells[3]


# --- deeds -----------------------------------------------------------------------------------


def find(disk: Disk, path: str) -> tuple[Node, str]:
    """Returns the folder and the name that a path names."""
    *folders, name = path.split("/")
    node = disk.root
    for folder in folders:
        node = node.children[folder]
    return node, name


def put(disk: Disk, path: str, kind: Kind, token: int = 0) -> None:
    folder, name = find(disk, path)
    node = disk.make(kind)
    if kind == Kind.FILE:
        node.content = make_content(token)
        node.mtime_ns = token
    folder.children[name] = node


def edit(disk: Disk, token: int, path: str) -> None:
    folder, name = find(disk, path)
    folder.children[name].content = make_content(token)
    folder.children[name].mtime_ns = token


def delete(disk: Disk, token: int, path: str) -> None:
    folder, name = find(disk, path)
    del folder.children[name]


def move(disk: Disk, token: int, path: str, new_path: str) -> None:
    folder, name = find(disk, path)
    node = folder.children.pop(name)
    target, new_name = find(disk, new_path)
    assert new_name not in target.children
    target.children[new_name] = node


def create(disk: Disk, token: int, path: str) -> None:
    put(disk, path, Kind.FILE, token)


def create_folder(disk: Disk, token: int, path: str) -> None:
    put(disk, path, Kind.FOLDER)


def create_deep(disk: Disk, token: int, path: str) -> None:
    put(disk, path.partition("/")[0], Kind.FOLDER)
    put(disk, path, Kind.FILE, token)


def make_executable(disk: Disk, token: int, path: str) -> None:
    folder, name = find(disk, path)
    folder.children[name].mode = 0o755


def make_private(disk: Disk, token: int, path: str) -> None:
    folder, name = find(disk, path)
    folder.children[name].mode = 0o600


DEEDS = (
    (r"edits `(.+?)`( in the same way)?", edit),
    (r"deletes `(.+?)`", delete),
    (r"(?:moves|renames) `(.+?)` to `(.+?)`", move),
    (r"creates (the same )?`(\S+?)`", create),
    (r"creates the folder `(.+?)`", create_folder),
    (r"creates `(.+?)` in a new folder", create_deep),
    (r"puts a folder in place of `(.+?)`", create_folder),
    (r"makes `(.+?)` executable", make_executable),
    (r"makes `(.+?)` private", make_private),
)


def do(disk: Disk, words: str, token: int) -> None:
    for pattern, deed in DEEDS:
        found = re.fullmatch(pattern, words)
        if found:
            given = [text for text in found.groups() if text and " same" not in f" {text}"]
            deed(disk, token, *given)
            return
    raise AssertionError(f"nobody knows how one {words!r}")


# --- what the guide promises -------------------------------------------------------------------


def promised(cell: str, is_same: bool) -> dict[str, tuple]:
    """Returns what a cell of the third column names: kind, content and mode by path."""
    found = {}
    tokens = TOKENS | {"the second's": SECOND[is_same]}
    for path, remark in re.findall(r"`([^`]+)` \(((?:[^()`]|`[^`]+`)+)\)", cell):
        if remark == "a folder":
            found[path] = ("FOLDER", None, 0o755)
            continue
        words, _, executable = remark.partition(", ")
        was = re.fullmatch(r"as `(.+)` was", words)
        name = was[1] if was else words
        token = 1 if name == "as it was" else tokens[name]
        found[path] = ("FILE", token, 0o755 if executable else 0o644)
    return found


def make_devices() -> tuple[Device, Device]:
    server, ids, chance = Server(), Ids(), Random(0)
    first = Device("desktop", server, ids, chance)
    second = Device("laptop", server, ids, chance)
    for folder in ("docs", "old"):
        put(first.disk, folder, Kind.FOLDER)
    for path in ("a.txt", "b.txt", "docs/c.txt", "docs/d.txt"):
        put(first.disk, path, Kind.FILE, TOKENS[path])
    settle(first, second)
    return first, second


def settle(*devices: Device) -> None:
    for _ in range(8):
        for device in devices:
            device.pull()
            device.scan()
            device.carry_out(device.plan())


@pytest.mark.parametrize(("first_does", "second_does", "then", "conflict"), list(rows()))
def test_guide_tells_the_truth(first_does: str, second_does: str, then: str, conflict: str) -> None:
    first, second = make_devices()
    before = first.disk.paths()
    is_same = " same" in second_does

    do(first.disk, first_does, 10)
    do(second.disk, second_does, SECOND[is_same])
    untouched = {
        path: state
        for path, state in before.items()
        if first.disk.paths().get(path) == state == second.disk.paths().get(path)
    }
    settle(first, second)

    shown = {path: state[:3] for path, state in first.disk.paths().items()}
    assert first.disk.paths() == second.disk.paths() == first.server.paths()
    kept = {path: state[:3] for path, state in untouched.items()}
    assert shown == kept | promised(then, is_same)
    kinds = {found.kind.value for device in (first, second) for found in device.conflicts}
    assert kinds == {kind for kind in conflict.split(", ") if kind}


def test_table_is_read() -> None:
    assert len(list(rows())) > 30
