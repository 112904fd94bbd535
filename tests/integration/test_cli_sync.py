# SPDX-License-Identifier: Apache-2.0
"""Keeping folders in step from the command line: once, in the foreground, by the daemon."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drystone.cli.demo.trees import find_differences
from drystone.cli.exit_codes import ExitCode
from tests.integration.cli_user import PASSWORD, User

_numbers = itertools.count()
_WAIT_S_MAX = 120.0


@pytest.fixture
def account(shared_server):
    name = f"user{next(_numbers)}"
    shared_server.add_account(name, PASSWORD)
    return name


@pytest.fixture
def one(tmp_path, monkeypatch, shared_server, account):
    user = User(tmp_path / "one", monkeypatch)
    user.log_in(shared_server.url, account)
    return user


@pytest.fixture
def two(tmp_path, monkeypatch, shared_server, account):
    user = User(tmp_path / "two", monkeypatch)
    user.log_in(shared_server.url, account)
    return user


def make_tree(folder: Path, count: int = 12) -> Path:
    (folder / "sub").mkdir(parents=True)
    for number in range(count):
        (folder / "sub" / f"{number}.txt").write_text(f"{number}\n")
    (folder / "link").symlink_to("sub/0.txt")
    return folder


def wait_for(condition) -> None:
    until_s = time.monotonic() + _WAIT_S_MAX
    while not condition():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.05)


def test_two_folders_become_the_same(one, two):
    left = make_tree(one.home / "left")
    summary = one.ask("sync", left, "--once")
    assert summary["uploaded_count"] == 14
    right = two.home / "right"
    assert two.ask("sync", right, "--once")["downloaded_count"] == 14
    assert find_differences(left, right) == []

    said = two.run("sync", right, "--once")
    assert said.code == ExitCode.OK
    assert "are in step: nothing to do" in said.out


def test_a_part_of_the_tree_can_be_synced(one, two):
    one.ask("sync", make_tree(one.home / "left"), "--once", "--to", "documents")
    assert [entry["path"] for entry in one.ask("ls")] == ["/documents"]

    two.ask("sync", two.home / "right", "--once", "--to", "/documents/sub/")
    assert (two.home / "right" / "0.txt").read_text() == "0\n"


def test_both_versions_of_a_file_are_kept_and_listed(one, two):
    left, right = one.home / "left", two.home / "right"
    one.ask("sync", make_tree(left), "--once")
    two.ask("sync", right, "--once")
    (left / "sub" / "0.txt").write_text("left")
    (right / "sub" / "0.txt").write_text("right")
    one.ask("sync", left, "--once")
    said = two.run("sync", right, "--once")

    assert said.code == ExitCode.OK
    assert "conflict: sub/0.txt" in said.err
    (conflict,) = two.ask("conflicts", right)
    assert conflict["winner_path"] == "sub/0.txt"
    assert (right / conflict["path"]).read_text() == "right"
    assert "beside sub/0.txt" in two.run("conflicts").out
    one.ask("sync", left, "--once")
    assert find_differences(left, right) == []


def test_paths_in_trouble_are_listed_and_others_go_on(one):
    left = make_tree(one.home / "left")
    os.mkfifo(left / "pipe")
    (left / os.fsdecode(b"bad\xffname")).write_text("x")

    said = one.run("sync", left, "--once")
    assert said.code == ExitCode.PROBLEMS
    assert "problem: bad\\xffname: " in said.out
    assert "1 pipe, socket or device left out" in said.out
    listed = one.run("problems", "--json")
    assert listed.code == ExitCode.PROBLEMS
    assert {row["code"] for row in listed.json} == {"special-file", "name-not-utf8"}
    assert "bad\\xffname" in one.run("problems", left).out
    assert len(one.ask("ls", "/sub")) == 12

    (left / "pipe").unlink()
    (left / os.fsdecode(b"bad\xffname")).unlink()
    assert one.run("sync", left, "--once").code == ExitCode.OK
    assert one.run("problems").out == "No path is in trouble.\n"


def test_deletions_that_look_like_a_catastrophe_wait_for_a_human(one):
    left = make_tree(one.home / "left", 80)
    one.ask("sync", left, "--once")
    for path in (left / "sub").iterdir():
        path.unlink()

    said = one.run("sync", left, "--once", "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.HALTED, "local-mass-deletion")
    assert len(one.ask("ls", "/sub")) == 80

    one.ask("sync", left, "--once", "--allow-deletions")
    assert one.ask("ls", "/sub") == []


def test_a_folder_that_is_gone_is_not_taken_for_deleted(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    left.rename(one.home / "moved")
    left.mkdir()

    said = one.run("sync", left, "--once", "--json")

    assert (said.code, said.problem["code"]) == (ExitCode.HALTED, "root-gone")
    assert len(one.ask("ls", "/sub")) == 12


def test_why_tells_the_evidence(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    (left / "sub" / "0.txt").write_text("changed since")

    in_step = one.ask("why", left / "sub" / "1.txt")
    assert in_step["local"] == in_step["synced"] == in_step["remote"]
    assert "in step" in one.run("why", left / "sub" / "1.txt").out
    assert "nothing is known" in one.run("why", left / "never").out
    unnamed = Path(os.fsdecode(bytes(left) + b"/a\xff"))
    unnamed.write_text("its name is not text")
    one.run("sync", left, "--once")
    assert "not valid UTF-8" in one.run("why", unnamed).out
    doctor = one.run("doctor")
    assert doctor.code == ExitCode.PROBLEMS
    assert "one path in it is in trouble" in doctor.out
    assert "All is well" not in doctor.out
    said = one.run("why", one.home, "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "not-a-synced-folder")


@pytest.mark.parametrize(
    ("make", "arguments", "code", "exit_code"),
    [
        (lambda home: (home / "x").write_text("a file"), (), "root-unusable", 6),
        (lambda home: None, ("--to", "/sub/0.txt"), "not-a-remote-folder", 3),
        (lambda home: None, ("--server", "http://127.0.0.1:1"), "not-logged-in", 3),
    ],
)
def test_what_cannot_be_synced_is_refused_and_nothing_made(one, make, arguments, code, exit_code):
    one.ask("sync", make_tree(one.home / "left"), "--once")
    make(one.home)
    before = sorted(os.listdir(one.home))

    said = one.run("sync", one.home / "x", "--once", *arguments, "--json")

    assert (said.code, said.problem["code"]) == (exit_code, code)
    assert sorted(os.listdir(one.home)) == before


def test_one_folder_is_synced_with_one_place_only(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")

    inside = one.run("sync", left / "sub", "--once", "--json")
    assert inside.problem["code"] == "root-taken"
    elsewhere = one.run("sync", left, "--once", "--to", "/other", "--json")
    assert elsewhere.problem["code"] == "root-elsewhere"
    one.ask("forget", left)
    assert one.run("forget", left, "--json").problem["code"] == "not-a-synced-folder"
    assert (left / "sub" / "0.txt").exists()
    one.ask("sync", left, "--once", "--to", "/other")
    assert len(one.ask("ls", "/other/sub")) == 12


def spawn(user, *arguments):
    environment = {**os.environ, "DRYSTONE_CONFIG_DIR": str(user.home / "config")}
    return subprocess.Popen(
        [sys.executable, "-m", "drystone", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_folder_is_kept_in_step_until_interrupted(one):
    left = make_tree(one.home / "left")
    process = spawn(one, "sync", str(left))
    try:
        wait_for(lambda: len(one.ask("ls")) == 2)
        (left / "later.txt").write_text("later")
        wait_for(lambda: len(one.ask("ls")) == 3)
        busy = one.run("sync", left, "--once", "--json")
        assert (busy.code, busy.problem["code"]) == (ExitCode.REFUSED, "root-busy")
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)

    assert process.returncode == ExitCode.OK
    assert b"until Ctrl-C" in err
    assert b"Traceback" not in err
    assert out == b""


def start_daemon(user):
    """Starts it by a process that ends, as a shell does, so that it is nobody's child here."""
    process = spawn(user, "start", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.OK, err
    return json.loads(out)


def test_the_daemon_keeps_all_folders_in_step(one, two):
    assert one.run("status").code == ExitCode.NOT_RUNNING
    assert one.run("stop", "--json").code == ExitCode.NOT_RUNNING
    left, right = make_tree(one.home / "left"), two.home / "right"
    started = start_daemon(one)
    try:
        assert one.ask("start")["pid"] == started["pid"]
        one.ask("sync", left)
        assert one.ask("sync", left, "--once")["by_daemon"]
        two.ask("sync", right, "--once")
        assert find_differences(left, right) == []

        # What was written is made durable here, too, before all is called safe.
        wait_for(lambda: one.run("status").code == ExitCode.OK)
        (root,) = one.ask("status")["roots"]
        assert (root["path"], root["phase"], root["is_settled"]) == (str(left), "idle", True)
        assert "in step" in one.run("status").out
        assert one.run("doctor").code == ExitCode.OK

        one.ask("pause", left)
        assert one.run("status", "--json").json["roots"][0]["phase"] == "paused"
        (left / "while-paused.txt").write_text("x")
        one.ask("resume")
        wait_for(lambda: len(one.ask("ls")) == 3)
    finally:
        one.ask("stop")
    with pytest.raises(ProcessLookupError):
        os.kill(started["pid"], 0)


def test_the_daemon_halts_and_goes_on_when_told(one):
    left = make_tree(one.home / "left", 80)
    one.ask("sync", left, "--once")
    start_daemon(one)
    try:
        one.ask("sync", left, "--once")
        (left / "sub").rename(one.home / "gone")
        wait_for(lambda: one.run("status").code == ExitCode.HALTED)
        assert "81 of 82" in one.run("status").out
        assert one.run("sync", left, "--once").code == ExitCode.HALTED
        assert one.run("resume", "--allow-deletions").code == ExitCode.USAGE

        one.ask("resume", left, "--allow-deletions")
        wait_for(lambda: one.run("status").code == ExitCode.OK)
        wait_for(lambda: [entry["path"] for entry in one.ask("ls")] == ["/link"])
    finally:
        one.ask("stop")


def test_doctor_says_what_is_missing(tmp_path, monkeypatch):
    said = User(tmp_path / "new", monkeypatch).run("doctor")

    assert said.code == ExitCode.PROBLEMS
    assert "signed in nowhere" in said.out
    assert "drystone login" in said.out


def test_the_unit_of_systemd_is_printed_and_installed(one, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))

    printed = one.run("systemd").out
    assert f"ExecStart={sys.executable} -m drystone daemon\n" in printed
    assert f"Environment=DRYSTONE_CONFIG_DIR={one.home / 'config'}\n" in printed
    said = one.run("systemd", "--server", "--install", "--data-dir", tmp_path / "data")
    unit = tmp_path / "xdg" / "systemd" / "user" / "drystone-server.service"
    assert f"serve --data-dir {tmp_path / 'data'}\n" in unit.read_text()
    assert "systemctl --user enable --now drystone-server" in said.out
    assert one.run("systemd", "--data-dir", "x").code == ExitCode.USAGE


