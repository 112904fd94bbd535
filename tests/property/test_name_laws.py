# SPDX-License-Identifier: Apache-2.0
"""Laws of names: whatever the text, an answer; and the answers agree with each other."""

import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.errors import Refused
from drystone.core.limits import NAME_BYTES_MAX
from drystone.core.names.conflicted import conflicted_name
from drystone.core.names.folding import fold_name
from drystone.core.names.path import (
    InvalidName,
    check_name,
    find_name_fault,
    join_path,
    show_name,
    split_path,
)

ANY_TEXT = st.text(st.characters())
HOSTILE_TEXT = st.text(st.sampled_from("ab./\0\ud800ä😀 \n\u0308")) | ANY_TEXT
LEGAL_NAMES = HOSTILE_TEXT.filter(lambda text: not find_name_fault(text))


@given(HOSTILE_TEXT)
def test_a_name_is_legal_or_refused_with_a_printable_reason(name):
    if find_name_fault(name):
        with pytest.raises(InvalidName) as caught:
            check_name(name)
        assert caught.value.message.isprintable()
    else:
        check_name(name)
        assert 0 < len(name.encode()) <= NAME_BYTES_MAX
        assert not set(name) & {"/", "\0"}
        assert name not in {".", ".."}


@given(st.lists(LEGAL_NAMES, max_size=10))
def test_names_make_a_path_and_come_out_of_it(names):
    with suppress(Refused):
        assert split_path(join_path(names)) == tuple(names)


@given(HOSTILE_TEXT)
def test_a_path_is_read_or_refused(path):
    try:
        names = split_path(path)
    except Refused:
        return
    assert join_path(names) == path.rstrip("/")
    for name in names:
        check_name(name)


@given(st.text())
def test_folding_twice_is_folding_once(name):
    folded = fold_name(name)
    assert fold_name(folded) == folded


def test_each_character_folds_to_what_folds_to_itself():
    surrogates = range(0xD800, 0xE000)
    changed = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if code not in surrogates and fold_name(folded := fold_name(chr(code))) != folded
    ]
    assert not changed


@given(st.text(st.characters(codec="utf-8")))
def test_case_does_not_matter(name):
    # Upper-casing is not always undone by folding alone (dotless i), but it settles.
    upper = fold_name(name.upper())
    assert fold_name(upper) == upper
    assert fold_name(name.swapcase().swapcase().casefold()) == fold_name(name.swapcase().swapcase())


@given(LEGAL_NAMES, HOSTILE_TEXT, HOSTILE_TEXT, st.integers(0, 4))
def test_a_conflicted_copy_has_a_legal_name_of_its_own(name, device, date_text, taken_count):
    taken = {name}
    for _ in range(taken_count + 1):
        copy = conflicted_name(name, device, date_text, taken)
        check_name(copy)
        assert copy not in taken
        taken.add(copy)


@given(HOSTILE_TEXT)
def test_any_text_can_be_shown(text):
    assert show_name(text).isprintable()
