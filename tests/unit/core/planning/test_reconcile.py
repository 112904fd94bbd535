# SPDX-License-Identifier: Apache-2.0
"""Rules of the planner, each by the smallest trees that show it."""

import pytest

from drystone.core.ids import Rev
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.names.detour import is_detour_name
from drystone.core.planning.plan import (
    ConflictKind,
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    RenewLocal,
    RenewRemote,
    Replace,
    SetAside,
    Shift,
    Submit,
)
from drystone.core.planning.policy import Traits
from drystone.core.tree.entry import Kind
from tests.unit.core.planning.trees import file, folder, make_content, make_id, plan


def test_equal_trees_need_nothing() -> None:
    found = plan([folder(1, "a"), file(2, "b", 1)])

    assert found == ((), (), (), ())


def test_new_tree_goes_up_parents_first() -> None:
    local = [file(3, "deep", 2), folder(2, "b", 1), folder(1, "a")]

    found = plan([], local)

    assert found.steps == tuple(Submit(Create(e), e) for e in (local[2], local[1], local[0]))
    assert found.after == ((), (0,), (1,))


def test_new_tree_comes_down_parents_first() -> None:
    remote = [file(3, "deep", 2), folder(2, "b", 1), folder(1, "a")]

    found = plan([], remote=remote)

    assert found.steps == (Place(remote[2]), Place(remote[1]), Place(remote[0]))


def test_deleted_folder_is_one_step_though_its_children_are_still_found() -> None:
    a, b = folder(1, "a"), file(2, "b", 1)

    assert plan([a, b], local=[b]).steps == (Submit(Delete(a.file_id, a.rev), None),)
    assert plan([a, b], remote=[b]).steps == (Discard(a),)
    assert plan([a, b], [b], [b]).steps == (ForgetSynced(a.file_id),)


def test_deletion_names_the_servers_rev() -> None:
    a = file(1, "a")
    touched = a._replace(mode=0o600, rev=Rev(7))

    assert plan([a], [], [touched]).steps == (Submit(Delete(a.file_id, Rev(7)), None),)


# --- what is not known ------------------------------------------------------------------------


def test_unread_file_waits_and_so_does_what_depends_on_it() -> None:
    a, b = folder(1, "a"), file(2, "b", 1)
    unread = file(3, "new", 1, content=None)

    found = plan([a, b], [a, b, unread], [])

    assert found.steps == ()
    assert set(found.waiting) == {a.file_id, unread.file_id}


def test_remote_entry_waits_for_an_unread_file_at_its_place() -> None:
    found = plan([], [file(1, "x", content=None)], [file(2, "x")])

    assert found.steps == ()
    assert set(found.waiting) == {make_id(1), make_id(2)}


def test_local_entry_waits_for_an_unread_file_that_still_has_its_place_on_the_server() -> None:
    old, new = file(1, "x"), file(2, "x", text="new")
    moved = old._replace(name="y", content=None)

    found = plan([old], [moved, new])

    assert found.steps == ()
    assert set(found.waiting) == {old.file_id, new.file_id}


def test_absence_means_nothing_while_the_scan_is_under_way() -> None:
    a, moved, edited = file(1, "a"), file(2, "b"), file(3, "c")
    new = file(9, "new")
    local = [moved._replace(name="z"), edited._replace(content=make_content("2")), new]

    found = plan([a, moved, edited], local, local_complete=False)

    assert found.steps == (Submit(Create(new), new),)
    assert set(found.waiting) == {a.file_id, moved.file_id, edited.file_id}


def test_nothing_is_put_on_a_disk_that_has_not_been_seen_whole() -> None:
    found = plan([], remote=[file(1, "a")], local_complete=False)

    assert (found.steps, found.waiting) == ((), (make_id(1),))


def test_only_new_entries_come_down_while_the_feed_has_more() -> None:
    a, b, new = file(1, "a"), file(2, "b"), file(9, "new")
    orphan = file(8, "orphan", 7)

    found = plan([a, b], remote=[b._replace(name="z"), new, orphan], remote_complete=False)

    assert found.steps == (Place(new),)
    assert set(found.waiting) == {a.file_id, b.file_id, orphan.file_id}


def test_nothing_goes_up_while_the_feed_has_more() -> None:
    found = plan([], [file(1, "a")], remote_complete=False)

    assert (found.steps, found.waiting) == ((), (make_id(1),))


