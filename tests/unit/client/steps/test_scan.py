# SPDX-License-Identifier: Apache-2.0
"""Who is who on the disk: the scan, on a disk in memory."""

import pytest

from drystone.client.ports import RootGone, SyncedRow
from drystone.core.ids import ROOT_ID
from drystone.core.tree.entry import Kind
from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeDisk, FakeHand


def fill(hand: FakeHand) -> None:
    hand.make_folder("a")
    hand.make_folder("a/b")
    hand.write("a/one", b"1")
    hand.write("a/b/two", b"22")
    hand.make_symlink("link", "a/one")


# --- new, edited, gone --------------------------------------------------------------------------


def test_everything_is_new_at_first_parents_before_children(desk: Desk, hand: FakeHand) -> None:
    fill(hand)

    batches = desk.look()

    assert [batch.is_complete for batch in batches] == [True]
    names = [desk.state.local_changes[i].entry.name for i in batches[0].created]
    assert sorted(names) == ["a", "b", "link", "one", "two"]
    assert names.index("a") < names.index("b") < names.index("two")
    assert {unread.path for unread in batches[0].unread} == {"a/one", "a/b/two"}
    assert (batches[0].folders_count, batches[0].files_count) == (3, 3)


def test_new_entries_are_described_as_they_are(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    fill(hand)
    hand.write("empty", b"")
    hand.set_mode("a/one", 0o750)
    hand.touch("a/one", 5)

    changes = desk.see()

    one = changes["a/one"].entry
    assert (one.mode, one.mtime_ns, one.content.size_bytes, one.rev) == (0o750, 5, 1, 0)
    assert changes["a/one"].stat == disk.find_stat("a/one")
    assert changes["empty"].entry.content.size_bytes == 0
    link = changes["link"].entry
    assert (link.target, link.mode, link.kind) == ("a/one", 0, Kind.SYMLINK)
    assert (changes["a"].entry.mtime_ns, changes["a"].entry.mode) == (0, 0o755)
    assert changes["a/b"].entry.parent_id == changes["a"].entry.file_id
    assert changes["a"].entry.parent_id == ROOT_ID


def test_what_was_seen_before_keeps_its_id_until_it_is_agreed_on(
    desk: Desk, hand: FakeHand
) -> None:
    fill(hand)
    first = desk.see()

    batches = desk.look()

    assert desk.changes() == first
    assert not batches[-1].created
    assert not batches[-1].unread


def test_nothing_changed_is_nothing_noted(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()

    batches = desk.look()

    assert not desk.state.local_changes
    assert [(batch.created, batch.unread) for batch in batches] == [((), ())]


def test_edit_keeps_the_id_and_is_to_be_read(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.write("a/one", b"11")

    batches = desk.look()

    assert [unread.path for unread in batches[-1].unread] == ["a/one"]
    assert not batches[-1].created
    noted = desk.state.local_changes[before.file_id].entry
    assert noted.content is None
    desk.read(batches)
    assert list(desk.changes()) == ["a/one"]
    assert desk.find("a/one").content.size_bytes == 2


def test_emptied_file_needs_no_reading(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.write("a/one", b"")

    batches = desk.look()

    assert not batches[-1].unread
    assert desk.changes()["a/one"].entry.content.size_bytes == 0


def test_touched_file_with_the_same_bytes_differs_in_mtime_only(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.touch("a/one", 77)

    changes = desk.see()

    assert changes["a/one"].entry == before._replace(mtime_ns=77)


def test_change_of_mode_is_a_change(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.set_mode("a/one", 0o600)
    hand.set_mode("a", 0o700)

    changes = desk.see()

    assert {path: change.entry.mode for path, change in changes.items()} == {
        "a": 0o700,
        "a/one": 0o600,
    }


def test_file_that_only_got_a_new_ctime_is_agreed_on_again(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.touch("a/one", before.mtime_ns)

    batches = desk.look()
    assert [unread.path for unread in batches[-1].unread] == ["a/one"]
    desk.read(batches)

    assert not desk.state.local_changes
    assert desk.state.find_synced_row(before.file_id).stat == disk.find_stat("a/one")
    assert not desk.look()[-1].unread


def test_mode_that_the_disk_cannot_hold_is_no_change(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    desk.agree()
    entry = desk.find("a/one")
    row = SyncedRow(entry._replace(mode=0o123, mtime_ns=1), disk.find_stat("a/one"))
    desk.state.settle(entry.file_id, row)
    hand.write("a/one", b"edited")

    noted = desk.see()["a/one"].entry

    assert noted.mode == 0o123
    assert noted.mtime_ns == disk.find_stat("a/one").mtime_ns


def test_symlink_that_points_elsewhere_is_edited(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("link")
    hand.remove("link")
    hand.make_symlink("link", "a/b")

    changes = desk.see()

    assert list(changes) == ["link"]
    assert (changes["link"].entry.file_id, changes["link"].entry.target) == (before.file_id, "a/b")


def test_of_a_folder_that_is_gone_only_the_folder_is_noted(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.remove("a")

    assert list(desk.see()) == ["-a"]


def test_new_entry_that_is_gone_again_is_forgotten(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.see()
    hand.remove("a")

    assert list(desk.see()) == ["link"]


def test_entry_that_was_gone_and_is_back_is_the_same(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    one, folder = desk.find("a/one"), desk.find("a/b")
    hand.rename("a/one", "a/b/aside")
    hand.rename("a/b", "b")
    hand.remove("a")
    desk.see()
    hand.make_folder("a")
    hand.rename("b", "a/b")
    hand.rename("a/b/aside", "a/one")

    desk.see()

    assert desk.find("a/one").file_id == one.file_id
    assert desk.find("a/b").file_id == folder.file_id


def test_file_that_became_a_folder_is_another_entry(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.remove("a/one")
    hand.make_folder("a/one")
    hand.write("a/one/below", b"1")

    changes = desk.see()

    assert sorted(changes) == ["-a/one", "a/one", "a/one/below"]
    assert changes["a/one"].entry.file_id != before.file_id


# --- who is who ---------------------------------------------------------------------------------


def test_renamed_file_is_moved_and_may_be_planned_without_reading(
    desk: Desk, hand: FakeHand
) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.rename("a/one", "a/b/new")

    batches = desk.look()

    assert not batches[-1].unread
    assert not batches[-1].created
    assert list(desk.changes()) == ["a/b/new"]
    folder_id = desk.find("a/b").file_id
    assert desk.find("a/b/new") == before._replace(parent_id=folder_id, name="new")


def test_renamed_file_is_read_again_in_time(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.rename("a/one", "new")
    desk.look()
    hand.write_silently("new", b"9")
    entry = desk.find("new")
    desk.state.settle(entry.file_id, SyncedRow(entry, desk.disk.find_stat("new")))

    desk.see()

    assert list(desk.changes()) == ["new"]
    assert desk.find("new").content.root == desk.digest_of(b"9")


def test_folder_made_anew_beside_the_old_one_is_another(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a")
    hand.rename("a", "a~")
    hand.make_folder("a")
    hand.write("a/new", b"1")

    changes = desk.see()

    assert sorted(changes) == ["a", "a/new", "a~"]
    assert changes["a~"].entry.file_id == before.file_id


def test_folder_made_anew_in_its_place_is_the_same(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a")
    hand.remove("a")
    hand.make_folder("a")
    hand.write("a/one", b"1")

    changes = desk.see()

    assert sorted(changes) == ["-a/b", "a/one"]
    assert desk.find("a").file_id == before.file_id
    assert not desk.look()[-1].unread


def test_link_over_a_file_whose_old_name_moved_is_new(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    one = desk.find("a/one")
    hand.rename("a/one", "a/one~")
    hand.link("a/b/two", "a/one")

    changes = desk.see()

    assert sorted(changes) == ["a/one", "a/one~"]
    assert one.file_id in {change.entry.file_id for change in changes.values()}


def test_renamed_folder_is_one_change(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a")
    hand.rename("a", "z")

    changes = desk.see()

    assert list(changes) == ["z"]
    assert changes["z"].entry == before._replace(name="z")


def test_edits_in_a_renamed_folder_are_seen(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.rename("a", "z")
    hand.write("z/one", b"edited")
    hand.remove("z/b/two")
    hand.write("z/new", b"3")

    assert sorted(desk.see()) == ["-a/b/two", "z", "z/new", "z/one"]


def test_folder_moved_out_of_a_folder_that_is_gone_lives(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.rename("a/b", "b")
    hand.remove("a")

    assert sorted(desk.see()) == ["-a", "b"]


def test_file_saved_beside_and_renamed_over_is_edited(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.write("a/one.tmp", b"saved")
    hand.rename("a/one.tmp", "a/one")

    changes = desk.see()

    assert list(changes) == ["a/one"]
    assert changes["a/one"].entry.file_id == before.file_id


def test_file_moved_over_another_keeps_its_own_id(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    one, two = desk.find("a/one"), desk.find("a/b/two")
    hand.rename("a/b/two", "a/one")

    changes = desk.see()

    assert sorted(changes) == ["-a/one", "a/one"]
    assert changes["a/one"].entry.file_id == two.file_id
    assert desk.state.local_changes[one.file_id].entry is None


def test_two_files_that_changed_places_both_moved(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    one, two = desk.find("a/one"), desk.find("a/b/two")
    hand.rename("a/one", "x")
    hand.rename("a/b/two", "a/one")
    hand.rename("x", "a/b/two")

    desk.see()

    assert desk.find("a/one").file_id == two.file_id
    assert desk.find("a/b/two").file_id == one.file_id
    assert len(desk.state.local_changes) == 2


def test_two_folders_that_changed_places_both_moved(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    hand.make_folder("c")
    hand.write("c/three", b"333")
    desk.agree()
    a, c = desk.find("a"), desk.find("c")
    hand.rename("a", "x")
    hand.rename("c", "a")
    hand.rename("x", "c")

    changes = desk.see()

    assert sorted(changes) == ["a", "c"]
    assert (changes["a"].entry.file_id, changes["c"].entry.file_id) == (c.file_id, a.file_id)


def test_folder_moved_below_its_own_child_is_seen(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    a, b = desk.find("a"), desk.find("a/b")
    hand.rename("a/b", "b")
    hand.rename("a", "b/a")

    changes = desk.see()

    assert sorted(changes) == ["b", "b/a"]
    assert (changes["b"].entry.file_id, changes["b/a"].entry.file_id) == (b.file_id, a.file_id)


def test_second_name_of_a_file_is_another_file(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.link("a/one", "second")

    changes = desk.see()

    assert list(changes) == ["second"]
    assert changes["second"].entry.file_id != before.file_id
    assert changes["second"].entry.content == before.content


def test_kept_backup_does_not_take_the_id(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.rename("a/one", "a/one~")
    hand.write("a/one", b"new text")

    changes = desk.see()

    assert sorted(changes) == ["a/one", "a/one~"]
    assert desk.find("a/one").file_id == before.file_id
    assert desk.find("a/one~").content == before.content


def test_inode_used_again_is_no_move(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    ino = disk.find("a/one").ino
    hand.remove("a/one")
    hand.write("other", b"unrelated")
    disk.find("other").ino = ino
    folder_ino = disk.find("a/b").ino
    hand.remove("a/b")
    hand.make_folder("fresh")
    hand.write("fresh/file", b"1")
    disk.find("fresh").ino = folder_ino

    changes = desk.see()

    assert sorted(changes) == ["-a/b", "-a/one", "fresh", "fresh/file", "other"]
    assert changes["other"].entry.file_id != before.file_id


def test_moved_twice_before_it_is_agreed_on(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.rename("a/one", "x")
    desk.see()
    hand.rename("x", "y")
    desk.see()
    assert list(desk.changes()) == ["y"]
    assert desk.find("y").file_id == before.file_id

    hand.rename("y", "a/one")
    desk.see()

    assert not desk.state.local_changes


def test_what_was_moved_into_a_folder_goes_with_it(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    hand.make_folder("gone")
    desk.agree()
    hand.rename("a/one", "gone/one")
    desk.see()
    hand.remove("gone")

    assert sorted(desk.see()) == ["-a/one", "-gone"]


# --- absence is not deletion --------------------------------------------------------------------


def test_below_a_folder_that_cannot_be_listed_nothing_is_gone(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    desk.agree()
    disk.find("a").is_readable = False

    assert not desk.see()
    assert [(row.path, row.code) for row in desk.state.problems()] == [("a", "unreadable")]

    disk.find("a").is_readable = True
    desk.see()
    assert not desk.state.problems()


def test_folder_that_was_moved_and_cannot_be_listed_is_not_gone(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a")
    hand.rename("a", "z")
    disk.find("z").is_readable = False

    changes = desk.see()

    assert list(changes) == ["z"]
    assert changes["z"].entry.file_id == before.file_id


def test_when_the_root_is_gone_nothing_is_noted(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    fill(hand)
    desk.agree()
    hand.remove("a")
    disk.is_root_gone = True

    with pytest.raises(RootGone):
        desk.look()
    with pytest.raises(RootGone):
        desk.look("")
    assert not desk.state.local_changes


def test_when_the_root_goes_during_the_scan_nothing_is_gone(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    desk.agree()
    hand.remove("a")
    list_folder = disk.list_folder

    def list_and_go(path: str) -> object:
        disk.is_root_gone = True
        return list_folder(path)

    disk.list_folder = list_and_go

    with pytest.raises(RootGone):
        desk.look()
    assert not desk.state.local_changes


def test_what_is_missing_where_a_disk_was_unmounted_is_not_gone(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    disk.find("a").dev = 7
    desk.agree()
    mounted = disk.root.names["a"]
    hand.remove("a")
    hand.make_folder("a")

    assert not desk.see()
    assert [(row.path, row.code) for row in desk.state.problems()] == [("a", "other-disk")]
    assert not desk.see()

    disk.root.names["a"] = mounted
    assert not desk.see()
    assert not desk.state.problems()


def test_file_that_became_a_pipe_is_not_gone(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.remove("a/one")
    hand.make_pipe("a/one")

    assert not desk.see()
    assert [(row.path, row.code) for row in desk.state.problems()] == [("a/one", "special-file")]

    hand.remove("a/one")
    assert list(desk.see()) == ["-a/one"]
    assert not desk.state.problems()


def test_problem_is_noted_once_and_ends_with_its_cause(desk: Desk, hand: FakeHand) -> None:
    hand.make_pipe("pipe")
    desk.see()
    since_ns = desk.state.problems()[0].since_ns
    desk.now_ns += 5
    desk.see()
    assert [row.since_ns for row in desk.state.problems()] == [since_ns]
    assert desk.state.problems()[0].advice

    hand.remove("pipe")
    desk.see()

    assert not desk.state.problems()


def test_folder_with_a_marker_of_its_own_is_left_out(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    fill(hand)
    hand.make_folder("inner")
    hand.write("inner/file", b"1")
    disk.root.names["inner"].names[".drystone"] = disk.new_inode(Kind.FOLDER)

    assert not [path for path in desk.see() if path.startswith("inner")]
    desk.look()
    assert [(row.path, row.code) for row in desk.state.problems()] == [("inner", "nested-root")]


# --- ignore rules -------------------------------------------------------------------------------


def test_file_in_the_place_of_a_folder_is_one_also_where_rules_are_new(
    desk: Desk, hand: FakeHand
) -> None:
    hand.make_folder("a")
    desk.agree()
    hand.remove("a")
    hand.write("a", b"1")
    hand.write(".drystoneignore", b"# none\n")

    assert sorted(desk.see("")) == ["-a", ".drystoneignore", "a"]
    assert len(desk.state.local_changes) == 3


def test_ignored_names_are_left_out_with_all_below(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    hand.write(".drystoneignore", b"*.o\nbuild/\n")
    hand.write("a/x.o", b"1")
    hand.make_folder("a/build")
    hand.write("a/build/y", b"1")
    hand.make_folder("deep")
    hand.write("deep/.drystoneignore", b"!x.o\nsecret\n")
    hand.write("deep/x.o", b"1")
    hand.write("deep/secret", b"1")

    found = set(desk.see())

    assert found >= {".drystoneignore", "deep/.drystoneignore", "deep/x.o", "a/one"}
    assert not found & {"a/x.o", "a/build", "a/build/y", "deep/secret"}


def test_what_is_synced_is_never_ignored(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.write(".drystoneignore", b"one\na\n*\n")
    hand.write("a/one", b"edited")
    hand.rename("a/b/two", "a/b/other")
    hand.write("new", b"1")

    assert sorted(desk.see()) == ["a/b/other", "a/one"]


def test_change_of_rules_is_followed_where_it_was_hinted(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    hand.write(".drystoneignore", b"*.o\n")
    hand.write("a/b/x.o", b"1")
    desk.agree()
    hand.write(".drystoneignore", b"*.p\n")
    assert "a/b/x.o" in desk.see("")
    desk.agree()
    hand.write("a/b/y.p", b"1")
    assert "a/b/y.p" not in desk.see("a/b")

    hand.remove(".drystoneignore")

    assert "a/b/y.p" in desk.see("")


def test_line_that_is_no_rule_is_a_problem(desk: Desk, hand: FakeHand) -> None:
    hand.write(".drystoneignore", b"!\n*.o\n")
    hand.write("x.o", b"1")

    assert "x.o" not in desk.see()
    assert [(row.path, row.code) for row in desk.state.problems()] == [
        (".drystoneignore", "bad-ignore-rule")
    ]

    hand.write(".drystoneignore", b"*.o\n")
    desk.see()
    assert not desk.state.problems()


# --- hints --------------------------------------------------------------------------------------


def test_hinted_folder_is_compared_and_no_other(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.write("a/one", b"edited")
    hand.write("a/b/two", b"edited too")

    assert list(desk.see("a")) == ["a/one"]
    assert sorted(desk.see("a/b")) == ["a/b/two", "a/one"]


def test_hint_at_what_is_unknown_or_gone_stands_for_the_folder_above(
    desk: Desk, hand: FakeHand
) -> None:
    fill(hand)
    desk.agree()
    hand.make_folder("new")
    hand.make_folder("new/below")
    hand.write("new/below/file", b"1")
    hand.remove("a/b")

    assert sorted(desk.see("new/below", "a/b")) == ["-a/b", "new", "new/below", "new/below/file"]


def test_move_is_complete_before_what_is_below_is_looked_at(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    hand.rename("a", "z")
    hand.write("z/b/two", b"edited")

    first = list(desk.scan.hinted([""]))

    assert first[-1].is_complete
    assert not [unread for batch in first for unread in batch.unread]
    assert list(desk.changes()) == ["z"]
    assert desk.scan.has_rest
    rest = list(desk.scan.below())
    assert rest[-1].is_complete
    assert [unread.path for batch in rest for unread in batch.unread] == ["z/b/two"]
    assert not desk.scan.has_rest


def test_what_is_below_a_move_is_looked_at_again_if_that_broke_off(
    desk: Desk, hand: FakeHand
) -> None:
    fill(hand)
    desk.agree()
    hand.rename("a", "z")
    hand.write("z/b/two", b"edited")
    list(desk.scan.hinted([""]))
    desk.scan.below().close()

    below = desk.scan.below()
    next(below)
    below.close()

    assert desk.scan.has_rest
    assert "z/b/two" in desk.see("")
    assert not desk.scan.has_rest


def test_move_between_hinted_folders_is_a_move(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.rename("a/one", "a/b/one")

    changes = desk.see("a", "a/b")

    assert list(changes) == ["a/b/one"]
    assert changes["a/b/one"].entry.file_id == before.file_id


def test_move_out_of_a_folder_that_was_not_hinted_is_a_move(desk: Desk, hand: FakeHand) -> None:
    fill(hand)
    desk.agree()
    before = desk.find("a/one")
    hand.rename("a/one", "a/b/one")

    changes = desk.see("a/b")

    assert list(changes) == ["a/b/one"]
    assert changes["a/b/one"].entry.file_id == before.file_id


# --- batches, doubt -----------------------------------------------------------------------------


def test_many_new_files_come_in_batches(desk: Desk, hand: FakeHand) -> None:
    for number in range(30):
        hand.make_folder(f"f{number}")
        for below in range(200):
            hand.write(f"f{number}/{below}", b"1")

    batches = desk.look()

    assert len(batches) > 2
    assert [batch.is_complete for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert sum(len(batch.unread) for batch in batches) == 6_000
    assert sum(len(batch.created) for batch in batches) == 6_030


def test_doubtful_file_is_read_again_though_its_fingerprint_is_the_same(
    desk: Desk, hand: FakeHand
) -> None:
    fill(hand)
    desk.agree()
    entry = desk.find("a/one")
    hand.write_silently("a/one", b"9")
    assert not desk.see()
    desk.doubtful.add(entry.file_id)

    changes = desk.see()

    assert list(changes) == ["a/one"]
    assert changes["a/one"].entry.content != entry.content
    assert not desk.doubtful
