# SPDX-License-Identifier: Apache-2.0
"""`drystone receipt`: what the server holds is verified there and compared here, each time."""

import itertools
import os
import time
from pathlib import Path

import pytest

from drystone.cli.exit_codes import ExitCode
from drystone.core.content.hashing import ContentHasher
from drystone.testing.real_devices import list_packs
from drystone.testing.servers import ServerProcess
from tests.integration.cli_user import PASSWORD, User
from tests.integration.test_cli_sync import make_tree

_numbers = itertools.count()


@pytest.fixture
def one(tmp_path, monkeypatch, shared_server):
    name = f"receipt{next(_numbers)}"
    shared_server.add_account(name, PASSWORD)
    user = User(tmp_path / "laptop", monkeypatch)
    user.log_in(shared_server.url, name)
    user.account = name
    return user


def ask_one(user, path, *flags):
    """Returns the only receipt and the exit code."""
    said = user.run("receipt", path, *flags, "--json")
    (found,) = said.json["receipts"]
    assert found["is_safe"] == said.json["is_safe"] == (said.code == ExitCode.OK)
    return found


def hash_of(content: bytes) -> str:
    hasher = ContentHasher()
    hasher.feed(content)
    return hasher.finish().hex()


def test_a_file_on_the_server_gets_a_receipt(one):
    left = make_tree(one.home / "left")
    before_ns = time.time_ns()
    one.ask("sync", left, "--once")
    found = ask_one(one, left / "sub" / "3.txt")

    assert found["is_safe"]
    assert found["entry"]["content_hash"] == hash_of(b"3\n")
    assert (found["entry"]["here"], found["entry"]["blocks_count"]) == ("same", 1)
    assert (found["account"], found["device"]) == (one.account, "laptop")
    assert before_ns < found["committed_ns"] < found["checked_ns"]
    (line,) = one.ask("history", "/sub/3.txt")
    assert found["entry"]["rev"] == line["rev"]
    text = one.run("receipt", left / "sub" / "3.txt").out
    assert "3.txt: safe. The copy here can go." in text
    assert "verified   1 block on the server" in text
    # A rename is no new content: it stays committed when it was.
    one.ask("mv", "/sub/3.txt", "/sub/three.txt")
    one.ask("sync", left, "--once")
    renamed = ask_one(one, left / "sub" / "three.txt")
    assert renamed["committed_ns"] == found["committed_ns"]


@pytest.mark.parametrize("quick", [(), ("--quick",)])
def test_what_is_not_sent_gets_none(one, quick):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    (left / "sub" / "3.txt").write_text("33\n")
    (left / "new.txt").write_text("new")
    (left / "link").unlink()
    (left / "link").symlink_to("elsewhere")

    assert ask_one(one, left / "sub" / "3.txt", *quick)["entry"]["code"] == "differs"
    assert ask_one(one, left / "new.txt", *quick)["entry"]["code"] == "not-on-server"
    assert ask_one(one, left / "link", *quick)["entry"]["code"] == "differs"
    assert ask_one(one, left / "sub" / "4.txt", *quick)["is_safe"]
    whole = ask_one(one, left, *quick)
    assert {Path(line["path"]).name for line in whole["unsafe"]} == {"3.txt", "new.txt", "link"}
    assert (whole["files_count"], whole["safe_count"]) == (15, 12)
    assert "NOT safe, 3 of 15 entries" in one.run("receipt", left, *quick).out
    one.ask("sync", left, "--once")
    assert ask_one(one, left, *quick)["is_safe"]


def test_only_reading_finds_bytes_that_changed_behind_the_clock(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    path = left / "sub" / "3.txt"
    before = path.stat()
    path.write_text("X\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert ask_one(one, path)["entry"]["code"] == "differs"
    assert ask_one(one, path, "--quick")["entry"]["here"] == "alike"


def test_a_large_file_and_an_empty_one(one):
    left = one.home / "left"
    left.mkdir()
    (left / "large").write_bytes(os.urandom(9_000_000))
    (left / "empty").touch()
    one.ask("sync", left, "--once")

    large = ask_one(one, left / "large")["entry"]
    assert large["here"] == "same"
    assert large["blocks_count"] > 3, "its manifest is one of them"
    assert ask_one(one, left / "empty")["entry"]["here"] == "same"
    assert ask_one(one, left)["bytes_count"] == 9_000_000


def test_what_is_only_on_the_server_is_safe_there(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    source = one.home / "x"
    source.write_text("x")
    one.ask("put", source, "/sub/other")
    (left / "sub" / "3.txt").unlink()

    gone = ask_one(one, left / "sub" / "3.txt")
    assert (gone["is_safe"], gone["entry"]["here"]) == (True, "nothing")
    assert "can go" not in one.run("receipt", left / "sub" / "3.txt").out
    assert ask_one(one, left / "sub")["remote_only_count"] == 2
    assert ask_one(one, left / "never")["is_safe"] is False


def test_a_part_of_the_tree_is_found_whatever_it_is_called_by_now(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once", "--to", "/documents")
    one.ask("mv", "/documents", "/papers")

    assert ask_one(one, left / "sub" / "3.txt")["is_safe"]
    assert ask_one(one, left)["safe_count"] == 14
    assert ask_one(one, left / "sub" / "no" / "such")["is_safe"] is False


def test_names_that_the_server_cannot_have_and_pipes(one):
    left = make_tree(one.home / "left")
    unnamed = Path(os.fsdecode(bytes(left) + b"/bad\xff"))
    unnamed.write_text("x")
    os.mkfifo(left / "pipe")
    one.run("sync", left, "--once")

    assert ask_one(one, unnamed)["entry"]["code"] == "name-not-utf8"
    whole = ask_one(one, left)
    assert [line["code"] for line in whole["unsafe"]] == ["name-not-utf8"]
    said = one.run("receipt", one.home, "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "not-a-synced-folder")


def test_damage_on_the_server_and_its_absence_are_told(tmp_path, monkeypatch):
    one = User(tmp_path / "one", monkeypatch)
    left = make_tree(one.home / "left")
    (left / "large").write_bytes(os.urandom(3_000_000))
    with ServerProcess(tmp_path / "data") as server:
        server.add_account("anna", PASSWORD)
        one.log_in(server.url)
        one.ask("sync", left, "--once")
        assert ask_one(one, left)["is_safe"]
        for pack in list_packs(server):
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(content)
        found = ask_one(one, left)
        assert not found["is_safe"]
        assert {line["code"] for line in found["unsafe"]} == {"damaged"}
        assert "doctor --repair" in one.run("receipt", left).out
        assert one.run("doctor", "--repair").code == ExitCode.OK
        assert ask_one(one, left)["is_safe"]
    said = one.run("receipt", left, "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.UNAVAILABLE, "server-away")
    assert said.out == ""


def test_several_paths_are_safe_together_or_not_at_all(one):
    left = make_tree(one.home / "left")
    one.ask("sync", left, "--once")
    (left / "new").touch()
    said = one.run("receipt", left / "sub", left / "new", "--json")

    assert said.code == ExitCode.PROBLEMS
    assert [found["is_safe"] for found in said.json["receipts"]] == [True, False]