@pytest.mark.parametrize("incomplete", ["local_complete", "remote_complete"])
def test_same_new_thing_is_adopted_even_by_halves(incomplete: str) -> None:
    found = plan([], [file(1, "a")], [file(2, "a")], **{incomplete: False})

    assert found.steps == (MarkSynced(file(2, "a"), make_id(1)),)


@pytest.mark.parametrize("incomplete", ["local_complete", "remote_complete"])
def test_different_new_things_wait_until_all_is_known(incomplete: str) -> None:
    found = plan([], [file(1, "a")], [file(2, "a", text="2")], **{incomplete: False})

    assert (found.steps, set(found.waiting)) == ((), {make_id(1), make_id(2)})


def test_two_claims_to_one_place_in_half_a_feed_are_not_both_believed() -> None:
    found = plan([], remote=[file(1, "a"), file(2, "a", text="2")], remote_complete=False)

    assert len(found.steps) == len(found.waiting) == 1


def test_two_claims_to_one_place_in_half_a_scan_are_not_both_believed() -> None:
    found = plan([], [file(1, "a"), file(2, "a", text="2")], local_complete=False)

    assert len(found.steps) == len(found.waiting) == 1


def test_two_of_half_a_scan_at_one_place_are_not_both_the_servers() -> None:
    found = plan([], [folder(1, "a"), folder(3, "a")], [folder(2, "a")], local_complete=False)

    assert found.steps == (MarkSynced(folder(2, "a"), make_id(1)),)
    assert found.waiting == (make_id(3),)


def test_parent_that_is_no_candidate_is_waited_for() -> None:
    a, b = folder(1, "a"), file(2, "b", 1)

    assert plan([], [a, b], only=[2]).waiting == (b.file_id,)
    assert plan([], remote=[a, b], only=[2]).waiting == (b.file_id,)


def test_children_of_what_is_no_candidate_are_not_adopted() -> None:
    local, remote = [folder(1, "a"), file(2, "b", 1)], [folder(3, "a"), file(4, "b", 3)]

    found = plan([], local, remote, only=[2, 4])

    assert (found.steps, set(found.waiting)) == ((), {make_id(2), make_id(4)})


def test_deleted_neighbour_that_is_no_candidate_is_left_alone() -> None:
    old, new = folder(1, "x"), file(2, "x")

    found = plan([old], [new], only=[2])

    assert (found.steps, set(found.waiting)) == ((), {old.file_id, new.file_id})


def test_deleted_folder_above_that_is_no_candidate_is_left_alone() -> None:
    a, b = folder(1, "a"), file(2, "b", 1)

    found = plan([a, b], [b], [a, b._replace(mode=0o600)], only=[2])

    assert (found.steps, set(found.waiting)) == ((), {a.file_id, b.file_id})


@pytest.mark.parametrize("side", ["local", "remote"])
def test_folders_below_themselves_are_not_believed_to_be_gone(side: str) -> None:
    a, b, c = folder(1, "a"), folder(2, "b"), file(3, "c", 2)
    ring = [a._replace(parent_id=b.file_id), b._replace(parent_id=a.file_id), c]

    found = plan([a, b, c], **{side: ring})

    assert found.steps == ()
    assert set(found.waiting) == {a.file_id, b.file_id, c.file_id}


def test_remains_of_what_never_was_synced_are_passed_over() -> None:
    orphan = file(1, "a", 9)

    assert plan([], [orphan]) == ((), (), (), ())


# --- merging ----------------------------------------------------------------------------------


def test_edit_of_a_moved_file_goes_to_its_new_place() -> None:
    base = file(1, "a")
    here, there = base._replace(content=make_content("2")), base._replace(name="b")

    found = plan([base], [here], [there])

    moved = here._replace(name="b")
    edit = Edit(base.file_id, base.rev, here.content, here.mode, here.mtime_ns)
    assert found.steps == (Shift(here, moved, there), Submit(edit, moved))
    assert found.after == ((), (0,))
    assert found.conflicts == ()


def test_move_of_an_edited_file_keeps_both() -> None:
    base = file(1, "a")
    here, there = base._replace(name="b"), base._replace(content=make_content("2"), rev=Rev(2))

    found = plan([base], [here], [there])

    entry = there._replace(name="b")
    move = Move(base.file_id, base.parent_id, "b", base.parent_id, "a")
    assert found.steps == (Replace(here, entry, there), Submit(move, entry))


