# SPDX-License-Identifier: Apache-2.0
"""`drystone why`: the views, the rule, what is in the way, the next try, and the path's story."""

import itertools
import os
import time
from pathlib import Path

import pytest

from drystone.cli.exit_codes import ExitCode
from drystone.testing.servers import ServerProcess
from tests.integration.cli_user import PASSWORD, User
from tests.integration.test_cli_sync import make_tree, start_daemon, wait_for

_numbers = itertools.count()


@pytest.fixture
def account(shared_server):
    name = f"why{next(_numbers)}"
    shared_server.add_account(name, PASSWORD)
    return name


def sign_in(home, monkeypatch, server, account):
    user = User(home, monkeypatch)
    user.log_in(server.url, account)
    user.folder = user.home / "folder"
    return user


@pytest.fixture
def one(tmp_path, monkeypatch, shared_server, account):
    return sign_in(tmp_path / "laptop", monkeypatch, shared_server, account)


@pytest.fixture
def two(tmp_path, monkeypatch, shared_server, account):
    return sign_in(tmp_path / "phone", monkeypatch, shared_server, account)


def sync(*users):
    for user in users:
        user.run("sync", user.folder, "--once")


def story(found):
    """Returns who did what, newest first."""
    return [(line["device"], line["what"]) for line in found["story"]["lines"]]


def code(found):
    return found["decision"]["code"]


def test_the_story_tells_who_did_what(one, two, account):
    one.folder.mkdir()
    path = one.folder / "plan.txt"
    path.write_text("first")
    before_ns = time.time_ns()
    sync(one, two)
    (two.folder / "plan.txt").write_text("and second")
    sync(two, one)
    (one.folder / "papers").mkdir()
    path.rename(one.folder / "papers" / "plan.txt")
    sync(one, two)
    (two.folder / "papers").rename(two.folder / "archive")
    sync(two, one)
    (one.folder / "archive" / "plan.txt").rename(one.folder / "archive" / "old plan.txt")
    (one.folder / "archive" / "old plan.txt").chmod(0o600)
    sync(one, two)

    found = one.ask("why", one.folder / "archive" / "old plan.txt")
    assert code(found) == "in-step"
    assert (found["blocked_by"], found["next_try_ns"]) == ([], None)
    told = story(found)
    assert sorted(told[:2]) == [
        ("laptop", "permissions changed from 644 to 600"),
        ("laptop", "renamed from plan.txt to old plan.txt"),
    ]
    assert told[2:] == [
        ("phone", "renamed from papers to archive"),
        ("laptop", "moved from /plan.txt to /archive/plan.txt"),
        ("phone", "changed, 5 to 10 bytes"),
        ("laptop", "made, 5 bytes"),
    ]
    lines = found["story"]["lines"]
    assert [line["about"] for line in lines if line["about"]] == ["/archive"]
    assert {line["account"] for line in lines} == {account}
    times = [line["at_ns"] for line in lines]
    assert times == sorted(times, reverse=True)
    assert before_ns < times[-1]
    text = one.run("why", one.folder / "archive" / "old plan.txt").out
    assert "its folder /archive: renamed from papers to archive" in text


def test_a_long_story_is_cut_and_can_be_had_wholly(one):
    one.folder.mkdir()
    for number in range(23):
        (one.folder / "log").write_text("x" * number)
        sync(one)
    found = one.ask("why", one.folder / "log")

    assert (len(found["story"]["lines"]), found["story"]["more_count"]) == (20, 3)
    assert "and 3 more: drystone why PATH --all" in one.run("why", one.folder / "log").out
    assert len(one.ask("why", one.folder / "log", "--all")["story"]["lines"]) == 23


def test_what_is_deleted_has_a_story_too(one, two):
    make_tree(one.folder)
    sync(one, two)
    (two.folder / "sub" / "3.txt").unlink()
    sync(two, one)
    found = one.ask("why", one.folder / "sub" / "3.txt")
    assert code(found) == "deleted"
    assert story(found) == [("phone", "deleted"), ("laptop", "made, 2 bytes")]

    for place in (two.folder / "sub").iterdir():
        place.unlink()
    (two.folder / "sub").rmdir()
    sync(two, one)
    found = one.ask("why", one.folder / "sub" / "4.txt")
    assert (code(found), found["story"]["deleted_with"]) in [("deleted", ""), ("deleted", "sub")]
    assert story(found)[0] == ("phone", "deleted")
    found = one.ask("why", one.folder / "sub" / "never")
    assert found["story"]["deleted_with"] == "sub"
    assert "It was deleted with its folder sub" in one.run("why", one.folder / "sub" / "never").out
    assert code(one.ask("why", one.folder / "never")) == "unknown"


def test_what_differs_is_told_by_its_rule(one, two):
    make_tree(one.folder)
    sync(one, two)
    # Known from a scan that is not kept: nobody runs.
    (one.folder / "new.txt").write_text("new")
    (one.folder / "sub" / "1.txt").write_text("changed")
    (one.folder / "sub" / "2.txt").unlink()
    (one.folder / "sub" / "3.txt").rename(one.folder / "three.txt")
    (two.folder / "sub" / "4.txt").write_text("changed there")
    (two.folder / "sub" / "5.txt").unlink()
    (two.folder / "sub" / "6.txt").write_text("changed there")
    (two.folder / "there").write_text("new there")
    sync(two)
    (one.folder / "sub" / "6.txt").unlink()

    expected = {
        "new.txt": "waits",
        "sub/1.txt": "waits",
        "sub/2.txt": "send-deletion",
        "three.txt": "send-move",
        "sub/4.txt": "fetch-edit",
        "sub/5.txt": "delete-here",
        "sub/6.txt": "edit-delete",
        "there": "fetch-new",
        "sub/7.txt": "in-step",
    }
    found = {path: one.ask("why", one.folder / path) for path in expected}
    assert {path: code(each) for path, each in found.items()} == expected
    blocks = {path: [b["code"] for b in each["blocked_by"]] for path, each in found.items()}
    assert blocks.pop("sub/7.txt") == []
    assert set(map(tuple, blocks.values())) == {("daemon-not-running",)}
    assert story(found["there"]) == [("phone", "made, 9 bytes")]
    assert story(found["new.txt"]) == []
    # A path is found by any of its names; the story is the same.
    by_old_name = one.ask("why", one.folder / "sub" / "3.txt")
    assert by_old_name["local"]["path"] == "three.txt"
    assert by_old_name["remote"]["path"] == "sub/3.txt"
    sync(one, two)
    assert code(one.ask("why", one.folder / "new.txt")) == "in-step"


