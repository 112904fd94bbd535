# SPDX-License-Identifier: Apache-2.0
"""Laws of trees: diff and apply belong together, and what is drawn is well-formed."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.tree.apply import apply
from drystone.core.tree.diff import diff
from drystone.core.tree.tree import Tree, check_tree
from drystone.testing.strategies import edited_trees, trees


@given(trees(), trees())
def test_applying_the_diff_of_two_trees_gives_the_other(base: Tree, target: Tree) -> None:
    assert apply(base, diff(base, target)) == target


@given(st.data(), trees())
def test_applying_the_diff_of_an_edited_tree_gives_it(data: st.DataObject, base: Tree) -> None:
    target = data.draw(edited_trees(base))

    check_tree(target)
    assert apply(base, diff(base, target)) == target
    assert apply(target, diff(target, base)) == base


@given(trees())
def test_drawn_trees_are_well_formed_and_differ_from_themselves_in_nothing(tree: Tree) -> None:
    check_tree(tree)
    assert diff(tree, tree) == ()
    assert list(tree.iter_living()) != [] or len(tree) == 0
    assert {entry.file_id for entry in tree.iter_living()} == {entry.file_id for entry in tree}


@given(trees())
def test_a_tree_is_rebuilt_from_its_entries_in_any_order(tree: Tree) -> None:
    assert Tree(sorted(tree, key=lambda entry: entry.name)) == tree
    assert Tree().replace(tree) == tree
