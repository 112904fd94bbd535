# SPDX-License-Identifier: Apache-2.0
"""Two devices, each with some folders unselected at random: what is not selected leaves the disk,
stays on the server whatever is done around it, and comes back.
"""

from random import Random

import pytest

from drystone.core.ids import ROOT_ID, FileId
from drystone.core.journal.record import StoredEntry
from drystone.core.planning.plan import Discard, Plan, Submit
from drystone.core.planning.policy import Policy
from drystone.core.tree.entry import Kind
from tests.property.planner_device import Device
from tests.property.planner_server import Server, path_of, token_of
from tests.property.test_planner_fuzz import World


def living(server: Server, hidden: set[FileId] = frozenset()) -> dict[FileId, StoredEntry]:
    """Returns what lives on the server and in none of these folders; the folders not either."""
    entries = {i: s.entry for i, s in server.stored.items() if not s.is_deleted}
    found = {}
    for file_id in entries:
        above, is_hidden = file_id, False
        while above in entries:
            is_hidden |= above in hidden
            above = entries[above].parent_id
        if above == ROOT_ID and not is_hidden:
            found[file_id] = server.stored[file_id]
    return found


class SelectiveDevice(Device):
    """A device on which folders are unselected. It knows those, and nothing below them."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.unselected: set[FileId] = set()
        self.leaving: set[FileId] = set()
        """What was to be discarded though it lives on the server. It survives everything: that it
        is not here must not be taken for a deletion, also if it was never noted that it left.
        """

    def pull(self, limit: int = 1 << 30) -> bool:
        is_all = super().pull(limit)
        if not is_all:
            return False
        visible = living(self.server, self.unselected)
        for stored in visible.values():
            self.note_remote(stored)
        # Of what is not selected only the topmost folders are known, and what is still here.
        for file_id in list(self.remote):
            if file_id not in self.synced and file_id not in visible:
                del self.remote[file_id]
        for file_id in self.unselected:
            stored = self.server.stored[file_id]
            if not stored.is_deleted and stored.entry.parent_id in {ROOT_ID, *visible}:
                self.note_remote(stored)
        return True

    def policy(self, **changes) -> Policy:
        return super().policy(unselected=frozenset(self.unselected), **changes)

    def plan(self, **changes) -> Plan:
        is_any_part = changes.pop("is_any_part", False)
        self._forget_left(changes)
        candidates = list(dict.fromkeys([*self.local, *self.remote, *self.unselected]))
        self._chance.shuffle(candidates)
        if is_any_part:
            candidates = candidates[: self._chance.randrange(len(candidates) + 1)]
        plan = self.plan_for(candidates, **changes)
        self.leaving |= {
            step.before.file_id
            for step in plan.steps
            if isinstance(step, Discard)
            and step.before.file_id in living(self.server)
            and step.before.file_id not in living(self.server, self.unselected)
        }
        return plan

    def _forget_left(self, changes: dict) -> None:
        if not (changes.get("local_complete", True) and changes.get("remote_complete", True)):
            return
        visible = living(self.server, self.unselected)
        for file_id in list(self.leaving):
            if file_id not in self.synced:
                self.leaving.discard(file_id)
            elif file_id in visible:
                self.leaving.discard(file_id)
                if file_id in self.local and self.local[file_id][0] is None:
                    self._forget_below(file_id)
                    self.local.pop(file_id, None)
                    for stored in visible.values():
                        self.note_remote(stored)


class SelectiveWorld(World):
    """Two such devices, and people who select."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        ids = self.devices[0]._ids
        self.devices = [
            SelectiveDevice(name, self.server, ids, self.chance) for name in ("one", "two")
        ]
        for device, user in zip(self.devices, self.users, strict=True):
            user._disk = device.disk

    def choose(self, device: SelectiveDevice) -> None:
        """Somebody selects or unselects a folder of a device."""
        if device.unselected and self.chance.random() < 0.4:
            device.unselected.discard(self.chance.choice(sorted(device.unselected)))
            return
        entries = living(self.server, device.unselected).values()
        folders = [s.entry.file_id for s in entries if s.entry.kind == Kind.FOLDER]
        if folders:
            device.unselected.add(self.chance.choice(folders))

    def select_all(self) -> None:
        for device in self.devices:
            device.unselected.clear()

    def check_selected(self) -> None:
        """Each disk holds what is selected of the server's tree, and nothing else."""
        everything = self.server.paths()
        entries = {i: s.entry for i, s in self.server.stored.items() if not s.is_deleted}
        for device in self.devices:
            visible = living(self.server, device.unselected)
            expected = {path_of(entries, file_id) for file_id in visible}
            assert device.disk.paths() == {path: everything[path] for path in expected}
            assert device.synced.keys() == visible.keys()
            assert device.local == {}
            assert device.remote.keys() <= device.unselected

    def check_server_keeps(self) -> None:
        kept = {
            token_of(s.entry.content)
            for s in living(self.server).values()
            if s.entry.kind == Kind.FILE
        }
        lost = self.tokens.made - self.tokens.given_up - kept
        assert not lost, f"contents {lost} are gone though nobody gave them up"


