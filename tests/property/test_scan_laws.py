# SPDX-License-Identifier: Apache-2.0
"""Laws of the scan: whatever somebody does, what is noted is what is there.

The same on the disk in memory and on a real one, whose inodes are used again at once.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from drystone.client.adapters.disk import create_root, open_disk
from drystone.core.content.digest import digest_whole
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.tree.entry import Kind
from drystone.testing.conformance.disk import Hand
from drystone.testing.desk import NOW_NS, Desk
from drystone.testing.fakes.disk import FakeDisk
from drystone.testing.hand import RealHand

Tree = dict[str, bytes | str | None]


class Deed(NamedTuple):
    """Something to do; which entry and which folder is picked among those that are there."""

    verb: str
    entry: int
    folder: int
    name: str
    content: bytes


NUMBERS = st.integers(0, 30)
VERBS = ["write", "edit", "save", "folder", "symlink", "rename", "over", "link", "remove"]
DEEDS = st.builds(
    Deed,
    st.sampled_from([*VERBS, "rename", "look", "hint", "agree"]),
    NUMBERS,
    NUMBERS,
    st.sampled_from(["a", "b", "c"]),
    st.binary(max_size=3),
)


def do(deed: Deed, hand: Hand, hinted: set[str]) -> None:
    """Does one deed if it can be done, and hints at the folders it touched."""
    tree = hand.list_tree()
    folders = ["", *sorted(path for path, content in tree.items() if content is None)]
    files = sorted(path for path, content in tree.items() if isinstance(content, bytes))
    folder = folders[deed.folder % len(folders)]
    new = f"{folder}/{deed.name}" if folder else deed.name
    verb = deed.verb
    picks = files if verb in ("edit", "save", "over", "link") else sorted(tree)
    old = picks[deed.entry % len(picks)] if picks else ""
    other = files[deed.folder % len(files)] if files else ""
    is_new_free = new not in tree
    if verb in ("write", "folder", "symlink", "rename", "link") and not is_new_free:
        return
    if verb in ("edit", "save", "rename", "over", "link", "remove") and not old:
        return
    match verb:
        case "write":
            hand.write(new, deed.content)
        case "edit":
            hand.write(old, deed.content)
        case "save":
            hand.write(f"{old}.new", deed.content)
            hand.rename(f"{old}.new", old)
        case "folder":
            hand.make_folder(new)
        case "symlink":
            hand.make_symlink(new, deed.name)
        case "rename" if not f"{new}/".startswith(f"{old}/"):
            hand.rename(old, new)
        case "over" if old != other:
            hand.rename(old, other)
        case "link":
            hand.link(old, new)
        case "remove":
            hand.remove(old)
    # What a watcher tells: folders in which a name changed, and those of all other names of a
    # file that was linked or unlinked, because its ctime changed.
    hinted.update(above(path) for path in (old, new, other, *files))
    hinted.add(new)


def above(path: str) -> str:
    return path.rpartition("/")[0]


def noted_tree(desk: Desk) -> Tree:
    """Returns the local tree that State has, as the disk would be listed; roots for contents."""
    found: Tree = {}

    def collect(folder_id: FileId, path: str) -> None:
        for name, entry in desk.state.local.children(folder_id).items():
            place = f"{path}/{name}" if path else name
            if entry.kind == Kind.FOLDER:
                found[place] = None
                collect(entry.file_id, place)
            elif entry.kind == Kind.SYMLINK:
                found[place] = entry.target
            else:
                assert entry.content is not None, place
                found[place] = entry.content.root

    collect(ROOT_ID, "")
    return found


def real_tree(hand: Hand) -> Tree:
    return {
        path: digest_whole(content).content.root if isinstance(content, bytes) else content
        for path, content in hand.list_tree().items()
    }


def check_laws(desk: Desk, hand: Hand, deeds: list[Deed]) -> None:
    hinted: set[str] = set()
    for deed in [*deeds, Deed("look", 0, 0, "a", b"")]:
        if deed.verb in ("look", "agree"):
            desk.doubtful.clear()
            desk.see()
        elif deed.verb == "hint":
            if hinted:
                desk.doubtful.clear()
                desk.see(*hinted)
        else:
            do(deed, hand, hinted)
            continue
        hinted.clear()
        assert noted_tree(desk) == real_tree(hand)
        there = [i for i, c in desk.state.local_changes.items() if c.entry is not None]
        places = [desk.state.path_of(desk.state.local, file_id) for file_id in there]
        assert None not in places
        assert len(set(places)) == len(places)
        if deed.verb == "agree":
            desk.agree()
            assert noted_tree(desk) == real_tree(hand)


@given(st.lists(DEEDS, min_size=8, max_size=40))
def test_what_is_noted_is_what_is_there(deeds: list[Deed]) -> None:
    disk = FakeDisk()

    check_laws(Desk(disk), disk.hand, deeds)


@given(st.lists(DEEDS, min_size=8, max_size=40))
def test_what_is_noted_is_what_is_there_on_a_real_disk(deeds: list[Deed]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        create_root(root, "11" * 16)
        disk = open_disk(root, "11" * 16, lambda: NOW_NS)
        try:
            check_laws(Desk(disk), RealHand(root), deeds)
        finally:
            disk.close()
