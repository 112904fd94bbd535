# SPDX-License-Identifier: Apache-2.0
"""Bad input: two clients on one folder, state of a newer version, damaged or of something else."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from drystone.client.adapters.disk import RootLock
from drystone.client.bootstrap import forget_root, list_roots, open_root
from drystone.core.errors import DrystoneError
from drystone.testing.real_devices import PASSWORD, RealDevice, converge

HOLDS_THE_FOLDER = """
import sys
from pathlib import Path
from drystone.testing.real_devices import RealDevice

home, url, account = sys.argv[1:]

def wait(phase):
    if phase != "connect":
        print(phase, flush=True)
        sys.stdin.read()

RealDevice(Path(home), url, account, "one").sync(on_phase=wait)
"""


@pytest.fixture
def pair(join):
    """Two devices with the same two files."""
    one, two = join("one"), join("two")
    one.write("kept", b"x")
    one.write("d/below", b"y")
    converge(one, two)
    return one, two


def refusal(device):
    """Returns the error with which a sync ends; it must have changed nothing."""
    before = device.look()
    with pytest.raises(DrystoneError) as caught:
        device.sync()
    assert device.look() == before
    assert caught.value.message
    assert caught.value.advice
    return caught.value


@contextmanager
def closing_lock(folder):
    """Holds a folder as a client that syncs it does."""
    lock = RootLock(folder)
    try:
        yield
    finally:
        lock.release()


def read_control(device):
    """Returns the files of the control folder, without what a reader of SQLite may make."""
    files = {path.name: path for path in device.control.iterdir() if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.endswith("-shm")}


# --- two clients ----------------------------------------------------------------------------------


def test_second_client_on_a_folder_is_refused_while_the_first_works(pair):
    one, two = pair
    command = [sys.executable, "-c", HOLDS_THE_FOLDER, str(one.home), one.url, one.account]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline()
        one.write("new", b"z")
        error = refusal(one)
        first.communicate("")
        assert first.returncode == 0

    assert error.code == "root-busy"
    assert f"process {first.pid}" in error.message
    assert str(one.folder) in error.message
    assert "drystone stop" in error.advice
    converge(one, two)
    assert two.read("new") == b"z"


def test_folder_that_another_configuration_syncs_is_not_taken_over(pair, shared_server, tmp_path):
    one, two = pair
    other = RealDevice(tmp_path / "other", shared_server.url, one.account, "other")
    other.log_in(PASSWORD)
    other.folder = one.folder
    with closing_lock(one.folder):
        error = refusal(other)

        assert error.code == "root-busy"
        assert list_roots(other.settings) == []
    open_root(other.settings, one.folder, url=other.url)
    with closing_lock(one.folder):
        forget_root(other.settings, one.folder)

    assert list_roots(other.settings) == []
    one.write("new", b"z")
    converge(one, two)


def test_client_of_another_account_is_refused_and_takes_nothing_for_deleted(
    pair, shared_server, tmp_path
):
    one, two = pair
    stranger = RealDevice(tmp_path / "stranger", shared_server.url, "bert", "stranger")
    stranger.log_in()
    stranger.folder = one.folder
    error = refusal(stranger)

    assert error.code == "root-elsewhere"
    assert str(one.folder) in error.message
    assert "drystone forget" in error.advice
    one.write("new", b"z")
    converge(one, two)


def test_client_of_the_same_account_goes_on_where_the_first_was(pair, shared_server, tmp_path):
    one, two = pair
    again = RealDevice(tmp_path / "again", shared_server.url, one.account, "again")
    again.log_in(PASSWORD)
    again.folder = one.folder
    summary = again.sync()

    assert (summary.uploaded_count, summary.downloaded_count) == (0, 0)
    converge(again, two)


def test_folder_that_was_forgotten_is_merged_when_it_is_synced_again(pair):
    one, two = pair
    forget_root(one.settings, one.folder)
    (one.folder / "kept").unlink()
    one.write("new", b"z")
    converge(one, two)

    assert sorted(two.look()) == ["d", "d/below", "kept", "new"]


def test_folder_that_was_forgotten_may_be_synced_with_another_remote_folder(pair):
    one, two = pair
    forget_root(one.settings, one.folder)
    before = one.look()
    open_root(one.settings, one.folder, to="/elsewhere")
    one.sync()
    two.sync()

    assert one.look() == before
    assert {"kept", "d/below", "elsewhere/kept", "elsewhere/d/below"} <= two.look().keys()


# --- a newer version's state ----------------------------------------------------------------------


def set_version(device, number):
    with closing(sqlite3.connect(device.control / "state.db")) as db, db:
        [(before,)] = db.execute("PRAGMA user_version")
        db.execute(f"PRAGMA user_version = {number}")
    return before


def test_state_of_a_newer_version_is_refused_and_left_alone(pair):
    one, two = pair
    known = set_version(one, 999)
    one.write("new", b"z")
    before = read_control(one)
    error = refusal(one)

    assert error.code == "state-too-new"
    assert "format 999" in error.message
    assert str(one.control / "state.db") in error.message
    assert "newer version" in error.advice
    assert read_control(one).items() >= {n: c for n, c in before.items() if n != "lock"}.items()

    set_version(one, known)
    converge(one, two)
    assert two.read("new") == b"z"


def test_control_folder_of_a_newer_version_is_refused_and_left_alone(pair):
    one, two = pair
    marker = one.control / "marker"
    known = marker.read_text()
    marker.write_text(json.dumps({**json.loads(known), "format": 2}))
    before = read_control(one)
    error = refusal(one)

    assert error.code == "root-too-new"
    assert "format 2" in error.message
    assert read_control(one) == before

    marker.write_text(known)
    converge(one, two)


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"junk" * 5_000, b"", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_damaged_state_is_made_anew_and_nothing_is_lost(pair, damage):
    one, two = pair
    (one.folder / "kept").write_bytes(b"edited")
    two.write("from-two", b"w")
    two.sync()
    (one.control / "state.db").write_bytes(damage)
    one.sync()
    said = one.told.messages
    converge(one, two)
    contents = {look.content for look in two.look().values()}

    assert {b"x", b"edited", b"w", b"y"} >= contents - {b""} >= {b"edited", b"w", b"y"}
    assert not damage or "damaged" in said[0]


@pytest.mark.parametrize("content", [None, "junk", "{}"])
def test_folder_without_its_marker_is_not_believed(pair, content):
    one, two = pair
    marker = one.control / "marker"
    known = marker.read_text()
    marker.unlink()
    if content is not None:
        marker.write_text(content)
    error = refusal(one)

    assert error.code == "root-gone"
    assert "nothing was taken for deleted" in error.message
    assert "drystone forget" in error.advice

    marker.write_text(known)
    converge(one, two)


def test_folder_that_is_gone_is_not_taken_for_emptied(pair):
    one, two = pair
    away = one.folder.with_name("unmounted")
    one.folder.rename(away)
    for is_there in (False, True):
        if is_there:
            one.folder.mkdir()
        with pytest.raises(DrystoneError) as caught:
            one.sync()

        assert caught.value.code == "root-gone"
        assert str(one.folder) in caught.value.message
    one.folder.rmdir()
    away.rename(one.folder)
    converge(one, two)
    assert sorted(two.look()) == ["d", "d/below", "kept"]


@pytest.mark.parametrize("name", ["credentials.json", "roots.json"])
def test_damaged_configuration_is_told_by_name(pair, name):
    one, two = pair
    path = one.settings.config_dir / name
    known = path.read_bytes()
    path.write_bytes(b"[{}")
    error = refusal(one)

    assert error.code == "config-unusable"
    assert str(path) in error.message

    path.write_bytes(known)
    converge(one, two)
