# SPDX-License-Identifier: Apache-2.0
"""Exploring: many seeds, one after the other; what breaks is shrunk and told."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import NamedTuple

from drystone.testing.world.drawing import draw_script
from drystone.testing.world.running import Verdict, run_script
from drystone.testing.world.script import Script
from drystone.testing.world.shrinking import shrink

_FINDINGS_MAX = 20
"""Of one worker: who finds more has found one thing many times."""
_WORLDS_PER_COLLECTION = 25
"""Between two collections of what the worlds left behind: about 50 MB."""


class Finding(NamedTuple):
    """A seed whose world broke a law, and the shortest script that does so too."""

    seed: int
    verdict: Verdict
    script: Script

    def show(self) -> str:
        """Returns it for people: the seed, the law, and what to do to see it again."""
        acts = "\n".join(map(str, self.script.acts))
        return (
            f"seed {self.seed} broke {self.verdict.law!r}: {self.verdict.what}\n"
            f"{acts}\nTo see it, save this and run python -m drystone.testing.world replay FILE:\n"
            f"{self.script.encode()}"
        )


def explore(
    seeds: Iterable[int],
    draw: Callable[[int], Script] = draw_script,
    *,
    go_on: Callable[[], bool] = lambda: True,
) -> Iterator[Finding | None]:
    """Runs the world of each seed; yields None, or what it found, for each.

    Args:
        seeds: Which.
        draw: Makes their scripts.
        go_on: Asked before each; ends it.
    """
    for number, seed in enumerate(seeds):
        if not go_on():
            return
        if number % _WORLDS_PER_COLLECTION == 0:
            gc.collect()
        script = draw(seed)
        verdict = run_script(script)
        if not verdict.law:
            yield None
            continue
        short = shrink(script, verdict.law)
        yield Finding(seed, run_script(short), short)


class Order(NamedTuple):
    """What one worker does: each so many-th seed from one on, until a moment.

    Attributes:
        first: The first seed.
        step: To the next one.
        until_s: By ``time.monotonic``.
    """

    first: int
    step: int
    until_s: float


def explore_until(order: Order) -> tuple[list[Finding], int]:
    """Carries out an order; returns what was found, and in how many worlds."""
    found: list[Finding] = []
    worlds_count = 0

    def go_on() -> bool:
        return time.monotonic() < order.until_s and len(found) < _FINDINGS_MAX

    for finding in explore(count(order.first, order.step), go_on=go_on):
        worlds_count += 1
        if finding is not None:
            found.append(finding)
    return found, worlds_count
