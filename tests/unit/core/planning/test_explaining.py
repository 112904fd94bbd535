# SPDX-License-Identifier: Apache-2.0
"""Every step and every conflict has a rule that a person can be told."""

import re
from typing import get_args

import pytest

from drystone.core.ids import ROOT_ID, FileId, Rev
from drystone.core.journal.change import Delete, Move
from drystone.core.planning import explaining
from drystone.core.planning.explaining import Decision, explain
from drystone.core.planning.plan import (
    Conflict,
    ConflictKind,
    Place,
    Plan,
    RenewLocal,
    Step,
    Submit,
)
from drystone.core.tree.entry import Entry, Kind

ONE, TWO = FileId(bytes(15) + b"\x01"), FileId(bytes(15) + b"\x02")


def folder(file_id: FileId) -> Entry:
    return Entry(file_id, ROOT_ID, "a", Kind.FOLDER, None, 0o755, 0, "", Rev(1))


def codes(plan: Plan, *file_ids: FileId) -> list[str]:
    return [decision.code for decision in explain(plan, file_ids)]


def test_every_kind_of_step_change_and_conflict_has_a_rule() -> None:
    steps = set(get_args(Step)) - {Submit}
    changes = set(get_args(Submit.__annotations__["change"]))

    assert set(explaining._STEPS) == steps
    assert set(explaining._CHANGES) == changes
    assert set(explaining._CONFLICTS) == set(ConflictKind)


@pytest.mark.parametrize(
    "decision", [*explaining._STEPS.values(), *explaining._CHANGES.values()], ids=lambda d: d.code
)
def test_rules_have_stable_codes_and_plain_words(decision: Decision) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", decision.code)
    assert decision.message[0].islower()
    assert not decision.message.endswith(".")


def test_only_what_concerns_the_entry_is_told_the_gravest_first() -> None:
    plan = Plan(
        steps=(
            Place(folder(TWO)),
            Submit(Move(ONE, ROOT_ID, "b", ROOT_ID, "a"), folder(ONE)),
            Submit(Delete(TWO, Rev(1)), None),
        ),
        conflicts=(Conflict(ConflictKind.MOVE_MOVE, ONE, "a", "a (conflicted copy)"),),
        waiting=(TWO,),
    )

    assert codes(plan, ONE) == ["move-move", "send-move"]
    assert codes(plan, TWO) == ["fetch-new", "send-deletion", "waits"]
    assert codes(plan, FileId(bytes(15) + b"\x03")) == []
    assert "a (conflicted copy)" in explain(plan, [ONE])[0].message


def test_what_lives_on_under_a_new_id_is_found_by_its_old_one() -> None:
    plan = Plan((RenewLocal(folder(ONE), folder(TWO)),), (), ())

    assert codes(plan, ONE) == codes(plan, TWO) == ["change-beats-deletion"]
