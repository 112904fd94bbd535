# SPDX-License-Identifier: Apache-2.0
"""What disks tell of themselves, and what a narrow one does once it was widened.

``TraitsSuite`` needs the fixtures of ``DiskSuite``. ``NarrowSuite`` needs ``raw``, an empty disk
that folds case, and ``hand``, the person who works there.
"""

from unicodedata import normalize

import pytest

from drystone.client.adapters.narrow import NarrowDisk, widen
from drystone.client.ports import (
    ChangedMeanwhile,
    Disk,
    DiskProblem,
    NameTooLong,
    NewFile,
    NoSymlinks,
    NotThere,
    Stat,
)
from drystone.core.limits import NAME_BYTES_MAX
from drystone.core.names.standing import MARK
from drystone.testing.conformance.disk import Hand

AT = 1_600_000_001_123_456_789
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


class TraitsSuite:
    """A disk does what its traits say."""

    def test_traits_tell_which_names_are_one(self, disk: Disk) -> None:
        names = disk.traits.names
        put(disk, "Aa")
        put(disk, COMPOSED)

        assert (disk.find_stat("aA") is not None) == names.folds_case
        folds_forms = names.folds_forms or names.changes_forms
        assert (disk.find_stat(DECOMPOSED) is not None) == folds_forms
        assert names.changes_forms or COMPOSED in listed(disk)

    @pytest.mark.parametrize("name", ["a:", "a?b", "a\\b", 'a"b', "a.", "a ", "con", "a\x01b"])
    def test_traits_tell_which_names_are_refused(self, disk: Disk, name: str) -> None:
        names = disk.traits.names
        is_refused = (
            bool(set(name) & names.illegal)
            or name[-1] in names.illegal_last
            or (names.has_devices and name == "con")
        )
        try:
            put(disk, name)
        except DiskProblem:
            assert is_refused
        else:
            assert is_refused != (name in listed(disk))

    def test_traits_tell_whether_symlinks_modes_and_times_are_held(self, disk: Disk) -> None:
        traits, step_ns = disk.traits, disk.traits.mtime_step_ns
        one = disk.write_small("one", b"1", 0o600, AT, None)
        other = disk.write_small("other", b"1", 0o640, AT, None)

        assert ((one.mode, other.mode) == (0o600, 0o640)) == traits.holds_modes
        assert one.mtime_ns == AT // step_ns * step_ns
        if traits.holds_symlinks:
            assert disk.make_symlink("link", "one", AT, None).mtime_ns == one.mtime_ns
        else:
            with pytest.raises(NoSymlinks):
                disk.make_symlink("link", "one", AT, None)

    def test_paths_are_those_of_the_filesystem(self, disk: Disk) -> None:
        assert disk.true_path(f"a{MARK}\uff1a/b") == f"a{MARK}\uff1a/b"
        assert disk.standing_path("a:/b") == "a:/b"


