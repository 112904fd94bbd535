# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``Disk`` must do.

Subclass ``DiskSuite`` in a test module and give it two fixtures: ``disk``, an empty synced
folder, and ``hand``, the person who works in the same folder.
"""

from typing import Protocol

import pytest

from drystone.client.ports import (
    ChangedMeanwhile,
    Disk,
    DiskProblem,
    NameTooLong,
    NewFile,
    NotThere,
    Stat,
    UnsafeName,
)
from drystone.core.tree.entry import Kind

AT = 1_600_000_000_123_456_789
HOSTILE_PATHS = ["..", "../x", "a/../../x", "a//b", "/x", ".", "a/./b", "a\0b", "x/"]
CONTROL_PATHS = [".drystone", ".drystone/marker", "a/.drystone", ".DryStone/trash"]


class Hand(Protocol):
    """The person at the machine: acts on the folder beside the client."""

    def write(self, path: str, content: bytes) -> None: ...
    def read(self, path: str) -> bytes: ...
    def make_folder(self, path: str) -> None: ...
    def make_symlink(self, path: str, target: str) -> None: ...
    def make_pipe(self, path: str) -> None: ...
    def link(self, path: str, new_path: str) -> None: ...
    def rename(self, path: str, new_path: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def set_mode(self, path: str, mode: int) -> None: ...
    def touch(self, path: str, mtime_ns: int) -> None: ...
    def list_tree(self) -> dict[str, bytes | str | None]: ...
    def list_trash(self) -> list[tuple[str, bytes]]: ...


class LookingAtDisk:
    """What is on the disk is shown as it is."""

    def test_listing_shows_what_is_there_and_not_the_control_folder(
        self, disk: Disk, hand: Hand
    ) -> None:
        hand.write("file", b"12345")
        hand.make_folder("folder")
        hand.make_symlink("link", "no/where")
        hand.write("folder/below", b"")

        listing = disk.list_folder("")

        found = {one.name: one for one in listing.observed}
        assert sorted(found) == ["file", "folder", "link"]
        assert found["file"].stat.kind == Kind.FILE
        assert found["file"].stat.size_bytes == 5
        assert found["folder"].stat.kind == Kind.FOLDER
        assert found["link"].stat.kind == Kind.SYMLINK
        assert found["link"].target == "no/where"
        assert not listing.skipped
        assert [one.name for one in disk.list_folder("folder").observed] == ["below"]

    def test_listing_skips_what_cannot_be_synced_and_says_why(self, disk: Disk, hand: Hand) -> None:
        hand.make_pipe("pipe")
        hand.write("fine", b"1")

        listing = disk.list_folder("")

        assert [one.name for one in listing.observed] == ["fine"]
        assert [(one.name, one.code) for one in listing.skipped] == [("pipe", "special-file")]

    def test_listing_of_what_is_no_folder_is_refused(self, disk: Disk, hand: Hand) -> None:
        hand.write("file", b"1")
        hand.make_folder("folder")
        hand.make_symlink("link", "folder")

        for path in ("file", "gone", "link", "gone/below"):
            with pytest.raises(NotThere):
                disk.list_folder(path)

    def test_stat_agrees_with_listing_and_changes_with_content(
        self, disk: Disk, hand: Hand
    ) -> None:
        hand.make_folder("a")
        hand.write("a/file", b"1")
        before = disk.find_stat("a/file")
        hand.write("a/file", b"22")
        after = disk.find_stat("a/file")

        assert after == disk.list_folder("a").observed[0].stat
        assert before is not None
        assert after is not None
        assert (before.ino, after.size_bytes) == (after.ino, 2)
        assert before != after
        assert disk.find_stat("a/none") is None
        assert disk.find_stat("a/file/none") is None
        assert disk.find_stat("none/none") is None

    def test_birth_stays_through_edits_and_moves(self, disk: Disk, hand: Hand) -> None:
        hand.write("file", b"1")
        hand.make_folder("folder")
        births = [disk.find_birth_ns(path) for path in ("file", "folder")]
        hand.write("file", b"22")
        hand.rename("file", "folder/file")
        hand.rename("folder", "moved")
        stat = disk.find_stat("moved/file")

        assert [disk.find_birth_ns(path) for path in ("moved/file", "moved")] == births
        assert stat is not None
        assert births[0] <= stat.ctime_ns
        assert disk.find_birth_ns("none") == disk.find_birth_ns("none/none") == 0

    def test_small_file_is_read_whole(self, disk: Disk, hand: Hand) -> None:
        hand.write("file", b"hello")

        stat, content = disk.read_small("file", 5)

        assert content == b"hello"
        assert stat == disk.find_stat("file")
        with pytest.raises(ChangedMeanwhile):
            disk.read_small("file", 4)
        with pytest.raises(NotThere):
            disk.read_small("none", 4)

    def test_many_files_are_read_with_an_outcome_each(self, disk: Disk, hand: Hand) -> None:
        hand.make_folder("a")
        for name, content in (("one", b"1"), ("two", b"22"), ("long", b"12345")):
            hand.write(f"a/{name}", content)
        hand.make_symlink("link", "a")

        outcomes = disk.read_many("a", ["one", "none", "../a/one", "long", "two"], 4)

        assert outcomes[0] == (disk.find_stat("a/one"), b"1")
        assert outcomes[4] == (disk.find_stat("a/two"), b"22")
        failed = [type(one) for one in outcomes[1:4]]
        assert failed == [NotThere, UnsafeName, ChangedMeanwhile]
        for path in ("none", "link"):
            with pytest.raises(NotThere):
                disk.read_many(path, ["one"], 4)

    def test_only_files_are_read(self, disk: Disk, hand: Hand) -> None:
        hand.write("file", b"1")
        hand.make_folder("folder")
        hand.make_symlink("link", "file")
        hand.make_pipe("pipe")

        for path in ("folder", "link", "pipe", "file/x"):
            with pytest.raises(NotThere):
                disk.read_small(path, 100)
            with pytest.raises(NotThere), disk.open_file(path):
                pass

    def test_open_file_is_read_in_pieces_and_tells_whether_it_changed(
        self, disk: Disk, hand: Hand
    ) -> None:
        hand.write("file", b"0123456789")
        buffer = memoryview(bytearray(4))

        with disk.open_file("file") as file:
            assert file.stat.size_bytes == 10
            assert file.read_into(buffer, 3) == 4
            assert bytes(buffer) == b"3456"
            assert file.read_into(buffer, 8) == 2
            assert file.read_into(buffer, 10) == 0
            assert file.next_data(0) == 0
            assert file.next_data(10) == 10
            assert file.is_unchanged()
            hand.write("file", b"9876543210!")
            assert not file.is_unchanged()


class MakingOnDisk:
    """What is made is whole, or not there."""

    def test_written_file_has_content_mode_and_time(self, disk: Disk, hand: Hand) -> None:
        stat = disk.write_small("file", b"hello", 0o640, AT, None)

        assert hand.read("file") == b"hello"
        assert (stat.mode, stat.mtime_ns, stat.size_bytes) == (0o640, AT, 5)
        assert disk.find_stat("file") == stat
        assert list(hand.list_tree()) == ["file"]

    @pytest.mark.parametrize(
        ("mode", "expected"), [(0o444, 0o444), (0o666, 0o666), (0o077, 0o477), (0, 0o644)]
    )
    def test_owner_can_always_read_what_is_written(
        self, disk: Disk, mode: int, expected: int
    ) -> None:
        assert disk.write_small("file", b"1", mode, AT, None).mode == expected

    @pytest.mark.parametrize(
        ("mode", "expected"), [(0o755, 0o755), (0o775, 0o775), (0o055, 0o755), (0, 0o755)]
    )
    def test_owner_can_always_use_a_folder(self, disk: Disk, mode: int, expected: int) -> None:
        stat = disk.make_folder("folder", mode)

        assert (stat.kind, stat.mode) == (Kind.FOLDER, expected)
        assert disk.make_folder("folder", mode) == disk.find_stat("folder") == stat

    def test_folder_that_is_there_gets_the_mode_if_one_is_known(self, disk: Disk) -> None:
        disk.make_folder("folder", 0o755)

        dressed = disk.make_folder("folder", 0o070)

        assert dressed.mode == 0o770
        assert disk.make_folder("folder", 0) == disk.find_stat("folder") == dressed

    def test_folder_does_not_take_the_place_of_a_file(self, disk: Disk, hand: Hand) -> None:
        hand.write("file", b"1")

        with pytest.raises(ChangedMeanwhile):
            disk.make_folder("file", 0o755)

    def test_nothing_is_written_over_something_unexpected(self, disk: Disk, hand: Hand) -> None:
        hand.write("file", b"mine")
        hand.make_folder("folder")

        for path in ("file", "folder"):
            with pytest.raises(ChangedMeanwhile):
                disk.write_small(path, b"yours", 0o644, AT, None)
            with pytest.raises(ChangedMeanwhile):
                disk.make_symlink(path, "yours", AT, None)
        assert hand.list_tree() == {"file": b"mine", "folder": None}
        assert not hand.list_trash()

    def test_replaced_file_goes_to_the_trash(self, disk: Disk, hand: Hand) -> None:
        disk.make_folder("a", 0o755)
        before = disk.write_small("a/file", b"old", 0o644, AT, None)

        after = disk.write_small("a/file", b"newer", 0o600, AT + 1, before)

        assert disk.find_stat("a/file") == after
        assert after.ino != before.ino
        assert hand.list_tree() == {"a": None, "a/file": b"newer"}
        assert hand.list_trash() == [("a/file", b"old")]

    def test_trash_keeps_all_that_had_one_path(self, disk: Disk, hand: Hand) -> None:
        stat = disk.write_small("file", b"0", 0o644, AT, None)
        for number in range(1, 4):
            stat = disk.write_small("file", b"%d" % number, 0o644, AT, stat)

        assert sorted(content for _, content in hand.list_trash()) == [b"0", b"1", b"2"]

    def test_file_that_was_edited_is_not_replaced(self, disk: Disk, hand: Hand) -> None:
        before = disk.write_small("file", b"old", 0o644, AT, None)
        hand.write("file", b"edited")

        with pytest.raises(ChangedMeanwhile):
            disk.write_small("file", b"new", 0o644, AT, before)
        with pytest.raises(ChangedMeanwhile):
            disk.make_symlink("file", "new", AT, before)
        staged = disk.stage(3)
        with pytest.raises(ChangedMeanwhile):
            disk.swap_in(staged, "file", 0o644, AT, before)
        staged.drop()
        assert hand.list_tree() == {"file": b"edited"}
        assert not hand.list_trash()

    def test_file_that_is_gone_is_not_written_again(self, disk: Disk, hand: Hand) -> None:
        before = disk.write_small("file", b"old", 0o644, AT, None)
        hand.remove("file")

        with pytest.raises(ChangedMeanwhile):
            disk.write_small("file", b"new", 0o644, AT, before)
        assert not hand.list_tree()

    def test_symlink_is_data(self, disk: Disk, hand: Hand) -> None:
        first = disk.make_symlink("link", "../outside", AT, None)
        second = disk.make_symlink("link", "/etc/passwd", AT + 5, first)

        assert hand.list_tree() == {"link": "/etc/passwd"}
        assert (second.kind, second.mtime_ns) == (Kind.SYMLINK, AT + 5)
        assert disk.find_stat("link") == second
        for target in ("", "a\0b"):
            with pytest.raises(UnsafeName):
                disk.make_symlink("other", target, AT, None)

    def test_many_new_files_get_an_outcome_each(self, disk: Disk, hand: Hand) -> None:
        disk.make_folder("a", 0o755)
        hand.write("a/taken", b"mine")
        names = ["one", "taken", "../up", "two"]

        outcomes = disk.write_many_new("a", [NewFile(n, n.encode(), 0o644, AT) for n in names])

        assert [type(one) for one in outcomes] == [Stat, ChangedMeanwhile, UnsafeName, Stat]
        assert outcomes[0] == disk.find_stat("a/one")
        assert hand.list_tree() == {"a": None, "a/one": b"one", "a/taken": b"mine", "a/two": b"two"}
        with pytest.raises(NotThere):
            disk.write_many_new("none", [NewFile("x", b"", 0o644, AT)])

    def test_staged_file_is_gone_on_with_under_its_key(self, disk: Disk, hand: Hand) -> None:
        kept = disk.stage(8, "ab12")
        kept.write_at(4, b"kept")
        kept.keep()
        kept.drop()

        again = disk.stage(8, "ab12")
        again.write_at(0, b"and ")
        held = again.read_at(4, 4)
        disk.swap_in(again, "large", 0o600, AT, None)
        anew = disk.stage(8, "ab12")

        assert held == b"kept"
        assert hand.read("large") == b"and kept"
        assert not anew.read_at(0, 8).strip(b"\0")
        anew.drop()

    def test_staged_file_without_a_key_is_not_kept(self, disk: Disk) -> None:
        dropped, keyless = disk.stage(4, "cd34"), disk.stage(4)
        for staged in (dropped, keyless):
            staged.write_at(0, b"gone")

        dropped.drop()
        keyless.keep()

        with_key = disk.stage(4, "cd34")
        assert not with_key.read_at(0, 4).strip(b"\0")
        with_key.drop()

    def test_large_file_is_built_out_of_sight(self, disk: Disk, hand: Hand) -> None:
        hand.write("seed", b"0123456789")
        staged = disk.stage(12)
        staged.write_at(8, b"wxyz")
        staged.write_at(0, memoryview(b"2345"))

        assert staged.read_at(0, 4) == b"2345"
        assert list(hand.list_tree()) == ["seed"]
        stat = disk.swap_in(staged, "large", 0o600, AT, None)
        assert hand.read("large") == b"2345\0\0\0\0wxyz"
        assert (stat.size_bytes, stat.mode, stat.mtime_ns) == (12, 0o600, AT)
        assert disk.find_stat("large") == stat
        staged.drop()
        assert hand.read("large") == b"2345\0\0\0\0wxyz"

    def test_large_file_that_ends_in_a_hole_has_its_size(self, disk: Disk, hand: Hand) -> None:
        disk.swap_in(disk.stage(10), "zeros", 0o600, AT, None)

        assert hand.read("zeros") == bytes(10)

    def test_dropping_twice_is_fine(self, disk: Disk, hand: Hand) -> None:
        staged = disk.stage(5)
        staged.write_at(0, b"hello")

        staged.drop()
        staged.drop()

        assert not hand.list_tree()


class ChangingDisk:
    """What is moved, removed or touched is what was meant."""

    def test_move_keeps_the_inode_and_what_is_below(self, disk: Disk, hand: Hand) -> None:
        stat = disk.make_folder("a", 0o755)
        disk.make_folder("b", 0o755)
        disk.write_small("a/file", b"1", 0o644, AT, None)

        moved = disk.move("a", "b/c", stat)

        assert moved.ino == stat.ino
        assert hand.list_tree() == {"b": None, "b/c": None, "b/c/file": b"1"}
        assert disk.read_small("b/c/file", 9)[1] == b"1"
        with pytest.raises(NotThere):
            disk.read_small("a/file", 9)

    def test_move_replaces_nothing(self, disk: Disk, hand: Hand) -> None:
        stat = disk.write_small("one", b"1", 0o644, AT, None)
        disk.write_small("two", b"2", 0o644, AT, None)
        disk.make_folder("folder", 0o755)

        for target in ("two", "folder"):
            with pytest.raises(ChangedMeanwhile):
                disk.move("one", target, stat)
        with pytest.raises(NotThere):
            disk.move("one", "none/one", stat)
        assert hand.list_tree() == {"one": b"1", "two": b"2", "folder": None}

    def test_move_of_something_else_is_refused(self, disk: Disk, hand: Hand) -> None:
        stat = disk.write_small("one", b"1", 0o644, AT, None)
        folder = disk.make_folder("folder", 0o755)
        hand.write("one", b"edited")
        hand.rename("folder", "old")
        hand.make_folder("folder")

        with pytest.raises(ChangedMeanwhile):
            disk.move("one", "two", stat)
        with pytest.raises(ChangedMeanwhile):
            disk.move("folder", "other", folder)
        with pytest.raises(ChangedMeanwhile):
            disk.move("gone", "other", folder)
        assert hand.list_tree() == {"one": b"edited", "old": None, "folder": None}

    def test_folder_does_not_move_into_itself(self, disk: Disk, hand: Hand) -> None:
        stat = disk.make_folder("a", 0o755)

        with pytest.raises(DiskProblem):
            disk.move("a", "a/b", stat)
        assert hand.list_tree() == {"a": None}

    def test_discarded_folder_goes_to_the_trash_whole(self, disk: Disk, hand: Hand) -> None:
        stat = disk.make_folder("a", 0o755)
        disk.make_folder("a/b", 0o755)
        disk.write_small("a/b/file", b"1", 0o644, AT, None)
        disk.write_small("a/other", b"2", 0o644, AT, None)

        disk.discard("a", stat)

        assert not hand.list_tree()
        assert hand.list_trash() == [("a/b/file", b"1"), ("a/other", b"2")]

    def test_folder_goes_to_the_trash_if_it_holds_no_more_than_its_stock(
        self, disk: Disk, hand: Hand
    ) -> None:
        stat = disk.make_folder("a", 0o755)
        disk.make_folder("a/b", 0o755)
        disk.write_small("a/b/file", b"1", 0o644, AT, None)
        other = disk.write_small("a/other", b"2", 0o644, AT, None)
        stock = disk.take_stock("a")
        disk.discard("a/other", other)

        disk.discard("a", stat, stock)

        assert not hand.list_tree()
        assert sorted(content for _, content in hand.list_trash()) == [b"1", b"2"]

    @pytest.mark.parametrize("what", ["new", "edit", "folder", "renamed", "replaced"])
    def test_folder_that_holds_what_its_stock_has_not_stays_whole(
        self, disk: Disk, hand: Hand, what: str
    ) -> None:
        stat = disk.make_folder("a", 0o755)
        disk.make_folder("a/b", 0o755)
        disk.write_small("a/b/file", b"1", 0o644, AT, None)
        stock = disk.take_stock("a")
        if what == "new":
            hand.write("a/b/new", b"2")
        elif what == "edit":
            hand.write("a/b/file", b"12")
        elif what == "folder":
            hand.make_folder("a/b/c")
        elif what == "renamed":
            hand.rename("a/b/file", "a/b/moved")
        else:
            hand.write("a/b/new", b"1")
            hand.remove("a/b/file")
            hand.rename("a/b/new", "a/b/file")
        before = hand.list_tree()

        with pytest.raises(ChangedMeanwhile):
            disk.discard("a", stat, stock)

        assert hand.list_tree() == before
        assert not hand.list_trash()
        disk.discard("a", stat, disk.take_stock("a"))
        assert not hand.list_tree()

    def test_stock_of_what_is_no_folder_cannot_be_taken(self, disk: Disk) -> None:
        disk.write_small("file", b"1", 0o644, AT, None)

        for path in ("gone", "file"):
            with pytest.raises(DiskProblem):
                disk.take_stock(path)

    def test_discard_of_something_else_is_refused(self, disk: Disk, hand: Hand) -> None:
        stat = disk.write_small("file", b"1", 0o644, AT, None)
        hand.write("file", b"edited")

        with pytest.raises(ChangedMeanwhile):
            disk.discard("file", stat)
        with pytest.raises(ChangedMeanwhile):
            disk.discard("gone", stat)
        assert hand.list_tree() == {"file": b"edited"}
        assert not hand.list_trash()

    def test_attributes_are_set_and_shown(self, disk: Disk, hand: Hand) -> None:
        before = disk.write_small("file", b"1", 0o644, AT, None)
        folder = disk.make_folder("folder", 0o755)

        after = disk.set_attributes("file", 0o751, AT + 9, before)

        assert (after.mode, after.mtime_ns, after.ino) == (0o751, AT + 9, before.ino)
        assert disk.find_stat("file") == after
        assert disk.set_attributes("folder", 0o050, AT, folder).mode == 0o750
        with pytest.raises(ChangedMeanwhile):
            disk.set_attributes("file", 0o644, AT, before)
        with pytest.raises(ChangedMeanwhile):
            disk.set_attributes("none", 0o644, AT, before)


class LeadingElsewhere:
    """No name and no link leads out of the folder."""

    @pytest.mark.parametrize("path", [*HOSTILE_PATHS, *CONTROL_PATHS], ids=repr)
    def test_no_path_leads_out_or_into_our_own_folder(
        self, disk: Disk, hand: Hand, path: str
    ) -> None:
        stat = disk.make_folder("a", 0o755)
        mine = disk.write_small("mine", b"1", 0o644, AT, None)
        before = hand.list_tree()
        staged = disk.stage(0)

        for attempt in (
            lambda: disk.write_small(path, b"evil", 0o644, AT, None),
            lambda: disk.make_folder(path, 0o755),
            lambda: disk.make_symlink(path, "evil", AT, None),
            lambda: disk.move("mine", path, mine),
            lambda: disk.move(path, "there", stat),
            lambda: disk.discard(path, stat),
            lambda: disk.take_stock(path),
            lambda: disk.set_attributes(path, 0o777, AT, stat),
            lambda: disk.swap_in(staged, path, 0o644, AT, None),
            lambda: disk.read_small(path, 100),
            lambda: disk.find_stat(path),
            lambda: disk.list_folder(path),
        ):
            with pytest.raises(UnsafeName):
                attempt()
        staged.drop()
        assert hand.list_tree() == before

    def test_links_are_not_followed(self, disk: Disk, hand: Hand) -> None:
        hand.make_folder("real")
        hand.write("real/file", b"1")
        hand.make_symlink("link", "real")

        with pytest.raises(NotThere):
            disk.write_small("link/new", b"evil", 0o644, AT, None)
        with pytest.raises(NotThere):
            disk.read_small("link/file", 100)
        with pytest.raises(NotThere):
            disk.write_many_new("link", [NewFile("new", b"evil", 0o644, AT)])
        assert disk.find_stat("link/file") is None
        assert sorted(hand.list_tree()) == ["link", "real", "real/file"]

    def test_link_put_in_the_place_of_a_folder_is_not_followed(
        self, disk: Disk, hand: Hand
    ) -> None:
        disk.make_folder("a", 0o755)
        disk.write_small("a/file", b"1", 0o644, AT, None)
        hand.rename("a", "b")
        hand.make_symlink("a", "b")

        disk.check_root()

        with pytest.raises(NotThere):
            disk.write_small("a/new", b"evil", 0o644, AT, None)
        assert sorted(hand.list_tree()) == ["a", "b", "b/file"]

    def test_name_that_is_too_long_is_a_problem_of_that_path(self, disk: Disk, hand: Hand) -> None:
        with pytest.raises(NameTooLong):
            disk.write_small("x" * 256, b"1", 0o644, AT, None)
        outcomes = disk.write_many_new("", [NewFile(n, b"", 0o644, AT) for n in ("é" * 128, "y")])

        assert isinstance(outcomes[0], NameTooLong)
        assert list(hand.list_tree()) == ["y"]

    def test_flush_and_purge_do_no_harm(self, disk: Disk, hand: Hand) -> None:
        stat = disk.write_small("file", b"1", 0o644, AT, None)
        disk.flush()

        disk.discard("file", stat)

        assert disk.purge_trash(0) == 0
        assert hand.list_trash() == [("file", b"1")]
        assert disk.purge_trash(1 << 62) == 1
        assert not hand.list_trash()


class DiskSuite(LookingAtDisk, MakingOnDisk, ChangingDisk, LeadingElsewhere):
    """The suite; each test gets a fresh, empty folder."""
