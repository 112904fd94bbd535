# SPDX-License-Identifier: Apache-2.0
"""Encryption of what a real server stores: the commands, damage, and a change of keys that is
killed."""

import signal
import subprocess
import sys

import pytest

from drystone.cli.exit_codes import ExitCode
from drystone.testing.real_devices import converge, list_packs
from drystone.testing.servers import (
    CHEAP_PASSWORDS,
    PLAIN_OBJECTS,
    ServerFailed,
    ServerProcess,
)
from tests.integration.cli_user import User

WORDS = b"a well known sentence, which nobody should find on the disk. " * 2_000

ROTATE_AND_DIE = """
import os, pathlib, signal, sys
from drystone.server.bootstrap import open_key_admin
from drystone.server.bootstrap.storing import master_keys
from drystone.server.settings import ServerSettings
from drystone.server.storage.objects_files import FileObjects

left = [int(sys.argv[2])]

def mortal(real):
    def call(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call

FileObjects.put_many = mortal(FileObjects.put_many)
FileObjects.delete = mortal(FileObjects.delete)
master_keys.replace_durably = mortal(master_keys.replace_durably)
with open_key_admin(ServerSettings(data_dir=pathlib.Path(sys.argv[1]))) as keys:
    keys.rotate()
"""


@pytest.fixture
def operator(tmp_path, monkeypatch):
    """Runs ``drystone admin``; returns what it said."""
    user = User(tmp_path / "operator", monkeypatch)

    def run(server, *arguments, typed=""):
        return user.run("admin", *arguments, "--data-dir", server.data_dir, typed=typed)

    return run


def files_with(folder, words):
    return [p for p in folder.rglob("*") if p.is_file() and words in p.read_bytes()]


def test_no_byte_of_a_file_lies_readable_on_the_server(shared_server, join):
    one, two = join("one"), join("two")
    one.write("noise", b"\0\1known\2" + bytes(range(256)) * 40)
    one.write("words", WORDS)
    one.sync()
    converge(one, two)

    assert files_with(shared_server.data_dir, b"well known") == []
    assert files_with(shared_server.data_dir, bytes(range(200))) == []
    assert all(p.read_bytes().startswith(b"DSSEAL1\n") for p in list_packs(shared_server))


def test_damage_of_a_sealed_pack_is_told_and_healed(shared_server, join, monkeypatch):
    one, two = join("one"), join("two")
    known = set(list_packs(shared_server))
    one.write("words", WORDS + one.account.encode())
    one.sync()
    [pack] = set(list_packs(shared_server)) - known
    raw = bytearray(pack.read_bytes())
    raw[len(raw) // 2] ^= 1
    pack.write_bytes(raw)
    two.sync()
    assert list(two.list_problems()) == ["words"]

    said = User(one.home, monkeypatch).run("doctor", "--repair", one.folder)
    assert said.code == ExitCode.OK
    converge(one, two)


def test_rotation_that_is_killed_anywhere_leaves_a_server_that_starts(tmp_path, operator):
    data_dir = tmp_path / "data"
    with ServerProcess(data_dir) as server:
        first = operator(server, "show-key", "--json").json
    for step in range(1, 10):
        command = [sys.executable, "-c", ROTATE_AND_DIE, str(data_dir), str(step)]
        ended = subprocess.run(command, check=False).returncode
        status = operator(server, "show-key", "--json")
        assert status.code == ExitCode.OK, status
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert step == 9
    with server:
        last = operator(server, "show-key", "--json").json
    assert last["opened_by"] == [last["master_key_id"]] != [first["master_key_id"]]


def test_key_commands_on_a_running_server(server, operator):
    line = operator(server, "export-key").out.strip()
    assert line.startswith("drystone-master-key ")
    assert line not in server.log_path.read_text()
    said = operator(server, "rotate-key", "--yes")
    assert said.code == ExitCode.OK
    assert "export-key" in said.out
    server.stop()
    key_file = server.data_dir / "keys" / "master.key"
    newest = operator(server, "export-key").out
    key_file.unlink()
    with pytest.raises(ServerFailed, match="recover-key"):
        server.start()
    assert operator(server, "recover-key", typed=line).code == ExitCode.MISCONFIGURED
    assert operator(server, "recover-key", typed=newest).code == ExitCode.OK
    server.start()


def test_server_from_before_is_encrypted_while_it_runs(tmp_path, operator):
    with ServerProcess(tmp_path / "data", environment=PLAIN_OBJECTS) as server:
        server.add_account("anna", "correct horse")
    with ServerProcess(tmp_path / "data", environment=CHEAP_PASSWORDS) as server:
        said = operator(server, "seal", "--json")
        assert said.code == ExitCode.OK
        assert not operator(server, "show-key", "--json").json["holds_plain"]
    with pytest.raises(ServerFailed, match="what is stored is encrypted"):
        ServerProcess(tmp_path / "data", environment=PLAIN_OBJECTS).start()
