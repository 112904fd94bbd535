# SPDX-License-Identifier: Apache-2.0
"""Two devices and a server: perturb, plan, carry out, until nothing is left to do.

In the manner of Dropbox's CanopyCheck: one random tree, changed on both sides; the plans are
carried out in random order and broken off at random; in the end all agree, nothing is lost
that nobody gave up, and what one side alone did has happened exactly.
"""

from random import Random

import pytest

from drystone.core.journal.change import Create
from drystone.core.planning.plan import MarkSynced, Place, Plan, Replace, Submit
from drystone.core.planning.policy import Traits
from tests.property.planner_device import Device
from tests.property.planner_server import Ids, Server
from tests.property.planner_users import NAMES, Tokens, User

PLAIN = Traits()
ROUNDS_MAX = 12


class World:
    """A server, two devices and their users under one seed."""

    def __init__(self, seed: int, traits: Traits = PLAIN, names=NAMES) -> None:
        self.chance = Random(seed)
        self.server = Server()
        self.tokens = Tokens()
        ids = Ids()
        self.devices = [
            Device("one", self.server, ids, self.chance),
            Device("two", self.server, ids, self.chance, traits),
        ]
        self.users = [User(device.disk, self.tokens, self.chance, names) for device in self.devices]

    def settle(self, *, is_rough: bool = False) -> int:
        """Lets both devices work until nothing changes; returns the rounds that it took.

        A rough world breaks off plans, leaves out steps and reads files late, but only in
        the first rounds.
        """
        for number in range(ROUNDS_MAX):
            is_rough_now = is_rough and number < 3
            done_count = 0
            for device in self.devices:
                if is_rough_now:
                    self.work_roughly(device)
                    continue
                device.pull()
                device.scan()
                plan = device.plan()
                done_count += len(plan.steps)
                device.carry_out(plan)
            if done_count == 0 and not is_rough_now:
                return number
        raise AssertionError(f"not quiet after {ROUNDS_MAX} rounds")

    def work_roughly(self, device: Device) -> None:
        """One round in which anything may be known only in part, or come to an early end."""
        chance = self.chance.random
        if chance() < 0.2:
            device.restart()
        is_all_read = device.pull(self.chance.choice((1, 2, 5, 1 << 30)))
        is_all_seen = chance() < 0.8
        if is_all_seen:
            device.scan(unread_chance=0.2)
        else:
            device.half_scan()
        plan = device.plan(
            local_complete=is_all_seen,
            remote_complete=is_all_read,
            is_any_part=not (is_all_seen and is_all_read) and chance() < 0.5,
        )
        if not is_all_seen or not is_all_read:
            check_adds_only(plan, is_all_seen=is_all_seen, is_all_read=is_all_read)
        device.carry_out(
            plan,
            skip_chance=0.1,
            stop_chance=0.05,
            crash_chance=0.05,
            lost_chance=0.05,
            is_half_seen=not is_all_seen,
        )

    def check_agreement(self) -> None:
        expected = self.server.paths()
        for device in self.devices:
            assert device.disk.paths() == expected
            assert {i: row[0] for i, row in device.synced.items()} == {
                i: s.entry for i, s in self.server.stored.items() if self._lives(i)
            }
            assert device.local == {}
            assert device.remote == {}
            plan = device.plan_for(list(device.synced))
            assert plan.steps == ()
            assert plan.waiting == ()

    def check_no_loss(self) -> None:
        present = set().union(*(d.disk.tokens(d.disk.root) for d in self.devices))
        lost = self.tokens.made - self.tokens.given_up - present
        assert not lost, f"contents {lost} are gone though nobody gave them up"

    def _lives(self, file_id: bytes) -> bool:
        while file_id in self.server.stored:
            if self.server.stored[file_id].is_deleted:
                return False
            file_id = self.server.stored[file_id].entry.parent_id
        return True

    def start(self, count: int) -> None:
        """Gives both devices the same tree."""
        self.users[0].work(count)
        self.settle()
        self.check_agreement()


