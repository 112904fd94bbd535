# SPDX-License-Identifier: Apache-2.0
"""Names and kinds that cannot be synced as they are: told, and everything else goes on."""

import os
from pathlib import Path

import pytest

from drystone.testing.real_devices import converge


@pytest.fixture
def pair(join):
    """Two devices of one account."""
    return join("one"), join("two")


def test_name_that_is_not_utf8_is_told_and_others_go_on(pair):
    one, two = pair
    one.write("good", b"good")
    strange = os.path.join(os.fsencode(one.folder), b"bad\xff")
    Path(os.fsdecode(strange)).write_bytes(b"kept here")

    one.sync()
    two.sync()

    assert sorted(two.look()) == ["good"]
    assert list(one.list_problems().values()) == ["name-not-utf8"]
    assert Path(os.fsdecode(strange)).read_bytes() == b"kept here"

    Path(os.fsdecode(strange)).rename(one.folder / "fine")
    converge(one, two)
    assert sorted(two.look()) == ["fine", "good"]
    assert one.list_problems() == {}


def test_folder_that_appears_as_a_file_on_the_other_side_keeps_both(pair):
    one, two = pair
    one.write("thing/inside", b"in a folder")
    two.write("thing", b"a file")

    one.sync()
    two.sync()
    converge(one, two)

    contents = {look.content for look in two.look().values() if look.kind == "file"}
    assert contents == {b"in a folder", b"a file"}
    assert one.look() == two.look()
    assert one.list_problems() == {}


def test_folder_replaced_by_a_file_arrives_as_one(pair):
    one, two = pair
    one.write("thing/inside", b"in a folder")
    converge(one, two)
    (one.folder / "thing" / "inside").unlink()
    (one.folder / "thing").rmdir()
    one.write("thing", b"now a file")

    converge(one, two)

    assert [(path, look.content) for path, look in two.look().items()] == [("thing", b"now a file")]


def test_special_file_is_told_and_others_go_on(pair):
    one, two = pair
    one.write("good", b"good")
    os.mkfifo(one.folder / "pipe")

    one.sync()
    two.sync()

    assert sorted(two.look()) == ["good"]
    assert one.list_problems() == {"pipe": "special-file"}
