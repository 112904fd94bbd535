# SPDX-License-Identifier: Apache-2.0
"""A step by which an entry leaves its place can be split in two."""

import pytest

from drystone.core.ids import ROOT_ID
from drystone.core.journal.change import Delete, Move
from drystone.core.names.detour import is_detour_name
from drystone.core.planning.plan import Discard, Place, SetAside, Shift, Submit
from drystone.core.planning.progress import Noted, advance
from drystone.core.planning.temporary import split_at_detour
from tests.unit.core.planning.trees import file, make_id

HERE = file(1, "here", text="edited")
AGREED = file(1, "here", text="agreed")


def test_shift_first_gets_out_of_the_way_and_synced_keeps_its_place() -> None:
    there = {"parent_id": make_id(7), "name": "there"}
    step = Shift(HERE, HERE._replace(**there), AGREED._replace(**there))

    first, rest = split_at_detour(step, HERE, make_id(9))

    assert isinstance(first, SetAside)
    assert is_detour_name(first.entry.name)
    assert first == SetAside(HERE, HERE._replace(name=first.entry.name))
    assert advance(first) == Noted(HERE.file_id, first.entry)
    assert rest == Shift(first.entry, step.entry, step.agreed)


def test_discard_is_of_what_was_moved_away() -> None:
    first, rest = split_at_detour(Discard(HERE), HERE, make_id(9))

    assert isinstance(first, SetAside)
    assert rest == Discard(first.entry)


def test_submitted_move_arrives_from_the_temporary_name() -> None:
    entry = HERE._replace(name="there")
    step = Submit(Move(HERE.file_id, ROOT_ID, "there", ROOT_ID, "here"), entry)

    first, rest = split_at_detour(step, HERE, make_id(9))

    assert isinstance(first, Submit)
    assert first.entry is not None
    name = first.entry.name
    assert first.change == Move(HERE.file_id, ROOT_ID, name, ROOT_ID, "here")
    assert rest == Submit(Move(HERE.file_id, ROOT_ID, "there", ROOT_ID, name), entry)


def test_submitted_deletion_is_the_same_afterwards() -> None:
    step = Submit(Delete(HERE.file_id, HERE.rev), None)

    first, rest = split_at_detour(step, HERE, make_id(9))

    assert isinstance(first, Submit)
    assert isinstance(first.change, Move)
    assert rest is step


def test_other_steps_vacate_nothing() -> None:
    with pytest.raises(AssertionError, match="does not vacate"):
        split_at_detour(Place(HERE), HERE, make_id(9))
