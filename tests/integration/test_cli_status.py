# SPDX-License-Identifier: Apache-2.0
"""`drystone status` answers "is everything safe?", with a daemon and without; never too soon."""

import itertools
import os
import time

import pytest

from drystone.cli.exit_codes import ExitCode
from drystone.testing.servers import ServerProcess
from tests.integration.cli_user import PASSWORD, User
from tests.integration.test_cli_sync import make_tree, spawn, start_daemon, wait_for

_numbers = itertools.count()


@pytest.fixture
def one(tmp_path, monkeypatch, shared_server):
    name = f"safe{next(_numbers)}"
    shared_server.add_account(name, PASSWORD)
    user = User(tmp_path / "one", monkeypatch)
    user.log_in(shared_server.url, name)
    return user


def codes(said):
    return [reason["code"] for reason in said.json["safe"]["reasons"]]


def test_where_nothing_is_synced_nothing_is_safe(one):
    said = one.run("status")

    assert said.code == ExitCode.NOT_RUNNING
    assert said.out.startswith("Safe: NO. no folder of this device is synced.")


def test_without_a_daemon_the_folder_is_looked_at(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    before_ns = time.time_ns()
    said = one.run("status", "--json")

    assert said.code == ExitCode.OK
    safe = said.json["safe"]
    assert (safe["answer"], safe["reasons"], said.json["pid"]) == ("yes", [], None)
    assert before_ns <= safe["as_of_ns"] <= time.time_ns()
    assert one.run("status").out.startswith("Safe: yes. All that is to be synced is on the server")

    (left / "new.txt").write_text("n" * 5_000)
    said = one.run("status", "--json")
    assert said.code == ExitCode.NOT_RUNNING
    assert codes(said) == ["daemon-not-running", "to-send", "to-read"]
    assert (said.json["safe"]["files_left"], said.json["safe"]["bytes_left"]) == (1, 5_000)
    # Nothing was kept of that look, and nothing sent.
    assert len(one.ask("ls")) == 2
    assert one.ask("sync", left, "--once")["uploaded_count"] == 1
    assert one.run("status").code == ExitCode.OK


def test_what_others_did_is_not_overlooked(one, tmp_path, shared_server, monkeypatch):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    one.ask("mkdir", "/made/elsewhere")
    said = one.run("status", "--json")

    assert codes(said) == ["daemon-not-running", "to-fetch"]
    assert said.json["safe"]["files_left"] == 2


def test_what_cannot_be_synced_is_not_safe_and_a_pipe_is_no_matter(one):
    left = make_tree(one.home / "left")
    os.mkfifo(left / "pipe")
    said = one.run("sync", left, "--once")
    assert said.code == ExitCode.OK
    assert "1 pipe, socket or device left out" in said.out
    assert "left out: pipe: 'pipe' in the synced folder is left out: it is a pipe" in said.err
    assert one.run("sync", left, "--once").code == ExitCode.OK
    said = one.run("status")
    assert (said.code, said.out.split(".")[0]) == (ExitCode.OK, "Safe: yes")
    assert "left out: 1 pipe" in said.out
    assert one.run("problems").code == ExitCode.OK
    assert "pipe" in one.run("problems").out
    assert one.run("doctor").code == ExitCode.OK

    (left / os.fsdecode(b"bad\xffname")).write_text("x")
    said = one.run("status")
    assert said.code == ExitCode.PROBLEMS
    assert said.out.startswith("Safe: NO. 1 path is in trouble.")
    assert "bad\\xffname: 'bad\\xffname' in the synced folder is left out" in said.out


def test_long_paths_are_shown_by_their_ends(one):
    left = make_tree(one.home / "left")
    deep = left.joinpath(*["d" * 200] * 9)
    deep.mkdir(parents=True)
    (deep / os.fsdecode(b"bad\xffname")).write_text("x")
    one.run("sync", left, "--once")
    lines = one.run("status").out.splitlines()

    assert any("bad\\xffname" in line for line in lines)
    assert max(map(len, lines)) < 500


def test_a_server_that_is_away_is_told(tmp_path, monkeypatch):
    one = User(tmp_path / "one", monkeypatch)
    left = make_tree(one.home / "left")
    with ServerProcess(tmp_path / "data") as server:
        server.add_account("anna", PASSWORD)
        one.log_in(server.url)
        one.ask("sync", left, "--once")
    said = one.run("status", "--json")

    assert (said.code, said.json["safe"]["answer"]) == (ExitCode.UNAVAILABLE, "no")
    assert codes(said)[0] == "server-away"
    assert said.json["safe"]["as_of_ns"], "when both sides agreed last is known all the same"


def test_a_halt_is_told_also_when_nobody_runs(one):
    left = make_tree(one.home / "left", 80)
    one.ask("sync", left, "--once")
    (left / "sub").rename(one.home / "gone")
    assert one.run("sync", left, "--once").code == ExitCode.HALTED
    said = one.run("status", "--json")
    assert (said.code, codes(said)[0]) == (ExitCode.HALTED, "local-mass-deletion")

    (one.home / "gone").rename(left / "sub")
    assert one.run("status").code == ExitCode.OK


def test_a_folder_that_is_gone_is_told(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    left.rename(one.home / "elsewhere")
    said = one.run("status", "--json")

    assert (said.code, codes(said)[0]) == (ExitCode.HALTED, "root-gone")


def test_a_folder_that_another_client_keeps_is_told(one):
    left = make_tree(one.home / "left")
    process = spawn(one, "sync", str(left))
    try:
        wait_for(lambda: len(one.ask("ls")) == 2)
        said = one.run("status", "--json")
        assert (said.code, said.json["safe"]["answer"]) == (ExitCode.NOT_YET, "not_yet")
        assert codes(said)[0] == "root-busy"

        # The daemon cannot keep it either, and says the same by the same exit code.
        start_daemon(one)
        busy = one.run("sync", left, "--once", "--json")
        assert (busy.code, busy.problem["code"]) == (ExitCode.REFUSED, "root-busy")
        assert one.run("status").code == ExitCode.NOT_YET
        one.ask("stop")
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_the_daemon_says_yes_only_when_all_is_sent(one):
    left, right = make_tree(one.home / "left"), make_tree(one.home / "right")
    start_daemon(one)
    try:
        one.ask("sync", left, "--to", "/left")
        one.ask("sync", right, "--to", "/right")
        wait_for(lambda: one.run("status").code == ExitCode.OK)
        assert len(one.ask("ls", "/left/sub")) == len(one.ask("ls", "/right/sub")) == 12
        found = one.ask("status")
        assert [root["safe"]["answer"] for root in found["roots"]] == ["yes", "yes"]
        assert time.time_ns() - found["safe"]["as_of_ns"] < 60e9

        one.ask("pause", left)
        said = one.run("status", "--json")
        assert (said.code, codes(said)) == (ExitCode.PROBLEMS, ["paused"])
        assert [root["safe"]["answer"] for root in said.json["roots"]] == ["no", "yes"]
        assert "  safe      NO. it is paused." in one.run("status").out
    finally:
        one.ask("stop")