def test_both_sides_changed_different_things_meets_on_the_disk_first() -> None:
    base = file(1, "a")
    here = base._replace(mode=0o755)
    there = base._replace(content=make_content("2"), mtime_ns=9, rev=Rev(2))

    found = plan([base], [here], [there])

    assert found.steps == (Replace(here, there._replace(mode=0o755), there),)


def test_move_waits_while_both_change_different_things() -> None:
    base = file(1, "a")
    here = base._replace(name="b", mode=0o755)
    there = base._replace(content=make_content("2"), rev=Rev(2))

    found = plan([base], [here], [there])

    assert found.steps == (Replace(here, there._replace(name="b", mode=0o755), there),)
    assert found.waiting == (base.file_id,)


def test_same_change_on_both_sides_is_marked() -> None:
    base = file(1, "a")
    here = base._replace(name="b", content=make_content("2"))
    there = here._replace(rev=Rev(2))

    assert plan([base], [here], [there]).steps == (MarkSynced(there),)


def test_same_edit_of_a_moved_file_moves_it_only() -> None:
    base = file(1, "a")
    here = base._replace(content=make_content("2"))
    there = here._replace(name="b", rev=Rev(2))

    assert plan([base], [here], [there]).steps == (Shift(here, there),)


def test_newer_rev_of_the_same_state_is_marked_once() -> None:
    base = file(1, "a")
    there = base._replace(rev=Rev(2))

    assert plan([base], remote=[there]).steps == (MarkSynced(there),)
    assert plan([there], remote=[there]).steps == ()


def test_folder_mode_is_carried_over() -> None:
    base = folder(1, "a")
    private = base._replace(mode=0o700)

    (up,) = plan([base], [private]).steps
    (down,) = plan([base], remote=[private]).steps

    assert up == Submit(Edit(base.file_id, base.rev, None, 0o700, 0), private)
    assert down == Replace(base, private)


def test_symlink_target_is_content() -> None:
    base = file(1, "a", kind=Kind.SYMLINK, content=None, target="x")
    here, there = base._replace(target="y"), base._replace(target="z")

    found = plan([base], [here], [there])

    aside, place = found.steps
    assert isinstance(aside, SetAside)
    assert aside.entry.target == "y"
    assert place == Place(there)
    assert [conflict.kind for conflict in found.conflicts] == [ConflictKind.EDIT_EDIT]


def test_answer_that_was_lost_is_found_by_its_file_id() -> None:
    here = file(1, "a")
    there = here._replace(rev=Rev(5))

    assert plan([], [here], [there]).steps == (MarkSynced(there),)


def test_answer_that_was_lost_meets_the_servers_mode_and_the_disks_place() -> None:
    here, there = file(1, "b"), file(1, "a", mode=0o600, rev=Rev(5))

    assert plan([], [here], [there]).steps == (Replace(here, there._replace(name="b"), there),)
    same_place = here._replace(name="a")
    assert plan([], [same_place], [there]).steps == (Replace(same_place, there),)


def test_edit_after_a_lost_answer_is_kept_beside() -> None:
    found = plan([], [file(1, "a", text="2")], [file(1, "a", rev=Rev(5))])

    aside, place = found.steps
    assert isinstance(aside, SetAside)
    assert aside.entry.file_id != make_id(1)
    assert aside.entry.rev == 0
    assert place == Place(file(1, "a", rev=Rev(5)))
    assert found.after == ((), (0,))


# --- deletions that meet changes ----------------------------------------------------------------


def test_edited_file_in_a_folder_deleted_here_comes_back_alone() -> None:
    a, b, c = folder(1, "a"), file(2, "b", 1), file(3, "c", 1)
    edited = b._replace(content=make_content("2"), rev=Rev(2))

    found = plan([a, b, c], [b, c], [a, edited, c])

    renewed = {step.entry for step in found.steps if isinstance(step, RenewRemote)}
    deleted = [s.change.file_id for s in found.steps if isinstance(s, Submit)]
    assert renewed == {a, edited}
    assert deleted == [c.file_id]
    assert found.steps[-1] == RenewRemote(a)
    assert {conflict.kind for conflict in found.conflicts} == {
        ConflictKind.EDIT_DELETE,
        ConflictKind.FOLDER_DELETED,
    }


def test_edited_file_in_a_folder_deleted_there_lives_on_alone() -> None:
    a, b, c = folder(1, "a"), file(2, "b", 1), file(3, "c", 1)
    edited = b._replace(content=make_content("2"))

    found = plan([a, b, c], [a, edited, c], [b, c])

    renewed = {step.before for step in found.steps if isinstance(step, RenewLocal)}
    assert renewed == {a, edited}
    assert Discard(c) in found.steps
    assert isinstance(found.steps[-1], RenewLocal)
    assert found.steps[-1].before == a


