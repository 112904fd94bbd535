# SPDX-License-Identifier: Apache-2.0
"""What rules leave out, and what others would: looked at, and nothing changed."""

import pytest

from drystone.client.steps.scan import Comparison, compare_rules, find_left_out
from drystone.core.names.ignore import Rule
from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeHand


@pytest.fixture
def filled(desk: Desk, hand: FakeHand) -> Desk:
    """``old.log``, ``docs/plan`` are on the server; all else is new."""
    hand.write("old.log", b"12")
    hand.make_folder("docs")
    hand.write("docs/plan", b"1")
    desk.agree()
    hand.write(".drystoneignore", b"*.tmp\n")
    hand.write("new.log", b"123")
    hand.write("docs/x.tmp", b"1")
    hand.make_folder("build")
    hand.write("build/one", b"1234")
    hand.write("build/two.tmp", b"1")
    return desk


def compare(desk: Desk, folder: str, text: str | None) -> Comparison:
    changes = dict(desk.state.local_changes)
    found = compare_rules(desk.disk, desk.state, folder, text)
    assert desk.state.local_changes == changes
    return found


def test_the_rules_in_force_leave_out_what_is_new_and_matches(filled: Desk) -> None:
    found = compare(filled, "", None)

    assert sorted(found.left_out.samples) == ["build/two.tmp", "docs/x.tmp"]
    assert (found.left_out.files_count, found.left_out.size_bytes) == (2, 2)
    assert not found.dropped.files_count + found.taken_in.files_count + found.kept.files_count


def test_other_rules_drop_and_take_in_and_leave_alone_what_the_server_has(filled: Desk) -> None:
    found = compare(filled, "", "*.log\nbuild/\ndocs\n")

    assert sorted(found.dropped.samples) == ["build/", "new.log"]
    assert (found.dropped.files_count, found.dropped.folders_count) == (2, 1)
    assert found.dropped.size_bytes == 3 + 4
    assert sorted(found.kept.samples) == ["docs/", "docs/plan", "old.log"]
    assert sorted(found.left_out.samples) == ["build/two.tmp", "docs/x.tmp"]
    assert not found.taken_in.files_count


def test_no_rules_take_everything_in(filled: Desk) -> None:
    found = compare(filled, "", "")

    assert sorted(found.taken_in.samples) == ["build/two.tmp", "docs/x.tmp"]
    assert not found.dropped.files_count


def test_rules_of_a_folder_stand_on_those_above(filled: Desk) -> None:
    found = compare(filled, "docs", "!*.tmp\n!\n")

    assert found.taken_in.samples == ["docs/x.tmp"]
    assert found.faults == ("!",)
    assert not found.left_out.files_count


def test_what_a_scan_then_finds_is_what_was_told(filled: Desk, hand: FakeHand) -> None:
    text = "*.log\nbuild/\ndocs\n"
    told = compare(filled, "", text)
    hand.write(".drystoneignore", text.encode())

    found = set(filled.see())

    assert not found & {"new.log", "build", "build/one", "docs/x.tmp"}
    assert ".drystoneignore" in found
    assert told.dropped.files_count == 2


def test_why_a_path_is_left_out(filled: Desk) -> None:
    disk, state = filled.disk, filled.state

    found = find_left_out(disk, state, "docs/x.tmp")

    assert found is not None
    assert (found.path, found.rule) == ("docs/x.tmp", Rule(".drystoneignore", 1, "*.tmp"))
    assert find_left_out(disk, state, "old.log") is None
    assert find_left_out(disk, state, "nowhere/x") is None


def test_rules_that_cannot_be_read_leave_out_all_that_is_new(filled: Desk, hand: FakeHand) -> None:
    filled.disk.require(".drystoneignore").is_readable = False

    assert set(filled.see()) == {".drystoneignore"}

    filled.disk.require(".drystoneignore").is_readable = True
    hand.write(".drystoneignore", b"*.tmp\n")
    assert {"new.log", "build/one"} <= set(filled.see())
