# SPDX-License-Identifier: Apache-2.0
"""What a round is to look at, and when there is something to do."""

import pytest

from drystone.client.loop.waking import Deadlines, Look, Looks
from drystone.client.ports import Hints
from drystone.core.ids import Seq


def taken() -> Looks:
    """Returns looks from which a first round took all there was."""
    looks = Looks()
    looks.take(Seq(0))
    return looks


def test_in_the_beginning_everything_is_to_be_looked_at() -> None:
    assert Looks().take(Seq(9)) == Look(Hints(frozenset(), all=True), pull=True, head_told=-1)


def test_what_was_taken_is_not_taken_again() -> None:
    looks = taken()

    assert not looks.has_hints
    assert not looks.needs_pull(Seq(0))
    assert looks.take(Seq(0)) == Look(Hints(frozenset()), pull=False, head_told=0)


def test_hints_are_gathered() -> None:
    looks = taken()
    looks.hint(Hints(frozenset({"a"})))
    looks.hint_folders({"b", "a"})

    assert looks.has_hints
    assert looks.take(Seq(0)).hints == Hints(frozenset({"a", "b"}))


@pytest.mark.parametrize(
    ("heads", "needed"),
    [((5,), False), ((6,), True), ((6, 4), True), ((0,), True), ((0, 5), False)],
)
def test_server_is_asked_if_the_bell_told_more_than_is_known(
    heads: tuple[int, ...], needed: bool
) -> None:
    looks = taken()
    for head in heads:
        looks.tell_head(head)

    assert looks.needs_pull(Seq(5)) is needed


def test_round_that_failed_leaves_its_part_to_the_next() -> None:
    looks = taken()
    looks.hint_folders({"a"})
    looks.tell_head(6)
    look = looks.take(Seq(5))
    looks.hint_folders({"b"})
    looks.tell_head(7)
    looks.put_back(look)

    assert looks.take(Seq(5)) == Look(Hints(frozenset({"a", "b"})), pull=True, head_told=7)


@pytest.mark.parametrize("is_before", [True, False])
def test_doubt_outlives_a_round_that_failed(is_before: bool) -> None:
    looks = taken()
    if is_before:
        looks.doubt_head()
    look = looks.take(Seq(5))
    if not is_before:
        looks.doubt_head()
    looks.put_back(look)

    assert looks.needs_pull(Seq(5))


def test_deadlines_come_when_their_time_is_over() -> None:
    now_s = 100.0
    deadlines = Deadlines(lambda: now_s)
    deadlines.set("soon", 2.0)
    deadlines.set("later", 5.0)

    assert not deadlines.is_due("soon")
    assert deadlines.find_wait_s(["soon", "later", "never"], 60.0) == 2.0
    assert deadlines.find_wait_s(["never"], 60.0) == 60.0
    now_s = 103.0
    assert deadlines.is_due("soon")
    assert not deadlines.is_due("later")
    assert deadlines.find_wait_s(["soon", "later"], 60.0) == 0.0
    deadlines.drop("soon")
    deadlines.drop("soon")
    assert not deadlines.is_due("soon")
    assert deadlines.find_wait_s(["soon", "later"], 60.0) == 2.0
