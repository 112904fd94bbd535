# SPDX-License-Identifier: Apache-2.0
"""What is renamed to a name that cannot be synced stays as it was on the other devices."""

import os
from pathlib import Path

import pytest

from drystone.testing.real_devices import RealDevice, converge


@pytest.fixture
def pair(join):
    """Two devices of one account."""
    return join("one"), join("two")


def strange(device: RealDevice, folder: str = "") -> Path:
    """Returns a path whose name is not UTF-8."""
    return Path(os.fsdecode(os.path.join(os.fsencode(device.folder / folder), b"bad\xff")))


def test_renamed_file_stays_elsewhere_until_its_name_can_be_synced(pair):
    one, two = pair
    one.write("docs/report", b"first")
    converge(one, two)

    (one.folder / "docs" / "report").rename(strange(one, "docs"))
    one.sync()
    two.sync()
    assert two.read("docs/report") == b"first"
    assert one.list_problems() == {"docs/bad\\xff": "name-not-utf8"}
    assert "'report'" in one.told.problems[0].message

    # Others go on with it, and with all else.
    two.write("docs/report", b"second")
    two.write("docs/more", b"more")
    two.sync()
    one.sync()
    assert one.read("docs/more") == b"more"
    assert strange(one, "docs").read_bytes() == b"first"
    assert one.list_problems() == {"docs/bad\\xff": "name-not-utf8"}

    strange(one, "docs").rename(one.folder / "docs" / "final")
    converge(one, two)
    assert two.read("docs/final") == b"second"
    assert sorted(two.look()) == ["docs", "docs/final", "docs/more"]


def test_renamed_file_is_deleted_elsewhere_once_it_is_deleted_here(pair):
    one, two = pair
    one.write("report", b"first")
    one.write("other", b"other")
    converge(one, two)
    (one.folder / "report").rename(strange(one))
    one.sync()
    two.sync()
    assert sorted(two.look()) == ["other", "report"]

    strange(one).unlink()

    converge(one, two)
    assert sorted(two.look()) == ["other"]


def test_renamed_folder_stays_elsewhere_with_all_below(pair):
    one, two = pair
    one.write("docs/a/report", b"first")
    one.write("other", b"other")
    converge(one, two)

    (one.folder / "docs").rename(strange(one))
    one.sync()
    two.write("docs/a/new", b"new")
    two.sync()
    one.sync()
    assert sorted(two.look()) == ["docs", "docs/a", "docs/a/new", "docs/a/report", "other"]
    assert one.list_problems() == {"bad\\xff": "name-not-utf8"}

    strange(one).rename(one.folder / "papers")
    converge(one, two)
    assert two.read("papers/a/report") == b"first"
    assert one.read("papers/a/new") == b"new"
    assert "docs" not in two.look()


def test_file_deleted_elsewhere_meanwhile_is_made_again_with_its_new_name(pair):
    one, two = pair
    one.write("report", b"first")
    one.write("other", b"other")
    converge(one, two)
    (one.folder / "report").rename(strange(one))
    one.sync()
    (two.folder / "report").unlink()
    two.sync()
    one.sync()
    assert strange(one).read_bytes() == b"first"

    strange(one).rename(one.folder / "final")

    converge(one, two)
    assert two.read("final") == b"first"


def test_path_that_became_too_long_is_told_and_goes_on_once_it_is_shorter(pair):
    one, two = pair
    if len(str(one.folder)) > 90:
        pytest.skip("this system could not open the longest path that is synced")
    above = "/".join(["d" * 200] * 19 + ["e" * 120])
    one.write(f"a/{above}/child", b"first")
    one.write("other", b"other")
    converge(one, two)

    long = "a" * 60
    (one.folder / "a").rename(one.folder / long)
    one.sync()
    two.sync()
    two.write(f"{long}/{above}/child", b"second")
    two.write("other", b"goes on")
    for device in (two, one):
        device.sync()
        assert device.list_problems() == {f"{long}/{above}/child": "path-too-long"}
    assert one.read("other") == b"goes on"

    (one.folder / long).rename(one.folder / "b")
    one.sync()
    converge(two, one)
    assert one.read(f"b/{above}/child") == b"second"
