# SPDX-License-Identifier: Apache-2.0
"""Names and paths: what is legal, and what is told about what is not."""

import pytest

from drystone.core import limits
from drystone.core.names.path import (
    InvalidName,
    InvalidPath,
    check_name,
    join_path,
    show_name,
    split_path,
)

LEGAL = ["a", "...", ".hidden", " ", "a\\b", "con", "tab\there", "ä" * 127, "x" * 255, "😀" * 63]
ILLEGAL = [
    "", ".", "..", "/", "a/b", "a\0", "\0", "x" * 256, "ä" * 128, "😀" * 64, "\ud800", "a\udcff",
]  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_name_passes(name):
    check_name(name)


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_name_is_refused(name):
    with pytest.raises(InvalidName) as caught:
        check_name(name)
    assert caught.value.code == "invalid-name"
    # The message goes to terminals and logs, whatever the name holds.
    caught.value.message.encode()


@pytest.mark.parametrize(
    ("path", "names"),
    [("", ()), ("/", ()), ("/a", ("a",)), ("/a/b c/ü", ("a", "b c", "ü"))],
)
def test_a_path_is_its_names(path, names):
    assert split_path(path) == names
    assert split_path(join_path(names)) == names


@pytest.mark.parametrize("path", ["/a/", "//", "/a//b", "/..", "/a/./b", "/a\0", "/\ud800"])
def test_a_path_with_an_illegal_name_is_refused(path):
    with pytest.raises(InvalidName):
        split_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b",
        "/" + "/".join(["x" * 250] * 16),
        "/" + "/".join(["ä" * 120] * 17),
        "/x" * (limits.DEPTH_MAX + 2),
    ],
    ids=["relative", "relative too", "too long", "too long in bytes", "too deep"],
)
def test_an_impossible_path_is_refused(path):
    with pytest.raises(InvalidPath):
        split_path(path)


def test_the_deepest_path_passes():
    assert len(split_path("/x" * (limits.DEPTH_MAX + 1))) == limits.DEPTH_MAX + 1


def test_a_shown_name_is_short_and_printable():
    assert show_name("a b") == "'a b'"
    assert show_name("\x1b[2J\ud800") == r"'\x1b[2J\ud800'"
    assert len(show_name("x" * 10_000)) < 100
