# SPDX-License-Identifier: Apache-2.0
"""Laws of single plans, for any trees. What plans lead to is in test_planner_fuzz.py."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.ids import FileId
from drystone.core.planning.merging.merge import is_alike, merge_state
from drystone.core.planning.plan import (
    Discard,
    MarkSynced,
    Place,
    Plan,
    Replace,
    SetAside,
    Shift,
    Submit,
)
from drystone.core.planning.policy import Policy
from drystone.core.planning.reconcile import reconcile
from drystone.core.tree.entry import Kind
from drystone.core.tree.tree import Tree
from drystone.testing.strategies import edited_trees, entries, make_file_id, trees


def planned(local: Tree, synced: Tree, remote: Tree, **changes) -> Plan:
    fresh = iter(range(1 << 40, 1 << 41))
    policy = Policy("laptop", "2026-11-21", lambda: make_file_id(next(fresh)))
    candidates: set[FileId] = {e.file_id for tree in (local, synced, remote) for e in tree}
    return reconcile(sorted(candidates), local, synced, remote, policy._replace(**changes))


@given(trees())
def test_equal_trees_need_nothing(tree: Tree) -> None:
    assert planned(tree, tree, tree) == ((), (), (), ())


@given(st.data())
def test_what_one_side_did_is_told_to_the_other_only(data: st.DataObject) -> None:
    synced = data.draw(trees())
    changed = data.draw(edited_trees(synced))

    up, down = planned(changed, synced, synced), planned(synced, synced, changed)

    assert all(isinstance(step, Submit) for step in up.steps)
    kinds = Place | Replace | Shift | SetAside | Discard | MarkSynced
    assert all(isinstance(step, kinds) for step in down.steps)
    assert up.conflicts == down.conflicts == ()
    assert up.waiting == down.waiting == ()


@given(st.data())
def test_same_change_on_both_sides_moves_nothing(data: st.DataObject) -> None:
    synced = data.draw(trees())
    changed = data.draw(edited_trees(synced))

    found = planned(changed, synced, changed)

    assert not any(
        isinstance(step, Submit | Place | Replace | Shift | SetAside | Discard)
        for step in found.steps
    )
    assert found.conflicts == ()


@given(st.data())
def test_each_step_waits_for_earlier_ones_only(data: st.DataObject) -> None:
    synced = data.draw(trees())
    local, remote = data.draw(edited_trees(synced)), data.draw(edited_trees(synced))

    found = planned(local, synced, remote)

    assert len(found.after) == len(found.steps)
    for index, after in enumerate(found.after):
        assert all(0 <= earlier < index for earlier in after)


@given(st.data(), st.booleans(), st.booleans())
def test_nothing_is_taken_away_by_halves(
    data: st.DataObject, is_local_whole: bool, is_remote_whole: bool
) -> None:
    synced = data.draw(trees())
    local, remote = data.draw(edited_trees(synced)), data.draw(edited_trees(synced))
    if is_local_whole and is_remote_whole:
        return

    found = planned(
        local, synced, remote, local_complete=is_local_whole, remote_complete=is_remote_whole
    )

    for step in found.steps:
        assert isinstance(step, Submit | Place | MarkSynced | Replace)
        if isinstance(step, Submit):
            assert step.entry is not None
            assert synced.find(step.entry.file_id) is None


@given(st.data())
def test_merged_state_is_one_sides_in_each_part(data: st.DataObject) -> None:
    one = entries(file_id=make_file_id(1), name="a", kind=Kind.FILE)
    here, base, there = (data.draw(one) for _ in range(3))

    merged = merge_state(here, base, there)

    if merged is None:
        assert not here.is_same_content(there)
        return
    for part in ("mode", "mtime_ns"):
        assert getattr(merged.entry, part) in (getattr(here, part), getattr(there, part))
    assert merged.entry.is_same_content(here) or merged.entry.is_same_content(there)
    assert merged.is_for_disk == (not is_alike(here, merged.entry))