def check_adds_only(plan: Plan, *, is_all_seen: bool, is_all_read: bool) -> None:
    """While a side is incomplete only what is new on the other side is added to it."""
    for step in plan.steps:
        if isinstance(step, Submit):
            assert is_all_read
            assert isinstance(step.change, Create)
        elif isinstance(step, Place):
            assert is_all_seen
        else:
            # Both have made the same thing; at most its mode and mtime become the server's.
            assert isinstance(step, MarkSynced | Replace)
            if isinstance(step, Replace):
                assert step.before.file_id != step.entry.file_id
                assert step.before.is_same_content(step.entry)


def run_two_sided(seed: int) -> World:
    world = World(seed)
    world.start(world.chance.randrange(4, 16))
    for user in world.users:
        user.work(world.chance.randrange(1, 8))
    world.settle(is_rough=seed % 3 == 0)
    world.check_agreement()
    world.check_no_loss()
    return world


def run_one_sided(seed: int) -> None:
    world = World(seed)
    world.start(world.chance.randrange(4, 16))
    number = world.chance.randrange(2)
    world.users[number].work(world.chance.randrange(1, 10))
    expected = world.devices[number].disk.paths()
    world.settle()
    world.check_agreement()
    assert world.devices[number].disk.paths() == expected
    assert [device.conflicts for device in world.devices] == [[], []]


def run_busy(seed: int) -> None:
    """The users go on while the devices are at work."""
    world = World(seed)
    world.start(world.chance.randrange(4, 16))
    for _ in range(3):
        for device, user in zip(world.devices, world.users, strict=True):
            user.work(world.chance.randrange(4))
            world.work_roughly(device)
    world.settle()
    world.check_agreement()
    world.check_no_loss()


def run_alike(seed: int) -> None:
    """Both users do the very same things: no conflict, no copy."""
    world = World(seed)
    world.start(world.chance.randrange(4, 12))
    deeds = world.chance.randrange(1, 8)
    for device in world.devices:
        tokens = Tokens(first=10_000)
        User(device.disk, tokens, Random(seed)).work(deeds)
    before = world.devices[0].disk.paths()
    assert before == world.devices[1].disk.paths()
    world.settle()
    world.check_agreement()
    assert world.devices[0].disk.paths() == before
    assert not any("conflicted copy" in path for path in before)


def run_unlike(seed: int) -> None:
    """The second disk knows no modes, and times only to 2 microseconds."""
    world = World(seed, Traits(holds_modes=False, mtime_step_ns=2_000))
    one, two = world.devices
    for _ in range(2):
        for user in world.users:
            user.work(world.chance.randrange(1, 8))
        if seed % 3 == 0:
            for device in world.devices:
                world.work_roughly(device)
        world.settle()
        world.check_no_loss()
        expected = world.server.paths()
        assert rounded(one.disk.paths()) == rounded(expected)
        assert not two.waiting
        assert rounded(two.disk.paths()) == rounded(expected)


def rounded(paths: dict[str, tuple]) -> dict[str, tuple]:
    """Leaves out what the lesser disk cannot hold."""
    return {
        path: (kind, token, mtime_ns // 2_000, target)
        for path, (kind, token, _, mtime_ns, target) in paths.items()
    }


RUNS = (run_two_sided, run_one_sided, run_busy, run_alike, run_unlike)


EACH_RUN = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__.removeprefix("run_"))


ONCE_FAILED = (
    (run_two_sided, 709_536),  # a detour broken off where the server had not moved the entry
    (run_busy, 711_030),  # half a scan: two of the disk at one place, both adopted
)


@pytest.mark.parametrize(
    ("run", "seed"), ONCE_FAILED, ids=[f"{run.__name__}-{seed}" for run, seed in ONCE_FAILED]
)
def test_worlds_that_once_failed_converge(run, seed: int) -> None:
    run(seed)


@EACH_RUN
def test_worlds_converge_without_loss(run) -> None:
    for seed in range(250):
        run(seed)


@pytest.mark.slow
@EACH_RUN
@pytest.mark.parametrize("batch", range(2))
def test_many_worlds_converge_without_loss(run, batch: int) -> None:
    for seed in range(1_000 + batch * 1_000, 2_000 + batch * 1_000):
        run(seed)
