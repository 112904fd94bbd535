# SPDX-License-Identifier: Apache-2.0

from collections import Counter

import pytest

from drystone.server.faces.native.advice import (
    BELLS_PER_S,
    LEAST_S,
    SPREAD_S_MAX,
    SPREAD_S_MIN,
    advise_request_s,
    advise_s,
)


@pytest.mark.parametrize("bells_count", [2_000, 10_000])
def test_devices_that_are_told_to_come_again_come_no_faster_than_they_are_greeted(bells_count):
    seconds = Counter(int(advise_s(bells_count) - LEAST_S) for _ in range(bells_count))
    spread_s = bells_count // BELLS_PER_S

    # Each second has its share, but for what chance does to it.
    assert set(range(spread_s)) <= seconds.keys() <= set(range(spread_s + 1))
    assert max(seconds.values()) < BELLS_PER_S * 1.5
    assert min(seconds[second] for second in range(spread_s)) > BELLS_PER_S * 0.5


@pytest.mark.parametrize(
    ("bells_count", "spread_s"), [(0, SPREAD_S_MIN), (10, SPREAD_S_MIN), (10**9, SPREAD_S_MAX)]
)
def test_a_few_wait_for_the_restart_and_many_not_for_ever(bells_count, spread_s):
    told = [advise_s(bells_count) for _ in range(2_000)]

    assert min(told) >= LEAST_S
    assert LEAST_S + spread_s * 0.9 < max(told) <= LEAST_S + spread_s


def test_refused_requests_are_spread_too():
    assert len({round(advise_request_s(), 1) for _ in range(1_000)}) > 15
