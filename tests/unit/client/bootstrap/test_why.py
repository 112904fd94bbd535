# SPDX-License-Identifier: Apache-2.0
"""What is in the way of a path, and when it is tried next, from what a device knows."""

from pathlib import Path

import pytest

from drystone.cli.telling_why import describe_why
from drystone.client.adapters.narrow import widen
from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.inspecting import Opened
from drystone.client.bootstrap.telling.why import Running, explain_open
from drystone.client.ports import ProblemRow
from drystone.core.names.standing import MARK
from drystone.core.safety import Stop
from drystone.testing.desk import NOW_NS, Desk
from drystone.testing.fakes.disk import FakeDisk
from drystone.testing.fakes.narrow import VFAT

ROOT = RootLine("/home/ana/folder", "11" * 16, "http://127.0.0.1:1", bytes(16), bytes(16), "/docs")
AWAY = Stop("server-away", "the server is away", "wait")


@pytest.fixture
def desk():
    desk = Desk(FakeDisk())
    desk.disk.hand.make_folder("sub")
    desk.disk.hand.write("sub/plan", b"plan")
    desk.disk.hand.write("other", b"other")
    desk.agree()
    yield desk
    desk.state.close()


def ask(desk, path, **running):
    how = Running(**{"is_kept": True, "now_ns": NOW_NS, **running})
    return explain_open(Opened(desk.disk, desk.state), ROOT, Path(ROOT.path) / path, how)


def blocks(found):
    return [block["code"] for block in found["blocked_by"]]


def trouble(path, code, next_try_ns=0):
    return ProblemRow(path, code, "it went wrong", "mend it", NOW_NS, 1, next_try_ns)


def test_what_is_in_step_is_not_tried_and_nothing_is_in_its_way(desk):
    found = ask(desk, "sub/plan", is_kept=False)

    assert found["decision"]["code"] == "in-step"
    assert (blocks(found), found["next_try_ns"]) == ([], None)
    assert found["remote_path"] == "/docs/sub/plan"


def test_what_stands_under_another_name_is_told_with_it():
    desk = Desk(widen(FakeDisk(traits=VFAT)))
    desk.disk.write_small("plan", b"plan", 0, 0, None)
    desk.disk.write_small("PLAN", b"PLAN", 0, 0, None)
    desk.agree()

    assert ask(desk, "plan")["standing_path"] is None
    found = ask(desk, "PLAN")
    assert found["standing_path"] == f"PLAN (twin{MARK}2)"
    assert found["decision"]["code"] == "in-step"
    assert f"it stands as {found['standing_path']}" in "".join(
        describe_why({**found, "story": {"error": None, "lines": [], "is_living": True}})
    )
    desk.state.close()


def test_trouble_of_a_folder_above_is_in_the_way(desk):
    desk.state.note_problem(trouble("sub", "unreadable"))

    assert blocks(ask(desk, "sub/plan")) == ["unreadable"]
    assert blocks(ask(desk, "other")) == []


def test_what_rests_is_tried_when_its_time_comes(desk):
    desk.disk.hand.write("sub/plan", b"changed")
    desk.see()
    assert ask(desk, "sub/plan")["decision"]["code"] == "send-edit"
    assert ask(desk, "sub/plan")["next_try_ns"] == NOW_NS, "nothing is in its way"

    desk.state.note_problem(trouble("sub/plan", "file-too-large", NOW_NS + 60))
    found = ask(desk, "sub/plan")
    assert (found["decision"]["code"], blocks(found)) == ("file-too-large", ["file-too-large"])
    assert found["next_try_ns"] == NOW_NS + 60
    assert ask(desk, "sub/plan", is_kept=False)["next_try_ns"] is None
    assert ask(desk, "sub/plan", is_paused=True)["next_try_ns"] is None


def test_what_stops_the_folder_is_in_the_way_and_has_its_own_time(desk):
    desk.disk.hand.write("sub/plan", b"changed")
    desk.see()
    found = ask(desk, "sub/plan", stop=AWAY, retry_s=2.0)

    assert blocks(found) == ["server-away"]
    assert found["next_try_ns"] == NOW_NS + 2 * 10**9


def test_a_guard_is_in_the_way_of_what_it_stops(desk):
    for number in range(100):
        desk.disk.hand.write(f"sub/{number}", b"x")
    desk.agree()
    for number in range(100):
        desk.disk.hand.remove(f"sub/{number}")
    desk.see()

    assert blocks(ask(desk, "sub/7")) == ["local-mass-deletion"]
    assert blocks(ask(desk, "other")) == []


def test_a_pipe_is_told_and_in_nobodys_way(desk):
    desk.state.note_problem(trouble("pipe", "special-file"))
    found = ask(desk, "pipe")

    assert (found["decision"]["code"], blocks(found)) == ("special-file", [])


def test_what_stands_there_and_was_not_looked_at_is_told(desk):
    desk.disk.hand.write("new", b"new")

    assert ask(desk, "new")["decision"]["code"] == "not-looked-at"
    assert ask(desk, "never")["decision"]["code"] == "unknown"
    assert ask(desk, ".drystone/state.db")["decision"]["code"] == "control-folder"
