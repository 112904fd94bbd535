# SPDX-License-Identifier: Apache-2.0
"""Two names of one file: on other devices they are two files of the same content."""

import os
from collections.abc import Callable

import pytest

from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess
from tests.integration.disks.tools import Journal, kept

RUNNING = pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
CONTENT = b"as it was " * 20_000


class Linked:
    """Two devices; on the first, ``d/a`` and ``e/b`` are names of one file."""

    def __init__(self, join: Callable[..., RealDevice], server: ServerProcess) -> None:
        self.one, self.two = join("one"), join("two")
        self.journal = Journal(server, self.one.account)
        self.one.write("d/a", CONTENT)
        (self.one.folder / "e").mkdir()
        (self.one.folder / "e/b").hardlink_to(self.one.folder / "d/a")
        self.sent = self.one.sync().traffic.sent_bytes
        converge(self.one, self.two)
        self.journal.take_new()

    def after(self, do: Callable[[], object], *, is_running: bool) -> dict[str, int]:
        """Returns what was written down of a deed, once all hold the same."""
        if is_running:
            with kept(self.one, self.two):
                do()
        else:
            do()
        converge(self.one, self.two)
        return self.journal.count_new()


@pytest.fixture
def linked(join: Callable[..., RealDevice], shared_server: ServerProcess) -> Linked:
    return Linked(join, shared_server)


def test_content_is_sent_once_and_makes_two_files(linked: Linked) -> None:
    there = linked.two.folder
    assert linked.sent < len(CONTENT) * 3 // 2
    assert not (there / "d/a").samefile(there / "e/b")
    assert linked.two.read("e/b") == CONTENT


@RUNNING
def test_edit_through_one_name_is_an_edit_of_both(linked: Linked, is_running: bool) -> None:
    def edit() -> None:
        with (linked.one.folder / "d/a").open("ab") as file:
            file.write(b"and more")

    found = linked.after(edit, is_running=is_running)

    assert found == {"edit": 2}
    assert linked.two.read("d/a") == linked.two.read("e/b") == CONTENT + b"and more"


@RUNNING
@pytest.mark.parametrize("name", ["d/a", "e/b"])
def test_rename_of_one_name_is_a_move_of_that(linked: Linked, name: str, is_running: bool) -> None:
    folder = linked.one.folder
    found = linked.after(lambda: (folder / name).rename(folder / "c"), is_running=is_running)

    assert found == {"move": 1}


@RUNNING
@pytest.mark.parametrize("name", ["d/a", "e/b"])
def test_removal_of_one_name_is_a_deletion_of_that(
    linked: Linked, name: str, is_running: bool
) -> None:
    found = linked.after((linked.one.folder / name).unlink, is_running=is_running)

    assert found == {"delete": 1}


@RUNNING
def test_both_renamed_are_two_moves(linked: Linked, is_running: bool) -> None:
    folder = linked.one.folder

    def rename() -> None:
        (folder / "d/a").rename(folder / "e/a")
        (folder / "e/b").rename(folder / "d/b")

    assert linked.after(rename, is_running=is_running) == {"move": 2}


def test_third_name_is_a_new_file(linked: Linked) -> None:
    folder = linked.one.folder
    found = linked.after(lambda: os.link(folder / "e/b", folder / "d/c"), is_running=False)

    assert found == {"create": 1}


def test_name_given_before_the_old_one_is_removed_is_a_move(linked: Linked) -> None:
    """As programs rename that must not replace anything."""
    one = linked.one
    one.write("single", b"single")
    linked.after(lambda: None, is_running=False)

    def link_and_unlink() -> None:
        (one.folder / "moved").hardlink_to(one.folder / "single")
        (one.folder / "single").unlink()

    assert linked.after(link_and_unlink, is_running=False) == {"move": 1}


@RUNNING
def test_edit_elsewhere_comes_back_to_that_name_only(linked: Linked, is_running: bool) -> None:
    one, two = linked.one, linked.two
    found = linked.after(lambda: two.write("d/a", b"edited there"), is_running=is_running)

    assert found == {"edit": 1}
    assert one.read("d/a") == b"edited there"
    assert one.read("e/b") == CONTENT
    assert not (one.folder / "d/a").samefile(one.folder / "e/b")


@RUNNING
def test_edits_of_both_elsewhere_come_back(linked: Linked, is_running: bool) -> None:
    one, two = linked.one, linked.two

    def edit() -> None:
        two.write("d/a", b"edited there")
        two.write("e/b", b"edited too")

    assert linked.after(edit, is_running=is_running) == {"edit": 2}
    assert (one.read("d/a"), one.read("e/b")) == (b"edited there", b"edited too")


def test_edit_of_one_name_here_and_of_the_other_there_conflict(linked: Linked) -> None:
    """Who edits one name has edited both: so it meets what the other device wrote."""
    one, two = linked.one, linked.two
    two.write("e/b", b"edited there")
    two.sync()
    with (one.folder / "d/a").open("ab") as file:
        file.write(b"and more")
    converge(one, two)

    assert one.read("d/a") == CONTENT + b"and more"
    assert one.read("e/b") == b"edited there"
    (copy,) = [path for path in one.look() if "conflicted copy" in path]
    assert one.read(copy) == CONTENT + b"and more"