def test_new_file_below_folders_deleted_there_waits_for_all_of_them() -> None:
    a, b, c = folder(1, "a"), folder(2, "b", 1), folder(3, "c", 2)
    new = file(9, "new", 3)

    found = plan([a, b, c], [a, b, c, new], [])

    assert [s.before for s in found.steps if isinstance(s, RenewLocal)] == [c, b, a]
    assert found.waiting == (new.file_id,)
    assert [conflict.name for conflict in found.conflicts] == ["a"]


def test_new_file_below_folders_deleted_here_waits_for_all_of_them() -> None:
    a, b = folder(1, "a"), folder(2, "b", 1)
    new, deep = folder(8, "new", 2), file(9, "deep", 8)

    found = plan([a, b], [], [a, b, new, deep])

    assert [s.entry for s in found.steps if isinstance(s, RenewRemote)] == [b, a]
    assert set(found.waiting) == {new.file_id, deep.file_id}


def test_mode_alone_does_not_bring_back_a_deleted_file() -> None:
    base = file(1, "a")
    private = base._replace(mode=0o600)

    assert plan([base], [], [private]).steps == (Submit(Delete(base.file_id, base.rev), None),)
    assert plan([base], [private], []).steps == (Discard(private),)


def test_folder_moved_out_of_a_deleted_folder_keeps_what_is_in_it() -> None:
    a, b, c, d = folder(1, "a"), folder(2, "b", 1), file(3, "c", 2), file(4, "d", 2)
    moved = b._replace(parent_id=make_id(0))

    up = plan([a, b, c, d], [moved, c, d], [b, c])
    down = plan([a, b, c, d], [b, c], [moved, c, d])

    # d was deleted by itself as well: that stands.
    assert {s.before for s in up.steps if isinstance(s, RenewLocal)} == {moved, c}
    assert {s for s in up.steps if isinstance(s, Discard | ForgetSynced)} == {
        Discard(d),
        ForgetSynced(a.file_id),
    }
    assert {s.entry for s in down.steps if isinstance(s, RenewRemote)} == {moved, c}


def test_file_moved_both_ways_goes_where_its_folder_still_is() -> None:
    a, b, c = folder(1, "a"), folder(2, "b"), file(3, "c", 1)
    here, there = c._replace(parent_id=b.file_id), c._replace(name="renamed")

    found = plan([a, b, c], [b, here], [a, b, there])

    move = Move(c.file_id, b.file_id, "c", a.file_id, "renamed")
    assert found.steps == (
        Submit(move, here),
        Submit(Delete(a.file_id, a.rev), None),
    )


def test_file_moved_into_a_new_folder_of_a_deleted_one_goes_where_its_folder_still_is() -> None:
    a, b, c = folder(1, "a"), folder(2, "b"), file(3, "c", 1)
    inside = folder(4, "new", 1)
    here, there = c._replace(parent_id=b.file_id), c._replace(parent_id=inside.file_id)

    found = plan([a, b, c], [b, here], [a, b, there, inside])

    assert Submit(Move(c.file_id, b.file_id, "c", inside.file_id, "c"), here) in found.steps
    assert RenewRemote(a) in found.steps


def test_deletion_counts_for_what_is_below_a_folder_between() -> None:
    a, b, c = folder(1, "a"), folder(2, "b", 1), file(3, "c", 2)
    private = c._replace(mode=0o600)

    found = plan([a, b, c], [b, c], [a, b, private], only=[1, 3])

    assert found.steps == (Submit(Delete(a.file_id, a.rev), None),)


def test_unread_file_moved_into_a_folder_deleted_there_holds_it() -> None:
    a, b = folder(1, "a"), file(2, "b")
    moved = b._replace(parent_id=a.file_id, content=None)

    assert plan([a, b], [a, moved], [b]).steps == ()


def test_temporary_name_left_by_a_crash_is_nobodys_wish() -> None:
    base = file(1, "a")
    left = base._replace(name=".drystone-moving-77")

    assert plan([base], [], [left]).steps == (Submit(Delete(base.file_id, base.rev), None),)
    assert plan([base], [left], []).steps == (Discard(left),)
    assert plan([base], [left]).steps == (Shift(left, base),)
    (move,) = plan([base], [base._replace(name="b")], [left]).steps
    assert isinstance(move, Submit)
    assert move.change == Move(base.file_id, base.parent_id, "b", base.parent_id, left.name)


