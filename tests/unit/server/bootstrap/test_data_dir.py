# SPDX-License-Identifier: Apache-2.0

import os
import stat
from pathlib import Path

import pytest

from drystone.server.bootstrap import data_dir as module
from drystone.server.bootstrap.data_dir import (
    HomeInUse,
    NewerHome,
    UnusableHome,
    find_serving_url,
    opened_data_dir,
)


def open_it(path):
    with opened_data_dir(path) as data_dir:
        return data_dir


def test_new_directory_is_private_even_if_it_was_there_before(tmp_path):
    (tmp_path / "empty").mkdir(mode=0o755)
    (tmp_path / "empty" / "drystone.toml").touch()
    for name in ("empty", "missing"):
        data_dir = open_it(tmp_path / name)

        assert data_dir.is_new
        assert stat.S_IMODE(data_dir.path.stat().st_mode) == 0o700
        assert not open_it(tmp_path / name).is_new


def test_making_that_was_interrupted_is_done_again(tmp_path):
    (tmp_path / "setup.new").write_text("half")

    assert open_it(tmp_path).is_new
    assert not (tmp_path / "setup.new").exists()


@pytest.mark.parametrize("text", ["", "junk", "drystone data directory, format x"])
def test_directory_with_a_damaged_mark_is_refused(tmp_path, text):
    open_it(tmp_path)
    (tmp_path / "format").write_text(text)
    with pytest.raises(UnusableHome):
        open_it(tmp_path)


def test_directory_of_a_newer_version_is_refused(tmp_path):
    open_it(tmp_path)
    (tmp_path / "format").write_text(f"drystone data directory, format {module.FORMAT + 1}\n")
    with pytest.raises(NewerHome, match=f"format {module.FORMAT + 1}"):
        open_it(tmp_path)


def test_directory_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UnusableHome, match=r"letter\.txt"):
        open_it(tmp_path)


def test_volume_of_another_user_is_refused_with_what_to_do(tmp_path, monkeypatch):
    def refuse(*_args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(UnusableHome, match="belongs to another user") as caught:
        open_it(tmp_path)
    assert str(tmp_path / "data") in caught.value.advice
    monkeypatch.undo()
    assert open_it(tmp_path / "data").is_new


def test_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnusableHome, match="cannot be used"):
            open_it(path)


def test_directory_is_held_by_one_until_it_lets_go(tmp_path):
    first, second = open_it(tmp_path), open_it(tmp_path)
    first.hold()
    with pytest.raises(HomeInUse, match=str(os.getpid())):
        second.hold()
    first.close()
    first.close()

    second.hold()
    second.close()


def test_only_one_process_prepares_it_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SETUP_WAIT_S", 0.0)
    with opened_data_dir(tmp_path), pytest.raises(HomeInUse, match="preparing"):
        open_it(tmp_path)
    open_it(tmp_path)


def test_key_is_made_once_for_the_owner_only(tmp_path):
    data_dir = open_it(tmp_path)
    key = data_dir.load_key("cursor")

    assert len(key) == 32
    assert open_it(tmp_path).load_key("cursor") == key
    assert data_dir.load_key("other") != key
    assert stat.S_IMODE((tmp_path / "keys" / "cursor.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "not hex", "abcd"])
def test_damaged_key_is_refused(tmp_path, text):
    data_dir = open_it(tmp_path)
    data_dir.load_key("cursor")
    (tmp_path / "keys" / "cursor.key").write_text(text)
    with pytest.raises(UnusableHome, match=r"cursor\.key"):
        data_dir.load_key("cursor")


def test_telling_the_server_changes_the_stamp(tmp_path):
    server, command = open_it(tmp_path), open_it(tmp_path)
    stamps = [server.find_stamp()]
    for _ in range(3):
        command.tell_server()
        stamps.append(server.find_stamp())

    assert len(set(stamps)) == 4


def test_where_it_serves_is_told_while_it_is_held(tmp_path):
    data_dir = open_it(tmp_path)
    data_dir.hold()
    data_dir.note_serving("http://127.0.0.1:1")

    assert find_serving_url(tmp_path) == "http://127.0.0.1:1"
    data_dir.close()
    assert find_serving_url(tmp_path) is None
    (tmp_path / "serving.json").write_text("[]")
    assert find_serving_url(tmp_path) is None


def test_the_newest_backup_is_noted(tmp_path):
    with opened_data_dir(tmp_path / "data") as data_dir:
        before = data_dir.find_backup_s()
        data_dir.note_backup(1_700_000_000)
        noted = data_dir.find_backup_s()
        (tmp_path / "data" / "backup.stamp").write_text("torn")

    assert before is None
    assert noted == 1_700_000_000
    assert data_dir.find_backup_s() is None
