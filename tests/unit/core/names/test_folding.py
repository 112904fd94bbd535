# SPDX-License-Identifier: Apache-2.0
"""Folding: which names are the same name."""

import pytest

from drystone.core.names.folding import fold_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("README", "readme"),
        ("Ä", "a\u0308"),
        ("straße", "STRASSE"),
        ("ﬁle", "FILE"),
        ("\u212b", "å"),
        ("Σ", "ς"),
        ("\u0390", "\u1fd3"),
        # Combining marks in another order, of which folding makes one a letter.
        ("\u1fb4", "\u03b1\u0345\u0301"),
    ],
)
def test_names_that_readers_take_for_one_fold_to_one(one, other):
    assert one != other
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "b"), ("a", "ä"), ("l", "1"), ("I", "\u0131"), ("a", "\u0430"), ("2", "²")],
)
def test_names_that_only_look_alike_stay_apart(one, other):
    assert fold_name(one) != fold_name(other)
