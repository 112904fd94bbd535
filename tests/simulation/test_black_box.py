# SPDX-License-Identifier: Apache-2.0
"""The simulator seen from outside: reads, writes and rest, as "Mysteries of Dropbox" asks.

The machine has to find fault with services that are broken on purpose: else it would prove nothing.
"""

from collections.abc import Sequence

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from drystone.client.loop.planning import Planning
from drystone.core.planning.plan import Discard, SetAside
from drystone.testing.blackbox.folders import Folders
from drystone.testing.blackbox.machine import FolderMachine
from drystone.testing.blackbox.model import Model, Unexplained
from drystone.testing.blackbox.simulated import SimulatedFolders

LOOKING = settings(
    max_examples=1_000, stateful_step_count=15, phases=[Phase.generate], report_multiple_bugs=False
)
"""How hard it looks for what is broken on purpose; what it finds need not be made short."""


class SimulatedMachine(FolderMachine):
    def open_folders(self, devices_count: int, seed: int) -> Folders:
        return SimulatedFolders(devices_count, seed)


class TestSimulated(SimulatedMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=25, stateful_step_count=30)


@pytest.mark.slow
class TestSimulatedLong(SimulatedMachine.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=120, stateful_step_count=50)


# --- the model ---------------------------------------------------------------------------------


def test_what_one_wrote_the_other_finds_sooner_or_later() -> None:
    model = Model(2)
    model.write(0, b"one", None)
    model.read(1, None)
    model.read(1, b"one")

    with pytest.raises(Unexplained, match="device 1 has nothing"):
        model.read(1, None)


def test_overwritten_value_of_somebody_else_has_to_be_kept() -> None:
    model = Model(2)
    model.write(0, b"one", None)
    model.write(1, b"two", None)

    with pytest.raises(Unexplained, match="be: 'one' beside 'two'; 'two' beside 'one'"):
        model.rest(b"one", [])
    model.rest(b"one", [b"two"])
    with pytest.raises(Unexplained):
        model.rest(b"one", [])


def test_overwritten_value_that_was_seen_need_not_be_kept() -> None:
    model = Model(2)
    model.write(0, b"one", None)
    model.write(1, b"two", b"one")

    with pytest.raises(Unexplained):
        model.rest(b"two", [b"one"])
    model.rest(b"two", [])


def test_same_content_is_no_conflict() -> None:
    model = Model(2)
    model.write(0, b"one", None)
    model.write(1, b"one", None)

    with pytest.raises(Unexplained):
        model.rest(b"one", [b"one"])
    model.rest(b"one", [])


def test_who_writes_back_what_was_there_may_have_written_nothing() -> None:
    model, other = Model(2, b"old"), Model(2, b"old")
    for one in (model, other):
        one.write(0, b"new", b"old")
        one.write(0, b"old", b"new")
        one.write(1, None, b"old")

    model.rest(b"old", [])
    other.rest(None, [])


def test_edit_survives_a_deletion_and_nothing_else_does() -> None:
    model, other = Model(2, b"old"), Model(2, b"old")
    model.write(0, None, b"old")
    model.write(1, b"new", b"old")
    other.write(0, None, b"old")

    model.rest(b"new", [])
    with pytest.raises(Unexplained, match="all have 'old'"):
        other.rest(b"old", [])


# --- services that are broken on purpose -------------------------------------------------------


class PlainFolders:
    """Implements ``Folders`` as simply as it can be done, or with a fault.

    Args:
        devices_count: How many there are.
        fault: Of ``lose``, ``resurrect``, ``copy`` (of what is the same), ``differ``, or none.
    """

    def __init__(self, devices_count: int, fault: str = "") -> None:
        self.devices_count = devices_count
        self._fault = fault
        self._stable: dict[str, bytes] = {}
        self._local: list[dict[str, bytes]] = [{} for _ in range(devices_count)]
        self._synced: list[dict[str, bytes]] = [{} for _ in range(devices_count)]
        self._away: set[int] = set()

    def read(self, device: int, path: str) -> bytes | None:
        return self._local[device].get(path)

    def write(self, device: int, path: str, content: bytes) -> bytes | None:
        before = self.read(device, path)
        self._local[device][path] = content
        return before

    def delete(self, device: int, path: str) -> bytes | None:
        return self._local[device].pop(path, None)

    def go_on(self, device: int, much: int) -> None:
        if much and device not in self._away:
            self._sync(device)

    def leave(self, device: int) -> None:
        self._away.add(device)

    def come_back(self, device: int) -> None:
        self._away.discard(device)

    def rest(self) -> Sequence[dict[str, bytes]]:
        self._away.clear()
        for _ in range(2):
            for device in range(self.devices_count):
                self._sync(device)
        found = [dict(local) for local in self._local]
        if self._fault == "differ" and len(found[0]) > 2:
            found[1].popitem()
        return found

    def close(self) -> None:
        pass

    def _sync(self, device: int) -> None:
        local, synced, stable = self._local[device], self._synced[device], self._stable
        for path in sorted(local.keys() | synced.keys() | stable.keys()):
            here, base, there = local.get(path), synced.get(path), stable.get(path)
            if here == base or (here is None and there != base and self._fault != "resurrect"):
                continue
            if here is None and self._fault == "resurrect":
                continue
            is_same = here == there and self._fault != "copy"
            if there in (base, None) or is_same or self._fault == "lose":
                _put(stable, path, here)
            elif here is not None:
                stem, dot, suffix = path.partition(".")
                name = f"{stem} (conflicted copy, {device}, {len(stable)}){dot}{suffix}"
                stable[name] = here
        self._local[device], self._synced[device] = dict(stable), dict(stable)


def _put(values: dict[str, bytes], path: str, value: bytes | None) -> None:
    if value is None:
        values.pop(path, None)
    else:
        values[path] = value


def machine_for(fault: str) -> type[FolderMachine]:
    class Machine(FolderMachine):
        def open_folders(self, devices_count: int, seed: int) -> Folders:
            return PlainFolders(devices_count, fault)

    return Machine


def test_plain_service_is_in_order() -> None:
    run_state_machine_as_test(machine_for(""), settings=LOOKING)


@pytest.mark.parametrize("fault", ["lose", "resurrect", "copy", "differ"])
def test_fault_is_found(fault: str) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine_for(fault), settings=LOOKING)


def test_planner_that_throws_the_loser_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_all = Planning.plan_all

    def forget(planning: Planning) -> object:
        plan = plan_all(planning)
        steps = [
            Discard(step.before) if isinstance(step, SetAside) else step for step in plan.steps
        ]
        return plan._replace(steps=tuple(steps))

    monkeypatch.setattr(Planning, "plan_all", forget)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(SimulatedMachine, settings=LOOKING)
