# SPDX-License-Identifier: Apache-2.0
"""What every engine does with the duties of workers."""

import threading
from collections.abc import Callable

from drystone.core.instant import NS_PER_S
from drystone.server.ports.duties import DutiesUnit
from drystone.server.ports.metadata import Metadata

_DUTY = "collect"
_LASTS_NS = 60 * NS_PER_S
_NOW_NS = 1_700_000_000 * NS_PER_S


class DutiesSuite:
    """Taking, renewing, releasing, following a worker that vanished; clocks that jump."""

    def test_a_duty_is_taken_by_one(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        assert not take(metadata, "two", 1)
        assert not take(metadata, "two", 59)
        assert metadata.read(lambda unit: unit.duties.find_holder(_DUTY)) == "one"

    def test_duties_of_other_names_are_others(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        assert metadata.write(lambda unit: unit.duties.take("scrub", "two", _NOW_NS, _LASTS_NS))
        assert metadata.read(lambda unit: unit.duties.find_holder("nothing")) is None

    def test_the_holder_may_take_it_again(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        assert take(metadata, "one", 50)
        assert not take(metadata, "two", 100)
        assert take(metadata, "two", 110)

    def test_a_renewed_duty_stays(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        assert renew(metadata, "one", 40)
        assert not take(metadata, "two", 99)
        assert take(metadata, "two", 100)

    def test_a_duty_whose_time_is_over_is_taken_over(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        assert take(metadata, "two", 60)
        assert not renew(metadata, "one", 61)
        assert not take(metadata, "one", 62)
        assert holds(metadata, "two")
        assert not holds(metadata, "one")

    def test_time_that_is_over_does_no_harm_while_nobody_follows(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        assert holds(metadata, "one")
        assert renew(metadata, "one", 3_600)
        assert not take(metadata, "two", 3_601)

    def test_a_released_duty_is_free_at_once_and_was_lost(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        release(metadata, "one")
        assert not holds(metadata, "one")
        assert not renew(metadata, "one", 1)
        assert take(metadata, "two", 1)

    def test_only_the_holder_releases(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)
        release(metadata, "two")
        assert holds(metadata, "one")
        release(metadata, "one")
        release(metadata, "one")

    def test_a_clock_that_was_put_back_delays_by_one_lease(self, metadata: Metadata) -> None:
        assert take(metadata, "one", 0)  # ... and it vanished, and the clock goes back an hour.
        assert not take(metadata, "two", -3_600)
        assert not take(metadata, "two", -3_541)
        assert take(metadata, "two", -3_540)

    def test_a_clock_that_was_put_back_takes_nothing_from_who_renews(
        self, metadata: Metadata
    ) -> None:
        assert take(metadata, "one", 0)
        assert not take(metadata, "two", -3_600)
        assert renew(metadata, "one", -3_580)
        assert not take(metadata, "two", -3_530)

    def test_a_clock_that_jumped_ahead_may_take_it_and_the_other_knows(
        self, metadata: Metadata
    ) -> None:
        assert take(metadata, "one", 0)
        assert take(metadata, "two", 7_200)
        assert not renew(metadata, "one", 10)
        assert not holds(metadata, "one")

    def test_of_many_at_once_one_gets_it(self, metadata: Metadata) -> None:
        names = [f"worker {number}" for number in range(4)]
        start = threading.Barrier(len(names))
        winners: list[str] = []

        def run(name: str) -> None:
            start.wait()
            if take(metadata, name, 0):
                winners.append(name)

        threads = [threading.Thread(target=run, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(winners) == 1
        assert holds(metadata, winners[0])

    def test_what_is_written_under_a_duty_is_not_overtaken(self, metadata: Metadata) -> None:
        """Who has asked ``holds`` in a writing unit has the duty until that has ended."""
        assert take(metadata, "one", 0)
        asked, order = threading.Event(), []

        def write(duties: DutiesUnit) -> None:
            assert duties.holds(_DUTY, "one")
            asked.set()
            follower.join(0.2)  # It waits for us; where it does not, it has the time to show it.
            order.append("one wrote")

        def follow() -> None:
            asked.wait(10)
            assert take(metadata, "two", 60)
            order.append("two took it")

        follower = threading.Thread(target=follow)
        follower.start()
        metadata.write(lambda unit: write(unit.duties))
        follower.join()

        assert order == ["one wrote", "two took it"]


def take(metadata: Metadata, holder: str, at_s: int) -> bool:
    """Takes the duty, so many seconds after the beginning of the test."""
    return run(metadata, lambda d: d.take(_DUTY, holder, _NOW_NS + at_s * NS_PER_S, _LASTS_NS))


def renew(metadata: Metadata, holder: str, at_s: int) -> bool:
    """Renews the duty."""
    return run(metadata, lambda d: d.renew(_DUTY, holder, _NOW_NS + at_s * NS_PER_S, _LASTS_NS))


def release(metadata: Metadata, holder: str) -> None:
    """Releases the duty."""
    metadata.write(lambda unit: unit.duties.release(_DUTY, holder))


def holds(metadata: Metadata, holder: str) -> bool:
    """Asks in a writing and in a reading unit of work."""
    told = metadata.read(lambda unit: unit.duties.holds(_DUTY, holder))
    assert run(metadata, lambda duties: duties.holds(_DUTY, holder)) == told
    return told


def run(metadata: Metadata, work: Callable[[DutiesUnit], bool]) -> bool:
    """Runs a writing work on the duties."""
    return metadata.write(lambda unit: work(unit.duties))
