# SPDX-License-Identifier: Apache-2.0
"""Shrinking: from a script that breaks a law to a short one that breaks the same.

Delta debugging (Zeller, Hildebrandt 2002): leave out halves, quarters, … single acts, as long as
the same law breaks; then make devices plain and leave out those that nobody needs.
"""

from collections.abc import Iterator, Sequence

from drystone.testing.world.running import run_script
from drystone.testing.world.script import Act, Script
from drystone.testing.world.stage.device import DeviceNature

_RUNS_MAX = 600


def shrink(script: Script, law: str) -> Script:
    """Returns a short script that breaks a law as this one does. Cost: up to 600 runs."""
    return _Shrinking(law).run(script)


class _Shrinking:
    """One search.

    Args:
        law: What the short script has to break.
    """

    def __init__(self, law: str) -> None:
        self._law = law
        self._runs_left = _RUNS_MAX

    def run(self, script: Script) -> Script:
        """Returns the shortest that is found."""
        while True:
            before = script
            script = self._fewer_acts(script)
            for candidate in _plainer(script):
                if self._breaks(candidate):
                    script = candidate
            if script == before:
                return script

    def _fewer_acts(self, script: Script) -> Script:
        parts_count = 2
        while script.acts:
            acts = script.acts
            size = max(1, len(acts) // parts_count)
            without = self._first_that_breaks(
                script, (acts[:i] + acts[i + size :] for i in range(0, len(acts), size))
            )
            if without is not None:
                script = without
                parts_count = max(2, parts_count - 1)
            elif size == 1:
                return script
            else:
                parts_count *= 2
        return script

    def _first_that_breaks(
        self, script: Script, candidates: Iterator[Sequence[Act]]
    ) -> Script | None:
        for acts in candidates:
            candidate = script.with_acts(acts)
            if self._breaks(candidate):
                return candidate
        return None

    def _breaks(self, script: Script) -> bool:
        if self._runs_left <= 0:
            return False
        self._runs_left -= 1
        return run_script(script).law == self._law


def _plainer(script: Script) -> Iterator[Script]:
    """Yields scripts with one thing less that may matter."""
    acting = {act.who for act in script.acts}
    for name in script.devices:
        others = {n: nature for n, nature in script.devices.items() if n != name}
        if name not in acting and len(others) > 1:
            yield script._replace(devices=others)
    for name, nature in script.devices.items():
        for field, value in DeviceNature()._asdict().items():
            if getattr(nature, field) != value:
                changed = nature._replace(**{field: value})
                yield script._replace(devices={**script.devices, name: changed})
