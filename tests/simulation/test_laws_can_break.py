# SPDX-License-Identifier: Apache-2.0
"""Each law breaks when the product is broken on purpose: else it would guard nothing."""

from random import Random

import pytest

from drystone.client.loop.planning import Planning
from drystone.client.steps.pull import Pull
from drystone.core.ids import FileId, Rev
from drystone.core.planning.plan import Discard, Plan, RenewLocal
from drystone.core.tree.entry import Kind
from drystone.server.storage.metadata_memory.units import MemoryTree
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.fakes.disk import Inode
from drystone.testing.world.checkers import Held, Paths, check_no_false_conflict, check_no_loss
from drystone.testing.world.ledger import Broken, Ledger
from drystone.testing.world.running import World, run_script
from drystone.testing.world.script import Act, Script
from drystone.testing.world.shrinking import shrink
from drystone.testing.world.stage.device import DeviceNature
from drystone.testing.world.stage.disk import WorldDisk
from drystone.testing.world.stage.timeline import Endless, Standstill, Timeline

TWO = {"a": DeviceNature(), "b": DeviceNature()}
QUIET = Script(
    1,
    TWO,
    (
        Act(1.0, "a", "write", ("one", 1)),
        Act(2.0, "a", "mkdir", ("d",)),
        Act(3.0, "b", "write", ("two", 2)),
        Act(10.0, "b", "move", ("one", "d/one")),
        Act(20.0, "a", "write", ("two", 3)),
        Act(30.0, "b", "remove", ("d",)),
    ),
)


def test_what_is_in_order_breaks_no_law() -> None:
    verdict = run_script(QUIET, keeps_trace=True)

    assert not verdict.law
    assert any("'d/one'" in line for line in verdict.lines)


ENCRYPTED = Script(
    1,
    TWO,
    (
        Act(1.0, "a", "fill", (500_000, 60)),
        Act(200.0, "a", "encrypt", (501_000,)),
    ),
)


def test_noise_waits_for_a_human_and_is_then_everywhere() -> None:
    verdict = run_script(ENCRYPTED, keeps_trace=True)

    assert not verdict.law, verdict.what
    assert any("'agree', 'a', 'local-mass-rewrite'" in line for line in verdict.lines)


def test_guard_that_lets_noise_pass_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drystone.client.loop.planning.find_rewrite_halt", lambda *_: None)

    assert run_script(ENCRYPTED).law == "held"


def test_half_a_file_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    put = WorldDisk._put

    def tear(disk, inode, path, expected):
        inode.content = inode.content[: len(inode.content) // 2]
        return put(disk, inode, path, expected)

    monkeypatch.setattr(WorldDisk, "_put", tear)

    assert run_script(QUIET).law == "whole"


def test_device_that_does_not_listen_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Pull.note

    def turn_away(pull, page):
        return note(pull, page._replace(entries=[e for e in page.entries if e.seq != 1]))

    monkeypatch.setattr(Pull, "note", turn_away)

    assert run_script(QUIET).law


def test_deletion_of_what_is_only_here_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_all = Planning.plan_all

    def discard(planning: Planning) -> Plan:
        state = planning._parts.world.state
        mine = state.local.children(bytes(16)).get("two")
        plan = plan_all(planning)
        if mine is None or planning._parts.world.device_name != "a":
            return plan
        return Plan((Discard(mine),), (), (), ())

    monkeypatch.setattr(Planning, "plan_all", discard)

    assert run_script(QUIET).law in {"no loss", "convergence", "rest"}


def test_lost_block_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    put_many = MemoryObjects.put_many

    def damage(objects, parts):
        put_many(objects, [(name, [b"".join(content)[:-1] + b"?"]) for name, content in parts])

    monkeypatch.setattr(MemoryObjects, "put_many", damage)

    assert run_script(QUIET).law in {"readable", "rest"}


def test_deleted_file_that_comes_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_all = Planning.plan_all

    def keep(planning: Planning) -> Plan:
        plan = plan_all(planning)
        new_id = planning._parts.world.new_file_id
        steps = [
            RenewLocal(step.before, step.before._replace(file_id=new_id(), rev=Rev(0)))
            if isinstance(step, Discard)
            else step
            for step in plan.steps
        ]
        return plan._replace(steps=tuple(steps))

    monkeypatch.setattr(Planning, "plan_all", keep)
    acts = (Act(1.0, "a", "write", ("one", 1)), Act(30.0, "b", "remove", ("one",)))

    assert run_script(Script(1, TWO, acts)).law == "no return"


def test_other_mode_on_another_device_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Pull.note

    def lock(pull, page):
        entries = [s._replace(entry=s.entry._replace(mode=0o600)) for s in page.entries]
        return note(pull, page._replace(entries=entries))

    monkeypatch.setattr(Pull, "note", lock)

    assert run_script(QUIET.with_acts(QUIET.acts[:1])).law == "attributes"


def test_commit_that_is_decided_anew_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryTree, "find_idempotent", lambda *_: None)

    assert run_script(QUIET).law == "repeat"


