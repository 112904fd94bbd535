# SPDX-License-Identifier: Apache-2.0
"""Whatever a person mistypes: what happened, to what, and what to do now."""

import itertools

import pytest

from drystone.cli.exit_codes import ExitCode
from tests.integration.cli_user import PASSWORD, User

_numbers = itertools.count()


@pytest.fixture
def one(tmp_path, monkeypatch, shared_server):
    name = f"advice{next(_numbers)}"
    shared_server.add_account(name, PASSWORD)
    user = User(tmp_path / "one", monkeypatch)
    user.log_in(shared_server.url, name)
    source = user.home / "a.txt"
    source.write_text("a")
    user.ask("put", source, "/a.txt")
    user.ask("mkdir", "/y")
    return user


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("mkdir", "/a.txt/q"), "remote-exists", "cannot hold anything"),
        (("mkdir", "/"), "top-folder", "always there"),
        (("mv", "/y", "/y/y"), "cycle", "into itself"),
        (("mv", "/a.txt", "/a.txt"), "remote-exists", "is there already"),
        (("rm", "/"), "top-folder", "stays as it is"),
        (("mv", "/", "/z"), "top-folder", "stays as it is"),
        (("get", "/y"), "not-a-remote-file", "is a folder"),
        (("get", "/a.txt", "--rev", "zz"), "malformed-id", "is not a rev"),
        (("get", "/nothing"), "remote-not-found", "nothing at /nothing"),
        (("history", "/nothing"), "remote-not-found", "nothing at /nothing"),
        (("restore", "never"), "remote-not-found", "was deleted"),
        (("restore", "/a.txt", "--rev", "00000ffff"), "not-found", "no revision"),
        (("forget", "/tmp"), "not-a-synced-folder", "/tmp"),
        (("why", "/tmp"), "not-a-synced-folder", "/tmp"),
        (("receipt", "/tmp"), "not-a-synced-folder", "/tmp"),
        (("put", "/nothing"), "not-a-file", "no such file"),
        (("devices", "revoke", "nobody"), "device-unclear", "nobody"),
        (("sync", "/dev/null", "--once"), "root-unusable", "/dev/null"),
        (("login", "ftp://x"), "bad-server-url", "ftp://x"),
    ],
)
def test_each_refusal_says_what_to_do_now(one, arguments, code, told):
    said = one.run(*arguments, "--json")

    assert said.code not in (ExitCode.OK, ExitCode.UNEXPECTED)
    assert said.problem["code"] == code
    assert told in said.problem["message"]
    assert said.problem["advice"], "nothing says what to do now"
    assert "\n  now: " in one.run(*arguments).err


def test_the_server_is_met_before_a_password_is_asked_for(one):
    said = one.run("login", "http://127.0.0.1:1", "--user", "ana", "--json")

    assert (said.code, said.problem["code"]) == (ExitCode.UNAVAILABLE, "server-away")
    assert one.run("login", "http://127.0.0.1:1", "--json").problem["code"] == "server-away"


def test_the_trash_tells_when_and_from_where(one):
    source = one.home / "a.txt"
    one.ask("put", source, "/y/deep/b.txt")
    one.ask("rm", "/y/deep/b.txt", "/a.txt")
    one.ask("mv", "/y", "/z")
    first, second = one.ask("trash")

    assert (first["path"], first["folder"]) == ("a.txt", "/")
    assert (second["path"], second["folder"]) == ("b.txt", "/z/deep")
    assert 0 < second["deleted_ns"] <= first["deleted_ns"]
    text = one.run("trash").out
    assert "FROM" in text
    assert "/z/deep" in text


def test_repair_shows_how_far_it_has_come(one):
    folder = one.home / "folder"
    folder.mkdir()
    for number in range(5):
        (folder / str(number)).write_text(f"content {number}")
    one.ask("sync", folder, "--once")

    assert "verified 6 files" in one.run("doctor", "--repair").err
