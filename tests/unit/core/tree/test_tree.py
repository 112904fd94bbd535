# SPDX-License-Identifier: Apache-2.0
"""Trees in memory: finding, replacing, what is living and what is buried."""

import pytest

from drystone.core.ids import ROOT_ID, FileId, Rev
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.tree import Tree, check_tree
from drystone.testing.strategies import make_content, make_file_id

A, B, C, D = (make_file_id(number) for number in range(1, 5))


def folder(file_id: FileId, parent_id: FileId, name: str) -> Entry:
    return Entry(file_id, parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(1))


def file(file_id: FileId, parent_id: FileId, name: str, text: str = "one") -> Entry:
    return Entry(file_id, parent_id, name, Kind.FILE, make_content(text), 0o644, 7, "", Rev(1))


@pytest.fixture
def tree() -> Tree:
    return Tree([folder(A, ROOT_ID, "a"), folder(B, A, "b"), file(C, B, "c"), file(D, A, "d")])


def test_entries_are_found_by_id_and_by_place(tree: Tree) -> None:
    assert tree.find(C) == file(C, B, "c")
    assert tree.find(ROOT_ID) is None
    assert dict(tree.children(A)) == {"b": folder(B, A, "b"), "d": file(D, A, "d")}
    assert dict(tree.children(make_file_id(99))) == {}
    assert len(tree) == 4
    assert C in tree
    assert tree.path_of(C) == "/a/b/c"
    assert tree.path_of(ROOT_ID) == ""
    assert tree.path_of(make_file_id(99)) is None


def test_order_of_entries_does_not_matter(tree: Tree) -> None:
    other = Tree(reversed(list(tree)))

    assert other == tree
    assert hash(other) == hash(tree)
    assert repr(other) == repr(tree)
    assert repr(tree) == "Tree(/a/b/c=0003@1, /a/b=0002@1, /a/d=0004@1, /a=0001@1)"
    assert tree != object()


def test_replacing_leaves_the_old_tree_as_it_was(tree: Tree) -> None:
    before = list(tree)
    edited = tree.replace([file(C, ROOT_ID, "moved"), file(make_file_id(9), B, "c")], {D})

    assert list(tree) == before
    check_tree(tree)
    check_tree(edited)
    assert edited.path_of(C) == "/moved"
    assert edited.path_of(make_file_id(9)) == "/a/b/c"
    assert D not in edited
    assert set(edited.children(A)) == {"b"}


def test_two_entries_may_exchange_their_places_at_once(tree: Tree) -> None:
    exchanged = tree.replace([file(C, A, "d"), file(D, B, "c")])

    check_tree(exchanged)
    assert (exchanged.path_of(C), exchanged.path_of(D)) == ("/a/d", "/a/b/c")


def test_what_was_in_a_dropped_folder_is_buried_and_returns_with_it(tree: Tree) -> None:
    without = tree.replace([], {A})

    assert C in without
    assert not without.is_living(C)
    assert without.path_of(C) is None
    assert list(without.iter_living()) == []
    assert list(without.iter_living(A)) == []
    assert "(buried) c" in repr(without)
    with pytest.raises(AssertionError, match="buried"):
        check_tree(without)
    assert without.replace([folder(A, ROOT_ID, "a")]) == tree


def test_living_entries_come_folders_first_and_by_name(tree: Tree) -> None:
    assert [entry.name for entry in tree.iter_living()] == ["a", "b", "d", "c"]
    assert [entry.name for entry in tree.iter_living(B)] == ["c"]


@pytest.mark.parametrize(
    "entries",
    [
        [file(C, ROOT_ID, "x"), file(D, ROOT_ID, "x")],
        [file(C, ROOT_ID, "x"), file(C, ROOT_ID, "y")],
        [folder(ROOT_ID, A, "root")],
        [folder(A, B, "a"), folder(B, A, "b")],
        [folder(A, A, "a")],
    ],
    ids=["place taken", "id twice", "root", "cycle", "own parent"],
)
def test_what_can_be_no_tree_is_a_broken_invariant(entries: list[Entry]) -> None:
    with pytest.raises(AssertionError):
        Tree(entries)


def test_moving_a_folder_below_itself_is_a_broken_invariant(tree: Tree) -> None:
    with pytest.raises(AssertionError, match="below itself"):
        tree.replace([folder(A, B, "a")])


def test_a_tree_that_is_refused_for_a_cycle_can_be_shown(tree: Tree) -> None:
    tree._entries[A] = folder(A, B, "a")

    assert repr(tree).count("(buried)") == 4


def test_a_folder_that_is_a_file_is_found_by_the_check() -> None:
    with pytest.raises(AssertionError, match="not in a folder"):
        check_tree(Tree([file(A, ROOT_ID, "a"), file(B, A, "b")]))