def test_cursor_that_leaves_something_out_is_seen() -> None:
    class Forgetful(World):
        def _judge(self) -> Held:
            for mirror in self.server.told.mirrors.values():
                mirror.pop(next(iter(mirror), None), None)
            return super()._judge()

    script = QUIET.with_acts(QUIET.acts[:3])
    assert not World(script).run().law
    assert Forgetful(script).run().law == "cursor"


ONE, OTHER = FileId(b"1" * 16), FileId(b"2" * 16)


def test_content_lost_as_one_entry_though_destroyed_as_another_is_seen() -> None:
    ledger = Ledger(lambda who, inode: (ONE, True))
    inode = Inode(Kind.FILE, 1, 0)
    inode.content = b"same"
    ledger.write("a", b"same")
    ledger.write("b", b"same")
    ledger.destroy("a", inode)

    check_no_loss(ledger, Held({}, {}, {b"same": {ONE}}), [])
    with pytest.raises(Broken, match="only in the history"):
        check_no_loss(ledger, Held({}, {}, {b"same": {ONE, OTHER}}), [])


def test_conflict_with_the_same_is_seen() -> None:
    ledger = Ledger()
    ledger.write("a", b"same")
    paths: Paths = {"d/x.txt": b"same", "d/x (conflicted copy, b, 2026-11-21).txt": b"same"}

    with pytest.raises(Broken, match="is the same as"):
        check_no_false_conflict(ledger, Held(paths, {}, {}))
    ledger.write("b", b"same")
    check_no_false_conflict(ledger, Held(paths, {}, {}))


def test_gap_in_the_journal_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    find_record = MemoryTree.find_record
    monkeypatch.setattr(
        MemoryTree,
        "find_record",
        lambda tree, namespace, seq: None if seq == 2 else find_record(tree, namespace, seq),
    )

    assert run_script(QUIET).law == "gapless"


def test_loop_that_falls_over_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_):
        raise KeyError("planted")

    monkeypatch.setattr(Planning, "plan_all", fall)
    verdict = run_script(QUIET)

    assert verdict.law == "no defect"
    assert "planted" in verdict.what


def test_script_is_shrunk_to_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    put = WorldDisk._put

    def tear(disk, inode, path, expected):
        if path == "two":
            inode.content = b"torn"
        return put(disk, inode, path, expected)

    monkeypatch.setattr(WorldDisk, "_put", tear)
    short = shrink(QUIET, "whole")

    assert [act.deed for act in short.acts] == ["write"]
    assert short.acts[0].args[0] == "two"


def test_world_that_waits_for_nothing_is_ended() -> None:
    async def wait() -> None:
        await Timeline.create_future(timeline)

    timeline = Timeline(Random(1))
    with pytest.raises(Standstill):
        timeline.run_until_complete(wait())
    timeline.drain()


def test_world_that_goes_round_is_ended() -> None:
    def go_round() -> None:
        timeline.call_soon(go_round)

    async def begin() -> None:
        go_round()
        await timeline.create_future()

    timeline = Timeline(Random(1), callbacks_max=1_000)
    with pytest.raises(Endless):
        timeline.run_until_complete(begin())
    timeline.drain()