def test_below_a_folder_that_moves_both_names_lead_there(one, two):
    make_tree(one.folder)
    sync(one, two)
    (one.folder / "sub").rename(one.folder / "renamed")

    for name in ("sub", "renamed"):
        found = one.ask("why", one.folder / name / "3.txt")
        assert code(found) == "folder-above"
        assert found["local"]["path"] == "renamed/3.txt"
        assert found["remote"]["path"] == "sub/3.txt"
        assert story(found) == [("laptop", "made, 2 bytes")]


def test_what_was_moved_away_is_found_by_the_path_it_had(one, two):
    make_tree(one.folder)
    sync(one, two)
    (two.folder / "sub").rename(two.folder / "archive")
    (two.folder / "top").mkdir()
    (two.folder / "archive").rename(two.folder / "top" / "archive")
    sync(two, one)
    (two.folder / "top" / "archive" / "4.txt").rename(two.folder / "four.txt")
    sync(two, one)

    found = one.ask("why", one.folder / "sub" / "3.txt")
    assert (code(found), found["story"]["moved_to"]) == ("moved", "/top/archive/3.txt")
    assert "is /top/archive/3.txt on the server now" in found["verdict"]
    assert ("laptop", "made, 2 bytes") in story(found)
    assert any(line["about"] == "/top/archive" for line in found["story"]["lines"])
    found = one.ask("why", one.folder / "top" / "archive" / "4.txt")
    assert (code(found), found["story"]["moved_to"]) == ("moved", "/four.txt")
    assert code(one.ask("why", one.folder / "sub" / "never.txt")) == "unknown"


def test_problems_pipes_and_rules_are_told(one):
    make_tree(one.folder)
    os.mkfifo(one.folder / "pipe")
    unnamed = Path(os.fsdecode(bytes(one.folder) + b"/a\xff"))
    unnamed.write_text("x")
    (one.folder / ".drystoneignore").write_text("*.tmp\n")
    (one.folder / "x.tmp").touch()
    sync(one)

    assert code(one.ask("why", one.folder / "pipe")) == "special-file"
    assert one.ask("why", one.folder / "pipe")["blocked_by"] == []
    assert code(one.ask("why", one.folder / "x.tmp")) == "ignored"
    assert code(one.ask("why", one.folder / ".drystone" / "state.db")) == "control-folder"
    assert code(one.ask("why", one.folder)) == "root"
    found = one.ask("why", unnamed)
    assert (code(found), found["blocked_by"][0]["code"]) == ("name-not-utf8", "name-not-utf8")
    assert found["path"].endswith("a\\xff")
    start_daemon(one)
    try:
        assert code(one.ask("why", unnamed)) in ("name-not-utf8", "not-looked-at")
        wait_for(lambda: code(one.ask("why", unnamed)) == "name-not-utf8")
    finally:
        one.ask("stop")


def test_halts_pauses_and_next_tries_are_told(one):
    make_tree(one.folder, 80)
    sync(one)
    start_daemon(one)
    try:
        (one.folder / "sub").rename(one.home / "gone")
        wait_for(lambda: one.run("status").code == ExitCode.HALTED)
        found = one.ask("why", one.folder / "sub" / "3.txt")
        assert [block["code"] for block in found["blocked_by"]] == ["local-mass-deletion"]
        assert time.time_ns() < found["next_try_ns"] < time.time_ns() + 120e9
        assert "Tried next: " in one.run("why", one.folder / "sub" / "3.txt").out

        one.ask("pause", one.folder)
        found = one.ask("why", one.folder / "sub" / "3.txt")
        assert "paused" in [block["code"] for block in found["blocked_by"]]
        assert found["next_try_ns"] is None
    finally:
        one.ask("stop")


def test_without_its_server_the_evidence_is_told_and_the_story_is_not(tmp_path, monkeypatch):
    with ServerProcess(tmp_path / "data") as server:
        server.add_account("anna", PASSWORD)
        one = sign_in(tmp_path / "one", monkeypatch, server, "anna")
        make_tree(one.folder)
        sync(one)
    (one.folder / "sub" / "3.txt").unlink()
    found = one.ask("why", one.folder / "sub" / "3.txt")

    assert code(found) == "send-deletion"
    assert [block["code"] for block in found["blocked_by"]] == ["server-away", "daemon-not-running"]
    assert found["story"]["error"]["code"] == "server-away"
    text = one.run("why", one.folder / "sub" / "3.txt").out
    assert "Its story is the server's to tell: " in text


def test_a_conflicted_copy_says_what_it_is(one, two):
    make_tree(one.folder)
    sync(one, two)
    (one.folder / "sub" / "3.txt").write_text("one")
    (two.folder / "sub" / "3.txt").write_text("two")
    sync(one, two)
    (copy,) = two.ask("conflicts")

    assert story(two.ask("why", two.folder / copy["path"])) == [
        ("phone", "kept as a conflicted copy, 3 bytes")
    ]
