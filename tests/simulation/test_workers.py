# SPDX-License-Identifier: Apache-2.0
"""Whole systems whose server has two workers: each request goes to the other one, the database
outlives them, and is put back beneath them."""

import pytest

from drystone.testing.world.drawing import draw_script
from drystone.testing.world.exploring import explore
from drystone.testing.world.script import Script, decode_script

WORLDS = 300
BATCH = 50
SEED_0 = 3_000_000


def draw(seed: int) -> Script:
    """Returns a world of two workers; half of the restored ones are restored while they run."""
    script = draw_script(seed)
    acts = [
        act._replace(deed="put_back", args=())
        if seed % 2 and (act.who, act.deed) == ("server", "restore")
        else act
        for act in script.acts
    ]
    return script.with_acts(acts)._replace(workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEED_0, SEED_0 + WORLDS, BATCH))
def test_fresh_worlds_of_two_workers_hold_all_laws(first: int) -> None:
    findings = [finding for finding in explore(range(first, first + BATCH), draw) if finding]

    assert not findings, "\n".join(finding.show() for finding in findings)


def test_there_are_worlds_whose_database_is_put_back_beneath_workers() -> None:
    deeds = [[act.deed for act in draw(s).acts] for s in range(SEED_0, SEED_0 + WORLDS)]

    assert sum("put_back" in done and "back_up" in done for done in deeds) > 5


def test_script_tells_how_many_workers_there_are() -> None:
    script = draw(SEED_0 + 1)

    assert decode_script(script.encode()) == script
