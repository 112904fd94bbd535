# SPDX-License-Identifier: Apache-2.0
"""Conflicted-copy names: legal, free, and telling."""

import pytest

from drystone.core.names.conflicted import conflicted_name
from drystone.core.names.path import check_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notes.txt", "notes (conflicted copy, laptop, 2024-05-01).txt"),
        ("notes", "notes (conflicted copy, laptop, 2024-05-01)"),
        ("a.tar.gz", "a.tar (conflicted copy, laptop, 2024-05-01).gz"),
        (".bashrc", ".bashrc (conflicted copy, laptop, 2024-05-01)"),
        ("..x", "..x (conflicted copy, laptop, 2024-05-01)"),
        ("ends.", "ends. (conflicted copy, laptop, 2024-05-01)"),
        ("Ende. " + "y" * 33, "Ende. " + "y" * 33 + " (conflicted copy, laptop, 2024-05-01)"),
    ],
)
def test_the_mark_stands_before_the_extension(name, expected):
    assert conflicted_name(name, "laptop", "2024-05-01", ()) == expected


def test_a_taken_name_gets_a_number():
    first = conflicted_name("a.c", "pc", "d", ())
    second = conflicted_name("a.c", "pc", "d", {first})
    third = conflicted_name("a.c", "pc", "d", {first, second})
    assert [first, second, third] == [
        "a (conflicted copy, pc, d).c",
        "a (conflicted copy, pc, d, 2).c",
        "a (conflicted copy, pc, d, 3).c",
    ]


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "😀" * 60 + ".jpeg", "x" * 250 + ".txt"])
def test_a_long_name_is_shortened_at_a_character(name):
    copy = conflicted_name(name, "phone", "2024-05-01", ())
    check_name(copy)
    assert "(conflicted copy, phone, 2024-05-01)" in copy
    assert copy.startswith(name[:40])
    assert copy.endswith((")", name.rpartition(".")[2]))


def test_shortened_names_are_numbered_too():
    taken = set()
    for _ in range(12):
        taken.add(conflicted_name("ä" * 127, "pc", "d", taken))
    assert len(taken) == 12
    for name in taken:
        check_name(name)


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        ("../../etc", "....etc"),
        ("a\nb\x00c\x1b", "abc"),
        ("  my   pc ", "my pc"),
        ("\ud800", "a device"),
        ("", "a device"),
        ('<b>:*?"|\\', "b"),
        ("ü" * 500, "ü" * 32),
    ],
)
def test_only_what_may_stand_in_a_name_is_taken_from_the_device(device, shown):
    name = conflicted_name("f", device, "d", ())
    check_name(name)
    assert name == f"f (conflicted copy, {shown}, d)"
