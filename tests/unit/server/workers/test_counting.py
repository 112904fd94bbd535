# SPDX-License-Identifier: Apache-2.0
"""Runs of upkeep are counted while they go on, however they end."""

import pytest

from drystone.server.ports.objects import ObjectStoreAway
from drystone.server.ports.watching.measuring import Measures
from drystone.server.workers.collecting import Tally
from drystone.server.workers.counting import count_collecting, count_scrubbing
from drystone.server.workers.scrubbing import ScrubTally
from drystone.testing.fakes.clock import ManualClock
from tests.unit.server.measured import value_of


@pytest.fixture
def measures():
    return Measures()


@pytest.fixture
def clock():
    return ManualClock()


def runs(measures, kind):
    name = "drystone_upkeep_runs_total"
    outcomes = ("done", "broken-off")
    return [value_of(measures, name, kind=kind, outcome=outcome) for outcome in outcomes]


def test_a_run_counts_step_by_step_and_the_next_one_goes_on(measures, clock):
    counts = count_scrubbing(measures, clock)

    def run(tally):
        for _ in range(2):
            tally.packs += 1
            tally.blocks += 5
            clock.advance(3)
            yield 100
        tally.damaged += 1

    tally = ScrubTally()
    steps = counts.follow(tally, run(tally))
    assert next(steps) == 100
    after_one = value_of(measures, "drystone_scrub_blocks_total")
    before = value_of(measures, "drystone_upkeep_last_success_timestamp_seconds", kind="scrub")
    assert list(steps) == [100]
    again = ScrubTally()
    assert list(counts.follow(again, run(again))) == [100, 100]

    assert after_one == 5
    assert before is None, "a run that goes on is none that ended"
    assert value_of(measures, "drystone_scrub_blocks_total") == 20
    assert value_of(measures, "drystone_scrub_found_blocks_total", outcome="damaged") == 2
    assert value_of(measures, "drystone_upkeep_last_duration_seconds", kind="scrub") == 6
    told = value_of(measures, "drystone_upkeep_last_success_timestamp_seconds", kind="scrub")
    assert told == clock.now_ns() / 1e9
    assert runs(measures, "scrub") == [2, 0]


def test_a_run_that_is_broken_off_counts_what_it_did(measures, clock):
    counts, tally = count_collecting(measures, clock), Tally()

    def run():
        tally.retired_packs += 2
        yield 0
        tally.removed_bytes += 70
        tally.troubles.append("one")
        raise ObjectStoreAway("away")

    with pytest.raises(ObjectStoreAway):
        list(counts.follow(tally, run()))

    assert value_of(measures, "drystone_collect_packs_total", outcome="retired") == 2
    assert value_of(measures, "drystone_collect_bytes_total", outcome="removed") == 70
    assert value_of(measures, "drystone_collect_troubles_total") == 1
    assert value_of(measures, "drystone_collect_missing_blocks") is None
    assert runs(measures, "collect") == [0, 1]


def test_a_run_that_is_left_is_neither_done_nor_broken_off(measures, clock):
    counts, tally = count_collecting(measures, clock), Tally()

    def run():
        tally.orphans += 1
        yield 0
        yield 0

    steps = counts.follow(tally, run())
    next(steps)
    steps.close()

    assert value_of(measures, "drystone_collect_packs_total", outcome="orphan") == 1
    assert runs(measures, "collect") == [0, 0]


def test_all_that_is_counted_stands_in_the_tallies(measures, clock):
    """A field that is renamed there is told of here at once."""
    for count, tally in (
        (count_collecting, Tally(missing_blocks=3)),
        (count_scrubbing, ScrubTally()),
    ):
        assert list(count(measures, clock).follow(tally, iter((1, 2)))) == [1, 2]

    assert value_of(measures, "drystone_collect_missing_blocks") == 3