class NarrowSuite:
    """Whatever the journal holds, a widened disk holds, too, and shows by its name."""

    @pytest.fixture
    def disk(self, raw: Disk) -> Disk:
        disk = widen(raw)
        assert isinstance(disk, NarrowDisk)
        return disk

    def test_twins_stand_side_by_side(self, disk: Disk, hand: Hand) -> None:
        for name in ("readme.md", "README.md", "Readme.md"):
            put(disk, name)

        assert listed(disk) == {"readme.md", "README.md", "Readme.md"}
        twins = {f"README (twin{MARK}2).md", f"Readme (twin{MARK}3).md"}
        assert set(hand.list_tree()) == {"readme.md"} | twins
        assert disk.read_small("README.md", 10)[1] == b"README.md"
        assert disk.standing_path("README.md") == f"README (twin{MARK}2).md"
        assert disk.true_path(f"README (twin{MARK}2).md") == "README.md"

    def test_what_stands_is_known_after_a_start_too(self, raw: Disk, disk: Disk) -> None:
        disk.make_folder("Papers", 0o755)
        disk.make_folder("papers", 0o755)
        put(disk, "papers/a")
        put(disk, "papers/A")

        again = widen(raw)

        assert listed(again, "papers") == {"a", "A"}
        assert listed(again, "Papers") == set()
        assert again.read_small("papers/A", 10)[1] == b"papers/A"
        assert again.find_stat("Papers/a") is None

    def test_a_twin_keeps_its_name_when_the_other_one_goes(self, disk: Disk, hand: Hand) -> None:
        first = put(disk, "a")
        put(disk, "A")
        disk.discard("a", first)

        assert listed(disk) == {"A"}
        assert set(hand.list_tree()) == {f"A (twin{MARK}2)"}

    def test_an_absent_twin_is_not_there(self, disk: Disk) -> None:
        stat = put(disk, "a")
        disk.make_folder("f", 0o755)

        assert disk.find_stat("A") is None
        for look in (lambda: disk.read_small("A", 10), lambda: disk.list_folder("F")):
            with pytest.raises(NotThere):
                look()
        assert isinstance(disk.read_many("", ["A", "a"], 10)[0], NotThere)
        for change in (
            lambda: disk.write_small("A", b"2", 0o644, AT, stat._replace(ino=stat.ino + 1)),
            lambda: disk.discard("A", stat._replace(ino=stat.ino + 1)),
        ):
            with pytest.raises(ChangedMeanwhile):
                change()
        assert disk.read_small("a", 10)[1] == b"a"

    def test_folders_that_are_twins_are_not_merged(self, disk: Disk, hand: Hand) -> None:
        disk.list_folder("")
        hand.make_folder("docs")  # Nobody has told us yet.
        disk.make_folder("Docs", 0o755)
        put(disk, "Docs/x")

        assert listed(disk) == {"docs", "Docs"}
        assert listed(disk, "docs") == set()
        assert listed(disk, "Docs") == {"x"}

    def test_a_twin_made_meanwhile_is_not_replaced(self, disk: Disk, hand: Hand) -> None:
        disk.list_folder("")
        hand.write("a", b"by hand")
        put(disk, "A")
        (outcome,) = disk.write_many_new("", [NewFile("Á", b"2", 0o644, AT)])

        assert isinstance(outcome, Stat)
        assert listed(disk) == {"a", "A", "Á"}
        assert disk.read_small("a", 10)[1] == b"by hand"

    def test_many_new_files_may_be_twins(self, disk: Disk) -> None:
        names = ["a", "A", "b", "B", "b"]
        outcomes = disk.write_many_new("", [NewFile(n, n.encode(), 0o644, AT) for n in names])

        assert [type(one) for one in outcomes] == [Stat] * 4 + [ChangedMeanwhile]
        assert listed(disk) == {"a", "A", "b", "B"}
        for name, outcome in zip(names[:4], outcomes, strict=False):
            assert disk.find_stat(name) == outcome

    def test_case_alone_can_be_changed(self, disk: Disk, hand: Hand) -> None:
        put(disk, "f")
        before = put(disk, "name.txt")
        after = disk.move("name.txt", "NAME.txt", before)

        assert after.ino == before.ino
        assert disk.find_stat("NAME.txt") == after
        assert disk.find_stat("name.txt") is None
        assert set(hand.list_tree()) == {"f", "NAME.txt"}

    def test_a_person_changes_case_alone(self, disk: Disk, hand: Hand) -> None:
        put(disk, "name")
        disk.list_folder("")
        hand.rename("name", "NAME")

        assert listed(disk) == {"NAME"}
        assert disk.find_stat("name") is None

    def test_a_person_renames_what_stands_under_another_name(self, disk: Disk, hand: Hand) -> None:
        put(disk, "a")
        stat = put(disk, "A")
        hand.rename(f"A (twin{MARK}2)", "mine")

        assert listed(disk) == {"a", "mine"}
        renamed = disk.find_stat("mine")
        assert renamed is not None
        assert renamed.ino == stat.ino

    def test_moving_keeps_twins_apart(self, disk: Disk) -> None:
        disk.make_folder("f", 0o755)
        put(disk, "f/a")
        stat = put(disk, "A")
        disk.move("A", "f/A", stat)
        folder = disk.find_stat("f")
        assert folder is not None
        disk.move("f", "F", folder)

        assert listed(disk) == {"F"}
        assert listed(disk, "F") == {"a", "A"}
        assert disk.read_small("F/A", 10)[1] == b"A"

    def test_two_names_that_come_to_mean_the_same_are_parted(self, disk: Disk, hand: Hand) -> None:
        put(disk, "a")
        put(disk, "A")
        hand.make_folder("f")
        hand.write("f/A", b"other")
        hand.rename(f"A (twin{MARK}2)", f"f/A (twin{MARK}2)")
        twin = f"A (twin{MARK}2)"

        assert listed(disk, "f") == {"A", twin}
        assert disk.read_small("f/A", 10)[1] == b"other"
        assert disk.read_small(f"f/{twin}", 10)[1] == b"A"
        assert disk.true_path(disk.standing_path(f"f/{twin}")) == f"f/{twin}"
        hand.remove("f/A")
        assert listed(disk, "f") == {twin}

    def test_names_that_look_like_ours_are_kept(self, disk: Disk) -> None:
        names = {f"a (twin{MARK}2)", "a", "A", f"a{MARK}\uff1a", f"{MARK}", f"{MARK}{MARK}"}
        for name in sorted(names):
            put(disk, name)

        assert listed(disk) == names

    def test_a_name_that_would_become_too_long_is_refused(self, disk: Disk) -> None:
        put(disk, "n" * NAME_BYTES_MAX)

        with pytest.raises(NameTooLong):
            put(disk, "N" * NAME_BYTES_MAX)
        (outcome,) = disk.write_many_new("", [NewFile("N" * NAME_BYTES_MAX, b"", 0o644, AT)])
        assert isinstance(outcome, NameTooLong)

    @pytest.mark.parametrize(
        "name", ["a:b", "con", "a.", "a ", "e\u0301", "\u00e9", "a\x01", "\u1100\u1161", "q?.txt"]
    )
    def test_every_name_can_be_held(self, disk: Disk, hand: Hand, name: str) -> None:
        put(disk, name)
        disk.make_folder("f", 0o755)
        disk.make_folder(f"f/{name}", 0o755)
        put(disk, f"f/{name}/{name}")

        assert listed(disk) == {name, "f"}
        assert listed(disk, f"f/{name}") == {name}
        content = disk.read_small(f"f/{name}/{name}", 100)[1]
        assert content == f"f/{name}/{name}".encode()
        told = disk.true_path(next(p for p in hand.list_tree() if p.count("/") == 2))
        assert normalize("NFC", told) == normalize("NFC", f"f/{name}/{name}")


def put(disk: Disk, path: str) -> Stat:
    """Writes a file that holds its own path."""
    return disk.write_small(path, path.encode(), 0o644, AT, None)


def listed(disk: Disk, path: str = "") -> set[str]:
    """Returns the names in a folder."""
    listing = disk.list_folder(path)
    assert not listing.skipped
    names = [one.name for one in listing.observed]
    assert len(names) == len(set(names))
    return set(names)
