# SPDX-License-Identifier: Apache-2.0
"""Folders chosen per device, from the command line: without a daemon, with one, and at first."""

import itertools
import json
import time

import pytest

from drystone.cli.exit_codes import ExitCode
from tests.integration.cli_user import PASSWORD, User
from tests.integration.test_cli_sync import start_daemon

_numbers = itertools.count()
_WAIT_S_MAX = 120.0


@pytest.fixture
def pair(tmp_path, monkeypatch, shared_server):
    """Two devices in step: ``big/sub/x``, ``big/y`` and ``docs/z``."""
    name = f"chooser{next(_numbers)}"
    shared_server.add_account(name, PASSWORD)
    users = []
    for device in ("one", "two"):
        user = User(tmp_path / device, monkeypatch)
        user.log_in(shared_server.url, name)
        users.append(user)
    left = users[0].home / "left"
    (left / "big" / "sub").mkdir(parents=True)
    (left / "docs").mkdir()
    for path in ("big/sub/x", "big/y", "docs/z"):
        (left / path).write_text(path)
    users[0].ask("sync", left, "--once")
    return users


def list_tree(folder) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {path for path in found if path.split("/")[0] != ".drystone"}


def find_standing(user):
    return json.loads(user.run("status", "--json").out)["roots"][0]


def wait_for(condition) -> None:
    until_s = time.monotonic() + _WAIT_S_MAX
    while not condition():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.05)


ALL = {"big", "big/sub", "big/sub/x", "big/y", "docs", "docs/z"}
SMALL = {"docs", "docs/z"}


def test_folder_leaves_stays_away_and_comes_back(pair):
    one, two = pair
    left, right = one.home / "left", two.home / "right"
    two.ask("sync", right, "--once")
    (right / "big" / "y").write_text("edited just now")
    (right / "big" / "mine.log").write_text("1")
    (right / ".drystoneignore").write_text("*.log\n")

    said = two.run("select", right, "--without", "big")
    assert (said.code, "mine.log" in said.err) == (ExitCode.USAGE, True)
    assert (right / "big" / "y").exists()
    answer = two.ask("select", right, "--without", "big", "--yes")

    assert [line["path"] for line in answer["unselected"]] == ["big"]
    assert list_tree(right) - {".drystoneignore"} == SMALL
    assert any(path.name == "mine.log" for path in (right / ".drystone" / "trash").rglob("*"))
    one.ask("sync", left, "--once")
    assert (left / "big" / "y").read_text() == "edited just now"
    assert list_tree(left) == ALL | {".drystoneignore"}
    assert "/big" in [entry["path"] for entry in two.ask("ls")]
    found = two.ask("why", right / "big" / "sub" / "x")
    assert (found["unselected"], "not selected" in found["verdict"]) == ("big", True)

    (left / "big").rename(left / "docs" / "large")
    one.ask("sync", left, "--once")
    two.ask("sync", right, "--once")
    assert list_tree(right) - {".drystoneignore"} == SMALL
    assert [line["path"] for line in two.ask("select", right)] == ["docs/large"]

    two.ask("select", right, "--with", right / "docs" / "large")
    assert list_tree(right) == list_tree(left)
    assert two.ask("select", right) == []


def test_folder_that_was_never_wanted_is_never_fetched(pair):
    _, two = pair
    right = two.home / "right"

    summary = two.ask("sync", right, "--once", "--without", "big/sub", "--without", "docs")

    assert list_tree(right) == {"big", "big/y"}
    assert summary["downloaded_count"] == 2
    assert {line["path"] for line in two.ask("select", right)} == {"big/sub", "docs"}


def test_selection_outlives_a_lost_state_and_an_older_one(pair):
    one, two = pair
    left, right = one.home / "left", two.home / "right"
    two.ask("sync", right, "--once")
    older = (right / ".drystone" / "state.db").read_bytes()
    two.ask("select", right, "--without", "big")

    (right / ".drystone" / "state.db").unlink()
    two.ask("sync", right, "--once")
    assert list_tree(right) == SMALL
    (right / ".drystone" / "state.db").write_bytes(older)
    two.ask("sync", right, "--once")
    assert list_tree(right) == SMALL

    # What an older state misses on the disk was not deleted by anybody.
    two.ask("select", right, "--with", "big")
    for path in ("big/sub/x", "big/y"):
        (right / path).unlink()
    (right / ".drystone" / "state.db").write_bytes(older)
    two.ask("sync", right, "--once")
    one.ask("sync", left, "--once")
    assert list_tree(right) == list_tree(left) == ALL


def test_daemon_takes_folders_away_and_brings_them_back(pair):
    _, two = pair
    right = two.home / "right"
    two.ask("sync", right, "--once")
    start_daemon(two)
    try:
        wait_for(lambda: find_standing(two)["is_settled"])
        two.ask("select", right, "--without", "big")
        wait_for(lambda: list_tree(right) == SMALL)
        wait_for(lambda: find_standing(two)["is_settled"])
        assert find_standing(two)["unselected"] == ["big"]
        assert "without   big" in two.run("status").out
        assert "not selected" in two.ask("why", right / "big")["verdict"]
        two.ask("select", right, "--with", "big")
        wait_for(lambda: list_tree(right) == ALL)
    finally:
        two.ask("stop")


def test_what_cannot_be_chosen_is_refused(pair):
    _, two = pair
    right = two.home / "right"
    (right / "big").mkdir(parents=True)

    said = two.run("sync", right, "--once", "--without", "big", "--json")
    assert said.problem["code"] == "folder-stands-here"
    (right / "big").rmdir()
    two.ask("sync", right, "--once")
    for folder, code in (
        ("nowhere", "not-a-remote-folder"),
        ("docs/z", "not-a-remote-folder"),
        (".", "not-a-remote-folder"),
    ):
        said = two.run("select", right, "--without", folder, "--json")
        assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, code)
    said = two.run("select", right, "--with", "docs", "--json")
    assert said.problem["code"] == "not-unselected"
    assert list_tree(right) == ALL
