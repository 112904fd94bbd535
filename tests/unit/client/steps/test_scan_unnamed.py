# SPDX-License-Identifier: Apache-2.0
"""A name that cannot be synced is no deletion of what stood under another one before."""

import pytest

from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeDisk

BAD = "b" * 300


@pytest.fixture
def desk() -> Desk:
    desk = Desk(FakeDisk())
    hand = desk.disk.hand
    hand.make_folder("folder")
    hand.make_folder("other")
    hand.write("folder/old", b"old")
    hand.write("file", b"file")
    desk.agree()
    return desk


@pytest.mark.parametrize("where", ["folder", "other"])
@pytest.mark.parametrize("hints", [(), ("folder", "other")], ids=["full", "hinted"])
def test_renamed_file_is_not_missing_until_it_is_gone(desk: Desk, where: str, hints) -> None:
    hand = desk.disk.hand
    file_id = desk.find("folder/old").file_id

    hand.rename("folder/old", f"{where}/{BAD}")
    assert desk.see(*hints) == {}
    assert desk.scan.unnamed_ids == {file_id}
    (problem,) = desk.state.problems()
    assert (problem.path, problem.code) == (f"{where}/{BAD}", "name-too-long")
    assert "'old'" in problem.message

    hand.write(f"{where}/{BAD}", b"edited")
    assert desk.see(*hints) == {}

    hand.remove(f"{where}/{BAD}")
    assert list(desk.see(where)) == ["-folder/old"]
    assert desk.scan.unnamed_ids == frozenset()
    assert desk.state.problems() == []


def test_renamed_file_is_moved_once_its_name_can_be_synced(desk: Desk) -> None:
    hand = desk.disk.hand
    file_id = desk.find("folder/old").file_id
    hand.rename("folder/old", f"other/{BAD}")
    desk.see()

    hand.rename(f"other/{BAD}", "other/new")

    assert list(desk.see("other")) == ["other/new"]
    assert desk.find("other/new").file_id == file_id
    assert desk.scan.unnamed_ids == frozenset()
    assert desk.state.problems() == []


def test_renamed_folder_is_not_missing_nor_is_what_is_in_it(desk: Desk) -> None:
    hand = desk.disk.hand
    folder_id = desk.find("folder").file_id

    hand.rename("folder", BAD)
    assert desk.see("", "folder") == desk.see() == {}
    assert desk.scan.unnamed_ids == {folder_id}

    hand.rename(BAD, "new")
    assert list(desk.see("")) == ["new"]
    assert desk.find("new/old")


def test_what_was_missed_first_is_found_again(desk: Desk) -> None:
    hand = desk.disk.hand
    hand.rename("folder/old", f"other/{BAD}")
    assert list(desk.see("folder")) == ["-folder/old"]

    assert desk.see("other") == {}


def test_new_file_in_the_old_place_is_an_edit(desk: Desk) -> None:
    hand = desk.disk.hand
    hand.rename("folder/old", f"folder/{BAD}")
    desk.see()

    hand.write("folder/old", b"another")

    assert list(desk.see("folder")) == ["folder/old"]
    assert desk.scan.unnamed_ids == frozenset()


def test_second_name_of_a_file_in_its_place_says_nothing(desk: Desk) -> None:
    desk.disk.hand.link("file", BAD)

    assert desk.see() == {}
    assert desk.scan.unnamed_ids == frozenset()
    (problem,) = desk.state.problems()
    assert "'file'" not in problem.message


def test_new_file_with_such_a_name_keeps_nothing_back(desk: Desk) -> None:
    hand = desk.disk.hand
    hand.write(BAD, b"new")
    hand.remove("file")

    assert list(desk.see()) == ["-file"]
