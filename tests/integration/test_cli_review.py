# SPDX-License-Identifier: Apache-2.0
"""A guard stops what looks like a catastrophe, and a human answers at the command line."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from drystone.cli.exit_codes import ExitCode
from drystone.core.limits import MASS_REWRITE_ENTRIES_MIN
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from tests.integration.cli_user import PASSWORD, User

FILES = 300
_WAIT_S_MAX = 120.0
_numbers = itertools.count()


@pytest.fixture
def users(tmp_path, monkeypatch, shared_server):
    """Two devices of one account; ``left`` and ``right`` in their homes hold the same files."""
    account = f"guarded{next(_numbers)}"
    shared_server.add_account(account, PASSWORD)
    one, two = User(tmp_path / "one", monkeypatch), User(tmp_path / "two", monkeypatch)
    for user in (one, two):
        user.log_in(shared_server.url, account)
    for number in range(FILES):
        path = one.home / "left" / f"d{number % 7}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"paragraph {number} of what somebody wrote\n" * 30)
    one.ask("sync", one.home / "left", "--once")
    two.ask("sync", two.home / "right", "--once")
    return one, two


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".drystone" not in path.parts
    }


def encrypt(folder: Path, *, rename: bool = False) -> None:
    # The same noise each time: some would begin as a picture or an archive does.
    chance = Random(folder.name)
    for name, data in sorted(contents(folder).items()):
        path = folder / name
        path.write_bytes(chance.randbytes(len(data)))
        if rename:
            path.rename(folder / f"{name}.locked")


def trashed(folder: Path) -> list[Path]:
    return [path for path in (folder / ".drystone" / "trash").rglob("*") if path.is_file()]


def wait_for(condition) -> None:
    until_s = time.monotonic() + _WAIT_S_MAX
    while not condition():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.1)


def test_encrypted_folder_stays_on_its_device_and_is_brought_back(users):
    one, two = users
    left, right = one.home / "left", two.home / "right"
    before = contents(left)
    encrypt(left)

    said = one.run("sync", left, "--once", "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.HALTED, "local-mass-rewrite")
    assert "drystone review" in said.problem["advice"]
    two.ask("sync", right, "--once")
    assert contents(right) == before

    shown = one.run("review", left)
    assert shown.code == ExitCode.HALTED
    assert f"{FILES} holds what looks encrypted" in shown.out
    assert f"drystone review {left} --undo" in shown.out
    (told,) = one.run("review", "--json").json
    assert told["review"]["counts"] == {"rewritten": FILES}
    assert one.run("review", left, "--accept", "--undo").code == ExitCode.USAGE
    assert one.run("review", "--undo").code == ExitCode.USAGE

    one.ask("review", left, "--undo")
    assert contents(left) == before
    assert len(trashed(left)) == FILES
    assert one.run("review", left).code == ExitCode.OK
    again = one.run("review", left, "--accept", "--json")
    assert (again.code, again.problem["code"]) == (ExitCode.REFUSED, "nothing-to-review")
    two.ask("sync", right, "--once")
    assert contents(right) == before


def test_encrypted_and_renamed_files_come_back_beside_what_came(users):
    one, two = users
    left, right = one.home / "left", two.home / "right"
    before = contents(left)
    encrypt(left, rename=True)

    said = one.run("sync", left, "--once", "--json")
    assert said.code == ExitCode.HALTED
    one.ask("review", left, "--undo")
    assert contents(left).items() >= before.items()
    two.ask("sync", right, "--once")
    assert contents(right).items() >= before.items()


def test_encryption_that_was_meant_goes_on(users):
    one, two = users
    left, right = one.home / "left", two.home / "right"
    encrypt(left)
    assert one.run("sync", left, "--once").code == ExitCode.HALTED

    one.ask("review", left, "--accept")
    two.ask("sync", right, "--once")
    assert contents(right) == contents(left)


def test_mass_deletion_is_undone_or_agreed_to(users):
    one, two = users
    left, right = one.home / "left", two.home / "right"
    before = contents(left)
    for name in ("d0", "d1", "d2", "d3"):
        shutil.rmtree(left / name)
    assert one.run("sync", left, "--once").code == ExitCode.HALTED
    assert "4 deleted" in one.run("review").out

    one.ask("review", left, "--undo")
    assert contents(left) == before

    for name in ("d0", "d1", "d2", "d3"):
        shutil.rmtree(left / name)
    assert one.run("sync", left, "--once").code == ExitCode.HALTED
    one.ask("review", left, "--accept")
    said = two.run("sync", right, "--once", "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.HALTED, "remote-mass-deletion")
    assert contents(right) == before

    two.ask("review", right, "--undo")
    assert contents(right) == before
    one.ask("sync", left, "--once")
    assert contents(left) == before


def test_root_that_is_another_folder_is_no_matter_of_an_answer(users):
    one, _ = users
    left = one.home / "left"
    before = contents(left)
    left.rename(one.home / "away")
    left.mkdir()

    for answer in ((), ("--accept",), ("--undo",)):
        said = one.run("review", left, *answer, "--json")
        assert (said.code, said.problem["code"]) == (ExitCode.HALTED, "root-gone")
    left.rmdir()
    (one.home / "away").rename(left)
    one.ask("sync", left, "--once")
    assert contents(left) == before


def test_daemon_halts_and_takes_the_answer(users):
    one, two = users
    left, right = one.home / "left", two.home / "right"
    before = contents(left)
    # In another process, so that it does not linger as a child of this one when it has ended.
    environment = {**os.environ, "DRYSTONE_CONFIG_DIR": str(one.home / "config")}
    command = (sys.executable, "-m", "drystone", "start")
    subprocess.run(command, env=environment, check=True, capture_output=True)
    try:
        one.ask("sync", left, "--once")
        encrypt(left)
        wait_for(lambda: one.run("status").code == ExitCode.HALTED)
        assert "drystone review" in one.run("status").out
        assert one.run("review", left).code == ExitCode.HALTED

        one.run("review", left, "--undo")
        wait_for(lambda: one.run("review", left).code == ExitCode.OK)
        wait_for(lambda: one.run("status").code == ExitCode.OK)
    finally:
        one.ask("stop")
    two.ask("sync", right, "--once")
    # What was sent before it was enough to ask is in the history only.
    after = contents(right)
    lost = [name for name, data in before.items() if after.get(name) != data]
    assert len(lost) < MASS_REWRITE_ENTRIES_MIN
    assert contents(left) == after


def test_names_of_one_file_are_all_brought_back(users):
    one, two = users
    left, right = one.home / "left", two.home / "right"
    (left / "other name.txt").hardlink_to(left / "d0" / "0.txt")
    one.ask("sync", left, "--once")
    two.ask("sync", right, "--once")
    before = contents(left)
    encrypt(left, rename=True)
    one.run("sync", left, "--once")

    assert one.run("review", left, "--undo").code == ExitCode.OK
    assert contents(left) == before
    one.ask("sync", left, "--once")
    two.ask("sync", right, "--once")
    assert contents(right) == before


@pytest.fixture
def braked(tmp_path, monkeypatch):
    """Two devices with the same 300 files, on a server for which what is six seconds old is old."""
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_BRAKE_WINDOW_S": "6"}
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        one, two = User(tmp_path / "one", monkeypatch), User(tmp_path / "two", monkeypatch)
        for user in (one, two):
            user.log_in(server.url)
        for number in range(FILES):
            path = one.home / "left" / f"d{number % 7}" / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"paragraph {number} of what somebody wrote\n" * 30)
        one.ask("sync", one.home / "left", "--once")
        written = time.monotonic()
        two.ask("sync", two.home / "right", "--once")
        wait_for(lambda: time.monotonic() > written + 6.5)
        yield one, two


def test_server_holds_a_burst_until_the_password_is_given(braked):
    one, two = braked
    left, right = one.home / "left", two.home / "right"
    before = contents(left)
    for number in range(5):
        shutil.rmtree(left / f"d{number}")

    # Whoever answers the client's own guard does not get past the server.
    said = one.run("sync", left, "--once", "--allow-deletions", "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.HALTED, "burst-held")
    assert "HELD" in two.run("devices", "list").out
    two.ask("sync", right, "--once")
    assert contents(right) == before
    (told,) = one.run("review", left, "--json").json
    assert told["review"]["counts"] == {"deleted": 5}
    assert told["review"]["entries_count"] > 200

    said = one.run("review", left, "--accept", "--password-stdin", "--json", typed="wrong\n")
    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "sign-in-failed")
    one.ask("review", left, "--accept", "--password-stdin", typed=f"{PASSWORD}\n")
    assert two.run("sync", right, "--once").code == ExitCode.HALTED
    two.ask("review", right, "--accept")
    assert contents(right) == contents(left)


def test_burst_is_undone_or_allowed_by_another_device(braked):
    one, two = braked
    left, right = one.home / "left", two.home / "right"
    before = contents(left)
    for number in range(5):
        shutil.rmtree(left / f"d{number}")
    assert one.run("sync", left, "--once", "--allow-deletions").code == ExitCode.HALTED

    one.ask("review", left, "--undo")
    assert contents(left) == before

    for number in range(5):
        shutil.rmtree(left / f"d{number}")
    assert one.run("sync", left, "--once", "--allow-deletions").code == ExitCode.HALTED
    assert two.ask("devices", "allow", "one")["entries"] > 200
    one.ask("sync", left, "--once", "--allow-deletions")
    assert two.run("sync", right, "--once").code == ExitCode.HALTED
