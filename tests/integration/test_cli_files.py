# SPDX-License-Identifier: Apache-2.0
"""The server's tree by remote path: ls, put, get, mkdir, mv, rm, history, restore, trash."""

import itertools
import os

import pytest

from drystone.cli.exit_codes import ExitCode
from tests.integration.cli_user import PASSWORD, User

_numbers = itertools.count()


@pytest.fixture
def user(tmp_path, monkeypatch, shared_server):
    """Somebody with an account and an empty tree of their own."""
    account = f"user{next(_numbers)}"
    shared_server.add_account(account, PASSWORD)
    user = User(tmp_path / "laptop", monkeypatch)
    user.log_in(shared_server.url, account)
    return user


def list_names(user, path="/"):
    return [entry["path"] for entry in user.ask("ls", path)]


def test_a_file_goes_there_and_back_with_mode_and_time(user, tmp_path):
    source = tmp_path / "plan.bin"
    source.write_bytes(os.urandom(3_000_000))
    source.chmod(0o750)
    os.utime(source, ns=(1, 1_600_000_000_123_456_789))

    put = user.ask("put", source, "/deep/er/")
    assert put["path"] == "/deep/er/plan.bin"
    assert list_names(user, "deep/er") == ["/deep/er/plan.bin"]
    target = tmp_path / "back"
    user.ask("get", "/deep/er/plan.bin", target)

    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o750
    assert target.stat().st_mtime_ns == 1_600_000_000_123_456_789
    shown = user.run("ls", "/deep/er/").out
    assert shown.startswith("-rwxr-x---  3 MB  2020-09-1")


def test_older_revisions_can_be_had_and_made_current_again(user, tmp_path):
    source = tmp_path / "plan.txt"
    for text in ("one", "two"):
        source.write_text(text)
        user.ask("put", source)

    revs = [line["rev"] for line in user.ask("history", "/plan.txt")]
    assert len(revs) == 2
    assert "laptop" in user.run("history", "/plan.txt").out
    user.ask("get", "/plan.txt", tmp_path / "old", "--rev", revs[1])
    assert (tmp_path / "old").read_text() == "one"

    user.ask("restore", "/plan.txt", "--rev", revs[1])
    user.ask("get", "/plan.txt", tmp_path / "now")
    assert (tmp_path / "now").read_text() == "one"
    assert len(user.ask("history", "/plan.txt")) == 3


def test_folders_are_made_moved_deleted_and_restored(user, tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("a")
    assert user.ask("mkdir", "/x/y")["path"] == "/x/y"
    user.ask("mkdir", "/x/y")
    user.ask("put", source, "/x/y")
    assert user.ask("mv", "/x/y", "/z")["path"] == "/z"
    assert list_names(user, "/z") == ["/z/a.txt"]
    user.ask("mv", "/z", "/x")
    assert list_names(user, "/x/z") == ["/x/z/a.txt"]

    (removed,) = user.ask("rm", "/x")
    assert list_names(user) == []
    assert [entry["file_id"] for entry in user.ask("trash")] == [removed["file_id"]]
    assert removed["file_id"] in user.run("trash").out
    user.ask("restore", removed["file_id"])

    assert list_names(user, "/x/z") == ["/x/z/a.txt"]
    assert user.run("trash").out == "Nothing is deleted.\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ls", "/no/such"), "remote-not-found"),
        (("get", "/no-such"), "remote-not-found"),
        (("get", "/folder"), "not-a-remote-file"),
        (("rm", "/no-such"), "remote-not-found"),
        (("rm", "/"), "top-folder"),
        (("mv", "/no-such", "/x"), "remote-not-found"),
        (("mv", "/folder", "/folder/below"), "cycle"),
        (("mkdir", "/"), "top-folder"),
        (("put", "no-such-file"), "not-a-file"),
        (("put", "."), "not-a-file"),
        (("history", "/no-such"), "remote-not-found"),
        (("restore", "no-such"), "remote-not-found"),
        (("restore", "/folder", "--rev", "xyz"), "malformed-id"),
        (("mkdir", "/a/.."), "invalid-name"),
        (("mkdir", "/" + "n" * 300), "invalid-name"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(user, arguments, code):
    user.ask("mkdir", "/folder")

    said = user.run(*arguments, "--json")

    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, code)
    assert list_names(user) == ["/folder"]
    assert user.run(*arguments).err.startswith("drystone: ")


def test_nothing_that_stands_there_is_replaced_by_a_move(user, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        user.ask("put", tmp_path / name)

    said = user.run("mv", "/one", "/two", "--json")

    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "remote-exists")
    assert list_names(user) == ["/one", "/two"]


def test_hostile_names_are_shown_escaped(user, tmp_path):
    (tmp_path / "x").write_text("x")
    user.ask("put", tmp_path / "x", "/a\x1b[2Jb")

    assert "a\\x1b[2Jb" in user.run("ls").out
    assert list_names(user) == ["/a\x1b[2Jb"]