def run_choices_alone(seed: int) -> None:
    """Whatever is selected and unselected, the server hears nothing of it."""
    world = SelectiveWorld(seed)
    world.start(world.chance.randrange(6, 20))
    before, head = world.server.paths(), world.server.head
    for _ in range(world.chance.randrange(1, 5)):
        for device in world.devices:
            world.choose(device)
            device.pull()
            device.scan()
            plan = device.plan()
            assert not any(isinstance(step, Submit) for step in plan.steps)
            device.carry_out(plan, skip_chance=0.1, stop_chance=0.05)
    world.settle()
    world.check_selected()

    world.select_all()
    world.settle()
    world.check_agreement()
    assert (world.server.paths(), world.server.head) == (before, head)
    assert [device.conflicts for device in world.devices] == [[], []]


def run_renamed_elsewhere(seed: int) -> None:
    """What another device does with an unselected folder as a whole moves nothing here."""
    world = SelectiveWorld(seed)
    world.start(world.chance.randrange(6, 20))
    one, two = world.devices
    entries = living(world.server).values()
    tops = [s.entry for s in entries if s.entry.kind == Kind.FOLDER]
    if not tops:
        return
    folder = world.chance.choice(tops)
    two.unselected.add(folder.file_id)
    world.settle()
    before = two.disk.paths()
    parent, name, node = next(
        found for found in one.disk.walk() if found[2].ino == one.synced[folder.file_id][1]
    )
    del parent.children[name]
    one.disk.root.children["renamed"] = node

    one.scan()
    one.carry_out(one.plan())
    two.pull()
    plan = two.plan()

    assert not plan.steps
    assert two.disk.paths() == before
    world.settle()
    world.check_selected()


def run_at_work(seed: int) -> None:
    """People work, select and unselect while the devices are at it."""
    world = SelectiveWorld(seed)
    world.start(world.chance.randrange(4, 16))
    for _ in range(4):
        for device, user in zip(world.devices, world.users, strict=True):
            user.work(world.chance.randrange(4))
            if world.chance.random() < 0.5:
                world.choose(device)
            world.work_roughly(device)
    world.settle()
    world.check_selected()
    world.check_server_keeps()

    world.select_all()
    world.settle()
    world.check_agreement()
    world.check_no_loss()


RUNS = (run_choices_alone, run_renamed_elsewhere, run_at_work)
EACH_RUN = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__.removeprefix("run_"))


@EACH_RUN
def test_what_is_not_selected_stays_on_the_server(run) -> None:
    for seed in range(250):
        run(seed)


@pytest.mark.slow
@EACH_RUN
def test_many_worlds_with_selections(run) -> None:
    for seed in range(1_000, 3_000):
        run(seed)


def test_unselecting_discards_and_deletes_nothing() -> None:
    for seed in range(50):
        world = SelectiveWorld(seed)
        world.start(12)
        device = world.devices[Random(seed).randrange(2)]
        world.choose(device)
        device.pull()
        device.scan()

        plan = device.plan()

        assert all(isinstance(step, Discard) for step in plan.steps)
        assert len(plan.steps) <= 1
