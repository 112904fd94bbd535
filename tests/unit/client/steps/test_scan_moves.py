# SPDX-License-Identifier: Apache-2.0
"""Moves that are hard to tell from a deletion and a creation, on a disk in memory."""

from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeDisk, FakeHand


def ids_of(desk: Desk, *paths: str) -> list[bytes]:
    return [desk.find(path).file_id for path in paths]


def test_file_renamed_and_edited_is_the_same(desk: Desk, hand: FakeHand) -> None:
    hand.write("a", b"1")
    desk.agree()
    before = ids_of(desk, "a")
    hand.rename("a", "b")
    hand.write("b", b"longer")

    changes = desk.see()

    assert ids_of(desk, "b") == before
    assert list(changes) == ["b"]
    assert changes["b"].entry.content.size_bytes == 6


def test_edited_file_with_an_inode_used_again_is_another(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    hand.write("a", b"1")
    desk.agree()
    before = ids_of(desk, "a")
    ino = disk.require("a").ino
    hand.remove("a")
    hand.write("b", b"longer")
    disk.require("b").ino = ino

    assert set(desk.see()) == {"-a", "b"}
    assert ids_of(desk, "b") != before


def test_where_the_disk_does_not_tell_ages_an_edited_file_is_another(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    hand.write("a", b"1")
    desk.agree()
    hand.rename("a", "b")
    hand.write("b", b"longer")
    disk.require("b").birth_ns = 0

    assert set(desk.see()) == {"-a", "b"}


def test_renamed_folder_out_of_which_all_was_moved_is_the_same(desk: Desk, hand: FakeHand) -> None:
    hand.make_folder("a")
    hand.write("a/file", b"1")
    desk.agree()
    before = ids_of(desk, "a", "a/file")
    hand.rename("a", "b")
    hand.rename("b/file", "file")

    desk.see()

    assert ids_of(desk, "b", "file") == before
    assert set(desk.changes()) == {"b", "file"}


def test_what_is_missing_is_looked_for_in_folders_that_were_moved(
    desk: Desk, hand: FakeHand
) -> None:
    hand.make_folder("a")
    hand.make_folder("a/b")
    hand.write("a/one", b"1")
    hand.write("a/b/two", b"2")
    desk.agree()
    before = ids_of(desk, "a", "a/b", "a/one", "a/b/two")
    hand.rename("a/b", "b")
    hand.rename("a", "b/a")

    desk.read(list(desk.scan.hinted(["", "a", "b"])))

    assert not desk.scan.has_rest
    assert ids_of(desk, "b/a", "b", "b/a/one", "b/two") == before
    assert set(desk.changes()) == {"b", "b/a"}
