# SPDX-License-Identifier: Apache-2.0
"""Laws of "is everything safe?": never yes when anything is unsure."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.instant import NS_PER_S
from drystone.core.limits import LOOKED_AT_S_MAX, SERVER_SILENT_S_MAX, WATCH_LAG_S
from drystone.core.safety import Answer, Evidence, Stop, join, judge

NOW_NS = 1_700_000_000 * NS_PER_S
HALT = Stop("local-emptied", "all is gone", "bring it back")


@dataclass
class Doubt:
    """A field, what it says when all is well, and what raises a doubt."""

    name: str
    fine: st.SearchStrategy[Any]
    bad: st.SearchStrategy[Any]
    answer: Answer


COUNTS = st.integers(1, 1 << 40)
NOTHING = st.just(0)
DOUBTS = [
    Doubt("is_paused", st.just(False), st.just(True), Answer.NO),
    Doubt("stop", st.none(), st.just(HALT), Answer.NO),
    Doubt("problems_count", NOTHING, COUNTS, Answer.NO),
    Doubt(
        "silent_s",
        st.floats(0, SERVER_SILENT_S_MAX),
        st.floats(SERVER_SILENT_S_MAX, math.inf, exclude_min=True),
        Answer.NO,
    ),
    Doubt("is_looking", st.just(False), st.just(True), Answer.NOT_YET),
    Doubt("is_hinted", st.just(False), st.just(True), Answer.NOT_YET),
    Doubt("scanned_ns", st.integers(1, NOW_NS), st.just(0), Answer.NOT_YET),
    Doubt("local_count", NOTHING, COUNTS, Answer.NOT_YET),
    Doubt("unread_count", NOTHING, COUNTS, Answer.NOT_YET),
    Doubt("remote_count", NOTHING, COUNTS, Answer.NOT_YET),
    Doubt("is_behind", st.just(False), st.just(True), Answer.NOT_YET),
    Doubt("doubtful_count", NOTHING, COUNTS, Answer.NOT_YET),
    Doubt("is_flushed", st.just(True), st.just(False), Answer.NOT_YET),
    Doubt("kept_by", st.just(""), st.just("process 1"), Answer.NOT_YET),
]
NO_DOUBTS = {  # what only says how fast, how much, or since when
    *("now_ns", "is_kept", "is_watched", "local_bytes", "remote_bytes", "bytes_per_s"),
    *("left_s", "settled_ns"),
}
EACH = pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.name)

FINE = st.fixed_dictionaries({doubt.name: doubt.fine for doubt in DOUBTS})
ANY = st.builds(
    Evidence,
    now_ns=st.just(NOW_NS),
    is_kept=st.booleans(),
    is_watched=st.booleans(),
    settled_ns=st.integers(0, NOW_NS),
    **{doubt.name: doubt.fine | doubt.bad for doubt in DOUBTS},
)


def evidence(fields: dict[str, Any], **others: Any) -> Evidence:
    """Returns evidence of a folder that is watched and kept, unless told otherwise."""
    return Evidence(NOW_NS, **{"is_kept": True, "is_watched": True, **fields, **others})


def test_every_field_raises_a_doubt_or_cannot() -> None:
    named = {doubt.name for doubt in DOUBTS}

    assert named | NO_DOUBTS == set(Evidence._fields)
    assert not named & NO_DOUBTS


@given(FINE)
def test_without_any_doubt_the_answer_is_yes(fields: dict[str, Any]) -> None:
    safety = judge(evidence(fields))

    assert (safety.answer, safety.reasons) == (Answer.YES, ())
    assert fields["scanned_ns"] <= safety.as_of_ns <= NOW_NS
    assert safety.as_of_ns in (fields["scanned_ns"], NOW_NS - WATCH_LAG_S * NS_PER_S)


@EACH
@given(st.data())
def test_one_doubt_is_enough(doubt: Doubt, data: st.DataObject) -> None:
    fields = data.draw(FINE)
    spoiled = {**fields, doubt.name: data.draw(doubt.bad)}
    safety = judge(evidence(spoiled))

    assert safety.answer == doubt.answer
    assert safety.reasons
    # Where nobody is at work, what needs time needs somebody.
    assert judge(evidence(spoiled, is_kept=False)).answer == Answer.NO


@EACH
@given(ANY, st.data())
def test_a_doubt_more_makes_no_answer_better(
    doubt: Doubt, before: Evidence, data: st.DataObject
) -> None:
    after = before._replace(**{doubt.name: data.draw(doubt.bad)})
    if doubt.name == "scanned_ns":
        return  # Who has not looked at all yet is not asked when it heard from the server.

    assert judge(after).answer >= judge(before).answer


@given(ANY)
def test_yes_means_that_there_is_no_reason(any_evidence: Evidence) -> None:
    safety = judge(any_evidence)

    assert (safety.answer == Answer.YES) == (not safety.reasons)
    assert len({reason.code for reason in safety.reasons}) == len(safety.reasons)


@given(FINE, st.integers(0, 10 * LOOKED_AT_S_MAX))
def test_an_unwatched_folder_is_safe_as_of_its_last_scan_and_not_for_long(
    fields: dict[str, Any], age_s: int
) -> None:
    scanned_ns = NOW_NS - age_s * NS_PER_S
    safety = judge(evidence({**fields, "scanned_ns": scanned_ns}, is_watched=False))

    if age_s <= LOOKED_AT_S_MAX:
        assert (safety.answer, safety.as_of_ns) == (Answer.YES, scanned_ns)
    else:
        assert safety.answer == Answer.NOT_YET


@given(st.lists(ANY, min_size=1, max_size=4))
def test_several_folders_are_as_safe_as_the_worst(all_evidence: list[Evidence]) -> None:
    each = [judge(one) for one in all_evidence]
    together = join(each)

    assert together.answer == max(one.answer for one in each)
    assert set(together.reasons) == {reason for one in each for reason in one.reasons}
    assert together.as_of_ns == min(one.as_of_ns for one in each)
    assert join(reversed(each)).answer == together.answer
    worst = [one.reasons for one in each if one.answer == together.answer]
    assert together.reasons[:1] in [reasons[:1] for reasons in worst]


def test_where_nothing_is_synced_nothing_is_safe() -> None:
    assert join([]).answer == Answer.NO


def test_a_client_that_has_only_begun_is_not_blamed_for_silence() -> None:
    assert judge(Evidence(NOW_NS, is_kept=True)).answer == Answer.NOT_YET
    assert judge(Evidence(NOW_NS)).answer == Answer.NO