# --- names ------------------------------------------------------------------------------------


def test_file_in_place_of_a_folder_comes_after_the_folder_has_gone() -> None:
    old, inside, new = folder(1, "x"), file(2, "y", 1), file(3, "x")

    up = plan([old, inside], [new])
    down = plan([old, inside], remote=[new])

    assert up.steps == (Submit(Delete(old.file_id, old.rev), None), Submit(Create(new), new))
    assert down.steps == (Discard(old), Place(new))
    assert up.after == down.after == ((), (0,))


def test_swapped_folders_go_through_a_temporary_name() -> None:
    a, b = folder(1, "a"), folder(2, "b")
    swapped = [a._replace(name="b"), b._replace(name="a")]

    up, down = plan([a, b], swapped), plan([a, b], remote=swapped)

    for found in (up, down):
        assert len(found.steps) == 3
    first = up.steps[0]
    assert isinstance(first, Submit)
    assert isinstance(first.change, Move)
    assert is_detour_name(first.change.name)


def test_folder_put_into_what_replaced_it_goes_through_a_temporary_name() -> None:
    old, new = folder(1, "a"), folder(2, "a")
    inside = old._replace(parent_id=new.file_id)

    away, create, arrive = plan([old], [new, inside]).steps

    assert isinstance(away, Submit)
    assert create == Submit(Create(new), new)
    assert isinstance(arrive, Submit)
    assert arrive.entry == inside


def test_new_folders_of_one_name_become_one_all_the_way_down() -> None:
    local = [folder(1, "a"), folder(2, "b", 1), file(3, "same", 2), file(4, "mine", 2)]
    remote = [folder(11, "a"), folder(12, "b", 11), file(13, "same", 12), file(14, "theirs", 12)]

    found = plan([], local, remote)

    mine = local[3]._replace(parent_id=make_id(12))
    assert set(found.steps) == {
        MarkSynced(remote[0], make_id(1)),
        MarkSynced(remote[1], make_id(2)),
        MarkSynced(remote[2], make_id(3)),
        Submit(Create(mine), mine),
        Place(remote[3]),
    }
    assert found.conflicts == ()


def test_adopted_file_gets_the_servers_time() -> None:
    here, there = file(1, "a"), file(2, "a", mtime_ns=9)

    assert plan([], [here], [there]).steps == (Replace(here, there),)


def test_file_moved_into_an_adopted_folder_speaks_of_it_by_its_new_id() -> None:
    base = file(3, "f")
    local = [folder(1, "a"), base._replace(parent_id=make_id(1))]
    remote = [folder(2, "a"), base]

    mark, move = plan([base], local, remote).steps

    assert mark == MarkSynced(folder(2, "a"), make_id(1))
    assert isinstance(move, Submit)
    assert move.entry == base._replace(parent_id=make_id(2))


def test_name_taken_below_an_adopted_folder_is_set_aside_under_its_new_id() -> None:
    local = [folder(1, "a"), file(3, "f", 1, text="mine")]
    remote = [folder(2, "a"), file(4, "f", 2, text="theirs")]

    found = plan([], local, remote)

    (aside,) = (step for step in found.steps if isinstance(step, SetAside))
    assert aside.entry.parent_id == make_id(2)
    assert aside.entry.file_id == make_id(3)
    assert found.after[found.steps.index(aside)] == (0,)


def test_conflicted_names_do_not_collide_with_each_other_nor_with_what_is_there() -> None:
    taken = file(9, "a (conflicted copy, laptop, 2026-11-21)")
    base = file(5, "b")
    local = [file(1, "a", text="1"), taken, base._replace(name="c", content=make_content("3"))]
    remote = [file(2, "a", text="2"), base._replace(content=make_content("4"))]

    found = plan([base], local, remote)

    names = {step.entry.name for step in found.steps if isinstance(step, SetAside)}
    assert names == {
        "a (conflicted copy, laptop, 2026-11-21, 2)",
        "c (conflicted copy, laptop, 2026-11-21)",
    }


def test_moved_file_whose_name_is_taken_keeps_its_id() -> None:
    base, other = file(1, "a"), file(2, "x", text="2")

    found = plan([base], [base._replace(name="x")], [base, other])

    aside, place = found.steps
    assert isinstance(aside, SetAside)
    assert aside.entry.file_id == base.file_id
    assert aside.entry.rev == base.rev
    assert place == Place(other)
    assert [conflict.kind for conflict in found.conflicts] == [ConflictKind.NAME]


