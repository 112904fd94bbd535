# SPDX-License-Identifier: Apache-2.0
"""Bad input: files that may not be read, and files that change while they are read."""

import ctypes
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from drystone.client.bootstrap import get_file, list_history, list_problems
from drystone.client.loop import running
from drystone.testing.real_devices import converge

MIB = 1 << 20
PROBLEMS = 7
"""The exit code of a sync that was done except for some paths."""

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@pytest.fixture
def pair(join):
    """Two devices of one account."""
    return join("one"), join("two")


# --- may not be read ------------------------------------------------------------------------------


def obey_permissions():
    """Takes from a superuser what lets them read everything; for good, and for what they run."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "this superuser cannot become anybody else")


def sync_with_permissions(device):
    """Syncs as somebody to whom permissions apply; returns what the program printed."""
    command = [sys.executable, "-m", "drystone", "sync", str(device.folder), "--once", "--json"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=obey_permissions,
            env={**os.environ, "DRYSTONE_CONFIG_DIR": str(device.settings.config_dir)},
        )
    except subprocess.SubprocessError:
        pytest.skip("this superuser cannot give up reading everything")
    assert done.returncode == PROBLEMS, done.stderr
    return json.loads(done.stdout)


def test_unreadable_files_are_told_and_others_go_on(pair):
    one, two = pair
    one.write("d/edited", b"before")
    one.write("d/other", b"before")
    one.write("hidden/below", b"stays")
    converge(one, two)
    secrets = [one.write("new", b"never seen"), one.write("d/edited", b"after, unreadable")]
    one.write("d/other", b"after")
    one.write("beside", b"new")
    for secret in secrets:
        secret.chmod(0)
    (one.folder / "hidden").chmod(0)
    try:
        answer = sync_with_permissions(one)
        told = {row["path"]: row for row in answer["problems"]}
        before = two.look()
        two.sync()

        assert {path: row["code"] for path, row in told.items()} == {
            "new": "unreadable", "d/edited": "unreadable", "hidden": "unreadable",
        }  # fmt: skip
        for path, row in told.items():
            assert path in row["message"]
            assert "chmod" in row["advice"]
        assert answer["uploaded_count"] == 2
        assert one.list_stage() == []
        # What cannot be read is neither deleted nor emptied on the other side.
        assert before.keys() <= two.look().keys()
        assert two.read("d/edited") == b"before"
        assert two.read("hidden/below") == b"stays"
        assert (two.read("d/other"), two.read("beside")) == (b"after", b"new")
        assert not (two.folder / "new").exists()

        # It stays told, once each, and is no news to the next sync.
        assert {row["path"] for row in sync_with_permissions(one)["problems"]} == told.keys()
    finally:
        for secret in secrets:
            secret.chmod(0o644)
        (one.folder / "hidden").chmod(0o755)
    converge(one, two)

    assert two.read("new") == b"never seen"
    assert two.read("d/edited") == b"after, unreadable"
    assert list_problems(one.settings, one.folder) == []


def test_file_that_comes_where_nothing_may_be_written_is_told_and_others_go_on(pair):
    one, two = pair
    one.write("closed/kept", b"old")
    one.write("open/kept", b"old")
    converge(one, two)
    one.write("closed/kept", b"edited")
    one.write("closed/new", b"new")
    one.write("open/kept", b"edited")
    one.sync()
    (two.folder / "closed").chmod(0o555)
    try:
        answer = sync_with_permissions(two)
        told = {row["path"]: row for row in answer["problems"]}

        assert {path: row["code"] for path, row in told.items()} == {
            "closed/kept": "not-writable", "closed/new": "not-writable",
        }  # fmt: skip
        assert all("chmod" in row["advice"] for row in told.values())
        assert (two.read("closed/kept"), two.read("open/kept")) == (b"old", b"edited")
        assert two.list_stage() == []
    finally:
        (two.folder / "closed").chmod(0o755)
    converge(two, one)

    assert (two.read("closed/kept"), two.read("closed/new")) == (b"edited", b"new")


# --- changes while it is read ---------------------------------------------------------------------


TICK_S = 0.02
"""A single write that takes longer than this cannot be told from a write that ended."""

WRITES_ALL_THE_TIME = """
import os, select, sys, time

path, length = sys.argv[1], int(sys.argv[2])
versions = [bytes([letter]) * length for letter in b"abcdefgh"]
descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
longest_s, number = 0.0, 0
while not (number and select.select([sys.stdin], [], [], 0)[0]):
    begun_s = time.monotonic()
    os.pwrite(descriptor, versions[number % len(versions)], 0)
    longest_s = max(longest_s, time.monotonic() - begun_s)
    number += 1
    if number == 1:
        print("begun", flush=True)
print(longest_s, flush=True)
"""


@contextmanager
def written_all_the_time(path, length_bytes):
    """Writes a file over and over, each version with one write and all of one letter.

    Yields a list that in the end has the seconds of the longest write.
    """
    command = [sys.executable, "-c", WRITES_ALL_THE_TIME, str(path), str(length_bytes)]
    longest_s = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline()
        yield longest_s
        told, _ = writer.communicate()
        longest_s.append(float(told))


def is_torn(content):
    return len(set(content)) > 1


@pytest.mark.parametrize("length_bytes", [100_000, 3 * MIB, 20 * MIB])
def test_file_that_changes_while_it_is_read_never_arrives_torn(
    pair, tmp_path, monkeypatch, length_bytes
):
    monkeypatch.setattr(running, "_AGAIN_S", 0.05)
    one, two = pair
    busy = one.write("d/busy", b"_" * length_bytes)
    converge(one, two)
    arrived = []
    with written_all_the_time(busy, length_bytes) as longest_s:
        for number in range(3):
            one.write(f"d/beside{number}", b"goes on")
            one.sync()
            two.sync()
            arrived.append(two.read("d/busy"))

            assert two.read(f"d/beside{number}") == b"goes on"
            assert one.list_stage() == two.list_stage() == []
    converge(one, two)
    assert two.read("d/busy") == busy.read_bytes()

    for line in list_history(one.settings, "/d/busy"):
        revision = get_file(one.settings, "/d/busy", tmp_path / "revision", rev=line.rev)
        arrived.append(revision.read_bytes())
    assert not any(map(is_torn, arrived)) or longest_s[0] > TICK_S


def test_file_that_only_grows_arrives_as_it_was_at_some_moment(pair, monkeypatch):
    monkeypatch.setattr(running, "_AGAIN_S", 0.05)
    one, two = pair
    log = one.write("log", b"")
    is_over = threading.Event()

    def write():
        number = 0
        with log.open("ab", buffering=0) as file:
            while not is_over.is_set():
                file.write(b"line %09d\n" % number)
                number += 1

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(2):
            one.sync()
            two.sync()
            if (two.folder / "log").exists():
                arrived = two.read("log")
                assert log.read_bytes().startswith(arrived)
    finally:
        is_over.set()
        writing.join()
    converge(one, two)

    assert two.read("log") == log.read_bytes()