def test_ignore_rules_are_shown_before_they_are_added(one):
    folder = make_tree(one.home / "left")
    one.ask("sync", folder, "--once")
    (folder / "new.log").write_text("12345")
    (folder / "build").mkdir()
    (folder / "build" / "x").write_text("1")
    rules = ("*.log", "build/", "0.txt")

    told = one.ask("ignore", "--in", folder, "--check", *rules)

    assert told["dropped"]["samples"] == ["build/", "new.log"]
    assert (told["dropped"]["files_count"], told["dropped"]["size_bytes"]) == (2, 6)
    assert told["kept"]["samples"] == ["sub/0.txt"]
    assert not (folder / ".drystoneignore").exists()
    assert one.run("ignore", "--in", folder, *rules).code == ExitCode.USAGE
    assert not (folder / ".drystoneignore").exists()

    one.ask("ignore", "--in", folder, "--yes", *rules)
    one.ask("sync", folder, "--once")

    assert (folder / ".drystoneignore").read_text() == "*.log\nbuild/\n0.txt\n"
    assert {entry["path"] for entry in one.ask("ls")} == {"/.drystoneignore", "/sub", "/link"}
    assert one.ask("ignore", "--in", folder)["left_out"]["samples"] == ["build/", "new.log"]
    found = one.ask("why", folder / "build" / "x")
    assert (found["rule"], found["rule_line"]["line_number"]) == ("build", 2)
    assert one.ask("why", folder / "sub" / "0.txt")["rule"] is None
    said = one.run("why", folder / "new.log")
    assert ".drystoneignore, line 1: *.log" in said.out

    assert one.run("ignore", "--in", folder, "--yes", "#x").code == ExitCode.USAGE
    nowhere = one.run("ignore", "--in", folder / "nowhere", "--json")
    assert nowhere.problem["code"] == "ignore-file-unfit"
    draft = one.home / "draft"
    draft.write_text("nothing\n")
    told = one.ask("ignore", "--in", folder, "--check", "--rules", draft)
    assert told["taken_in"]["samples"] == ["build/", "new.log"]