def test_moved_file_waits_while_who_was_deleted_at_its_place_comes_back() -> None:
    base, gone = file(1, "a"), file(2, "x")
    edited = gone._replace(content=make_content("2"), rev=Rev(2))

    found = plan([base, gone], [base._replace(name="x")], [base, edited])

    assert found.steps == (RenewRemote(edited),)
    assert found.waiting == (base.file_id,)


def test_new_file_waits_for_a_name_that_its_owner_could_not_leave() -> None:
    old, other = file(1, "x"), file(3, "y", text="theirs")
    local = [old._replace(name="y"), file(2, "x", text="new")]

    found = plan([old], local, [old, other])

    assert [type(step) for step in found.steps] == [SetAside, Place]
    assert set(found.waiting) == {old.file_id, make_id(2)}


def test_edit_moved_into_a_new_folder_is_set_aside_there() -> None:
    base = file(1, "a")
    here = base._replace(parent_id=make_id(2), content=make_content("mine"))
    there = base._replace(content=make_content("theirs"), rev=Rev(2))

    found = plan([base], [folder(2, "new"), here], [there])

    (aside,) = (step for step in found.steps if isinstance(step, SetAside))
    assert aside.entry.parent_id == make_id(2)
    assert Place(there) in found.steps


def test_edit_moved_into_an_adopted_folder_comes_after_the_adoption() -> None:
    base = file(3, "f")
    moved = base._replace(parent_id=make_id(1), content=make_content("2"))

    found = plan([base], [folder(1, "a"), moved], [folder(2, "a"), base])

    assert [type(step) for step in found.steps] == [MarkSynced, Submit, Submit]
    assert found.after == ((), (0,), (0, 1))


def test_rings_between_the_sides_are_undone_here() -> None:
    a, b = folder(1, "a"), folder(2, "b")
    here = [a._replace(parent_id=b.file_id), b]
    there = [a, b._replace(parent_id=a.file_id)]

    found = plan([a, b], here, there)

    assert found.steps == (Shift(here[0], a), Shift(b, there[1]))
    assert found.after == ((), (0,))
    assert [conflict.kind for conflict in found.conflicts] == [ConflictKind.MOVE_MOVE]


def test_folder_moved_into_a_ring_between_the_sides_stays_where_it_was_moved() -> None:
    c, a, b = folder(1, "c"), folder(2, "a"), folder(3, "b")
    here = [c._replace(parent_id=a.file_id), a._replace(parent_id=b.file_id), b]
    there = [c, a, b._replace(parent_id=a.file_id)]

    found = plan([c, a, b], here, there)

    assert Submit(Move(c.file_id, a.file_id, "c", c.parent_id, "c"), here[0]) in found.steps


def test_folder_moved_into_a_new_one_inside_a_folder_it_was_above_waits_for_that() -> None:
    a, b = folder(1, "a"), folder(2, "b", 1)
    local = [b._replace(parent_id=make_id(0)), folder(3, "n", 2), a._replace(parent_id=make_id(3))]

    found = plan([a, b], local)

    moved = [s.change.file_id for s in found.steps if isinstance(s.change, Move)]
    assert moved == [b.file_id, a.file_id]


# --- what the disk can hold --------------------------------------------------------------------


def test_mode_says_nothing_where_the_disk_holds_none() -> None:
    base, new = file(1, "a"), file(2, "b", mode=0)
    traits = Traits(holds_modes=False)

    found = plan([base], [base._replace(mode=0o777), new], traits=traits)

    assert found.steps == (Submit(Create(new), new),)


def test_time_is_compared_as_finely_as_the_disk_holds_it() -> None:
    base = file(1, "a", mtime_ns=5_999)
    traits = Traits(mtime_step_ns=2_000)

    assert plan([base], [base._replace(mtime_ns=4_000)], traits=traits).steps == ()
    assert plan([base], [base._replace(mtime_ns=6_000)], traits=traits).steps != ()


def test_unknown_mode_is_no_difference_until_somebody_makes_the_file_executable() -> None:
    base = file(1, "a", mode=0)

    assert plan([base], [base._replace(mode=0o600)]).steps == ()
    assert plan([base], [base._replace(mode=0o755)]).steps != ()
    assert plan([file(1, "a")], remote=[base]).steps == (MarkSynced(base),)
    assert plan([folder(1, "a", mode=0)], [folder(1, "a")]).steps == ()
