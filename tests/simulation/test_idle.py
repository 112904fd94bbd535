# SPDX-License-Identifier: Apache-2.0
"""A client that has nothing to do does nothing: counted in virtual hours."""

import asyncio
from collections import Counter

import pytest

from drystone.testing.world.running import World
from drystone.testing.world.script import Script
from drystone.testing.world.stage.device import DeviceNature

HOURS = 10
SCANS_PER_HOUR_MAX = 2
"""Full scans come every 30 to 60 minutes."""

LOOKS_PER_SCAN = 5
"""At the root before and after, and into three folders."""

WAKES_PER_HOUR_MAX = 120
"""One in 30 s."""


class Observed(World):
    """A world that counts what clients do to their disks, and at how many moments."""

    def __init__(self, script: Script) -> None:
        self.effects: Counter[tuple[str, str]] = Counter()
        super().__init__(script)

    def note(self, *what: object) -> None:
        super().note(*what)
        self.effects[str(what[0]), str(what[1])] += 1

    def pass_hours(self, hours: float) -> int:
        """Lets time pass; returns at how many moments something was done by anybody."""
        moments: set[float] = set()
        turn = self.timeline._turn

        def counted_turn() -> None:
            turn()
            moments.add(round(self.timeline.time(), 1))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.timeline, "_turn", counted_turn)
            self.timeline.run_until_complete(asyncio.sleep(hours * 3_600))
        return len(moments)


def test_idle_clients_scan_by_their_schedule_and_hardly_wake() -> None:
    world = Observed(Script(5, {"a": DeviceNature(), "b": DeviceNature()}, ()))
    world.begin()
    hand = world.users["a"].deeds
    hand["mkdir"]("d")
    hand["mkdir"]("d/e")
    hand["write"]("d/e/file", 1)
    world.pass_hours(0.1)
    assert world.devices["b"].disk.find("d/e/file") is not None
    world.effects.clear()
    requests = {name: device.link.requests_count for name, device in world.devices.items()}

    moments_count = world.pass_hours(HOURS)

    for name, device in world.devices.items():
        looks_count = world.effects[name, "look"]
        assert 0 < looks_count <= HOURS * SCANS_PER_HOUR_MAX * LOOKS_PER_SCAN
        assert looks_count % LOOKS_PER_SCAN == 0
        assert {effect for who, effect in world.effects if who == name} <= {"look", "phase"}
        assert device.link.requests_count == requests[name]
    assert moments_count <= HOURS * WAKES_PER_HOUR_MAX * len(world.devices)
    world.end()
