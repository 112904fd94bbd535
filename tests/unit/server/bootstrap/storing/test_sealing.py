# SPDX-License-Identifier: Apache-2.0
"""Opening the embedded store with its master key, wherever that is; and changing it."""

import os
import stat
import sys

import pytest

from drystone.core.errors import DrystoneError, Misconfigured
from drystone.server.bootstrap.data_dir import opened_data_dir
from drystone.server.bootstrap.storing import key_admin as key_admin_module
from drystone.server.bootstrap.storing import master_keys as master_keys_module
from drystone.server.bootstrap.storing.key_admin import open_key_admin
from drystone.server.bootstrap.storing.sealing import open_embedded_objects
from drystone.server.settings import ServerSettings
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_sealed import SealedObjects

NAME = "packs/ab/abcd"
KEY = bytes(range(32)).hex()
OTHER_KEY = bytes(range(1, 33)).hex()


@pytest.fixture
def settings(tmp_path):
    def make(master_key="file"):
        return ServerSettings(data_dir=tmp_path / "data", master_key=master_key)

    return make


def open_store(settings):
    with opened_data_dir(settings.data_dir) as data_dir:
        return open_embedded_objects(settings, data_dir)


def refusal_of(settings):
    with pytest.raises(Misconfigured) as caught:
        open_store(settings)
    return caught.value


def look(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def command(code, *arguments):
    quoted = " ".join(f"'{argument}'" for argument in (sys.executable, "-c", code, *arguments))
    return f"command:{quoted}"


def test_first_start_makes_a_key_for_the_owner_alone_and_tells_where(settings, tmp_path):
    path = tmp_path / "data" / "keys" / "master.key"
    first = open_store(settings())
    first.objects.put(NAME, [b"hello"])
    second = open_store(settings())

    assert (first.made_key_path, second.made_key_path) == (path, None)
    assert first.warnings == second.warnings == ()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert second.objects.read(NAME, [(0, 9)]) == [b"hello"]
    assert b"hello" not in (tmp_path / "data" / "objects" / NAME).read_bytes()
    assert (tmp_path / "data" / "format").read_text().endswith(" 2\n")


def test_store_from_before_is_sealed_from_now_on_and_says_what_is_left(settings, tmp_path):
    plain = open_store(settings("none"))
    plain.objects.put(NAME, [b"old"])
    (tmp_path / "data" / "format").write_text("drystone data directory, format 1\n")
    opened = open_store(settings())
    opened.objects.put("packs/cd/cdef", [b"new"])

    assert "not encrypted" in plain.warnings[0]
    assert "admin seal" in opened.warnings[0]
    assert opened.objects.read(NAME, [(0, 9)]) == [b"old"]
    assert (tmp_path / "data" / "format").read_text().endswith(" 2\n")
    with open_key_admin(settings(), is_long=True) as keys:
        told = []
        assert keys.show().holds_plain
        tally = keys.seal(told.append)
        assert keys.seal(told.append).sealed_count == 0
        assert not keys.show().holds_plain
    assert (tally.sealed_count, tally.sealed_bytes, tally.objects_count) == (1, 3, 2)
    assert told == [tally._replace(objects_count=told[0].objects_count)]
    again = open_store(settings())
    assert again.warnings == ()
    assert again.objects.read(NAME, [(0, 9)]) == [b"old"]
    assert opened.objects.read(NAME, [(0, 9)]) == [b"old"]


def test_encryption_is_not_switched_off_by_mistake(settings):
    open_store(settings())

    assert refusal_of(settings("none")).code == "store-is-sealed"


@pytest.mark.parametrize("place", ["file", "file:{path}", "env:THE_KEY", "command"])
def test_key_at_any_place_opens_what_it_sealed(settings, tmp_path, monkeypatch, place):
    (tmp_path / "data" / "keys").mkdir(parents=True)
    (tmp_path / "data" / "format").write_text("drystone data directory, format 2\n")
    path = tmp_path / "data" / "keys" / "master.key"
    path.write_text(KEY)
    path.chmod(0o600)
    monkeypatch.setenv("THE_KEY", KEY)
    if place == "command":
        place = command("import sys; print(sys.argv[1])", KEY)
    opened = open_store(settings(place.format(path=path)))
    opened.objects.put(NAME, [b"hello"])

    assert opened.made_key_path is None
    assert opened.warnings == ()
    for other in ("file", "env:THE_KEY"):
        assert open_store(settings(other)).objects.read(NAME, [(0, 9)]) == [b"hello"]


def test_key_that_is_gone_is_never_made_anew(settings, tmp_path):
    open_store(settings()).objects.put(NAME, [b"hello"])
    path = tmp_path / "data" / "keys" / "master.key"
    text = path.read_text()
    path.unlink()
    before = look(tmp_path / "data")
    error = refusal_of(settings())

    assert error.code == "master-key-missing"
    assert "recover-key" in error.advice
    assert look(tmp_path / "data") == before
    path.write_text(text)
    assert open_store(settings()).objects.read(NAME, [(0, 9)]) == [b"hello"]


def test_wrong_key_is_told_and_nothing_is_written_under_it(settings, tmp_path, monkeypatch):
    open_store(settings())
    monkeypatch.setenv("THE_KEY", OTHER_KEY)
    before = look(tmp_path / "data")
    error = refusal_of(settings("env:THE_KEY"))

    assert error.code == "wrong-master-key"
    assert OTHER_KEY not in error.message + error.advice
    assert look(tmp_path / "data") == before


@pytest.mark.parametrize("text", ["", "rubbish\n", KEY[:-2], "\0" * 64])
def test_file_that_holds_no_key_is_told(settings, tmp_path, text):
    open_store(settings())
    (tmp_path / "data" / "keys" / "master.key").write_text(text)

    assert refusal_of(settings()).code == "bad-master-key"


def test_key_that_others_may_read_is_warned_of(settings, tmp_path):
    open_store(settings())
    (tmp_path / "data" / "keys" / "master.key").chmod(0o644)

    assert "Others" in open_store(settings()).warnings[0]


@pytest.mark.parametrize(
    ("setting", "code", "message"),
    [
        ("env:NOT_SET_ANYWHERE", "master-key-missing", "not set"),
        ("file:/proc/nowhere/key", "master-key-missing", "cannot be written"),
        ("command:/no/such/program", "master-key-missing", "cannot be started"),
        (command("print(1)"), "bad-master-key", "does not hold a master key"),
        (command(f"print({KEY!r}); print({KEY!r})".replace("'", '"')), "bad-master-key", ""),
        (
            command('import sys; sys.exit("the vault is shut")'),
            "master-key-missing",
            "ended with 1: the vault is shut",
        ),
        (command("import time; time.sleep(60)"), "master-key-missing", "did not end"),
        ("file:", "bad-setting", ""),
        ("filet", "bad-setting", ""),
        ("env:", "bad-setting", ""),
        ("command: ", "bad-setting", ""),
        ("command:'", "bad-setting", ""),
        (KEY, "bad-setting", ""),
    ],
)
def test_key_that_cannot_be_had_stops_the_first_start(
    settings, tmp_path, monkeypatch, setting, code, message
):
    monkeypatch.setattr(master_keys_module, "COMMAND_TIMEOUT_S", 0.2 if "sleep" in setting else 30)
    error = refusal_of(settings(setting))

    assert error.code == code
    assert message in error.message
    assert KEY not in error.message + error.advice
    assert not list((tmp_path / "data" / "objects").glob("keyring/*"))


def test_command_is_told_which_keys_would_do(settings, tmp_path):
    code = (
        "import sys; open(sys.argv[1], sys.argv[2]).write(sys.stdin.read() + chr(10));"
        " print(sys.argv[3])"
    )
    setting = command(code, str(tmp_path / "asked"), "a", KEY)
    open_store(settings(setting))
    open_store(settings(setting))
    with open_key_admin(settings(setting)) as keys:
        key_id = keys.show().master_key_id

    lines = (tmp_path / "asked").read_text().split("\n")
    assert lines[0] == ""
    assert lines[1] == key_id


def test_lost_keyring_stops_the_start_and_makes_no_other(settings, tmp_path):
    open_store(settings()).objects.put(NAME, [b"hello"])
    for path in (tmp_path / "data" / "objects" / "keyring").iterdir():
        path.unlink()

    assert refusal_of(settings()).code == "keyring-lost"
    assert not list((tmp_path / "data" / "objects" / "keyring").iterdir())


def test_recovery_line_brings_the_key_back_and_no_other(settings, tmp_path):
    open_store(settings()).objects.put(NAME, [b"hello"])
    with open_key_admin(settings()) as keys:
        line = keys.export()
    path = tmp_path / "data" / "keys" / "master.key"
    path.unlink()
    with open_key_admin(settings()) as keys:
        for wrong, code in (
            (line[:-1] + "x", "bad-master-key"),
            ("", "bad-master-key"),
            (OTHER_KEY, "wrong-master-key"),
        ):
            with pytest.raises(Misconfigured) as caught:
                keys.recover(wrong)
            assert caught.value.code == code
            assert not path.exists()
        keys.recover(line + "\n")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_store(settings()).objects.read(NAME, [(0, 9)]) == [b"hello"]


def test_rotation_writes_no_object_and_the_old_key_can_go(settings, tmp_path):
    store = open_store(settings())
    store.objects.put(NAME, [b"hello"])
    pack = tmp_path / "data" / "objects" / NAME
    before, times = pack.read_bytes(), pack.stat().st_mtime_ns
    path = tmp_path / "data" / "keys" / "master.key"
    old_text = path.read_text()
    with open_key_admin(settings()) as keys:
        old = keys.show()
        new = keys.rotate()

    assert new.opened_by == [new.master_key_id] != [old.master_key_id]
    assert (new.generation, new.store_keys_count) == (old.generation + 2, 2)
    assert (pack.read_bytes(), pack.stat().st_mtime_ns) == (before, times)
    assert [p.name for p in path.parent.iterdir()] == ["master.key"]
    again = open_store(settings()).objects
    again.put("packs/cd/cdef", [b"new"])
    assert again.read(NAME, [(0, 9)]) == [b"hello"]
    assert store.objects.read("packs/cd/cdef", [(0, 9)]) == [b"new"]
    path.write_text(old_text)
    assert refusal_of(settings()).code == "wrong-master-key"


def test_rotation_to_another_place_keeps_both_until_it_is_finished(settings, monkeypatch):
    open_store(settings()).objects.put(NAME, [b"hello"])
    monkeypatch.setenv("THE_KEY", KEY)
    with open_key_admin(settings()) as keys:
        status = keys.rotate_to("env:THE_KEY")
        assert len(status.opened_by) == 2
        with pytest.raises(Misconfigured, match="none"):
            keys.rotate_to("none")
    for place in ("file", "env:THE_KEY"):
        opened = open_store(settings(place))
        assert opened.objects.read(NAME, [(0, 9)]) == [b"hello"]
        assert "--finish" in opened.warnings[0]
    with open_key_admin(settings("env:THE_KEY")) as keys:
        with pytest.raises(Misconfigured) as caught:
            keys.rotate()
        assert caught.value.code == "no-new-key"
        with pytest.raises(Misconfigured, match="the same key"):
            keys.rotate_to("env:THE_KEY")
        assert keys.finish().opened_by == keys.finish().opened_by == [status.opened_by[1]]
    assert refusal_of(settings("file")).code == "wrong-master-key"


def test_keys_of_a_store_without_any_are_told_so(settings, tmp_path):
    for place, message in (("none", "no encryption"), ("file", "nothing in")):
        with (
            pytest.raises(Misconfigured, match=message) as caught,
            open_key_admin(settings(place)) as keys,
        ):
            keys.show()
        assert caught.value.code == "not-sealed"


def test_root_does_not_write_keys_that_the_server_could_not_read(settings, tmp_path, monkeypatch):
    open_store(settings())
    monkeypatch.setattr(key_admin_module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        type(tmp_path), "stat", lambda _: os.stat_result((0,) * 4 + (7,) + (0,) * 5)
    )
    with pytest.raises(Misconfigured, match="user 7"), open_key_admin(settings()):
        pass


class Halted(BaseException):
    """Stands for the end of the process."""


def effects_of_rotation(settings, monkeypatch, stop_at, error):
    """Rotates, and lets one of the steps that change the disk fail; returns how many there were."""
    count = 0

    def counted(real):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == stop_at:
                raise error
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(FileObjects, "put_many", counted(FileObjects.put_many))
        patch.setattr(FileObjects, "delete", counted(FileObjects.delete))
        patch.setattr(
            master_keys_module, "replace_durably", counted(master_keys_module.replace_durably)
        )
        with open_key_admin(settings) as keys:
            keys.rotate()
    return count


@pytest.mark.parametrize("error", [Halted(), OSError(28, os.strerror(28))], ids=["end", "full"])
def test_rotation_that_ends_anywhere_leaves_a_store_that_opens(
    settings, tmp_path, monkeypatch, error
):
    open_store(settings()).objects.put(NAME, [b"hello"])
    whole = effects_of_rotation(settings(), monkeypatch, 0, error)
    assert whole == 8  # The new key twice, two keyrings, four files of older ones.
    for stop_at in range(1, whole + 1):
        with pytest.raises((Halted, OSError, DrystoneError)):
            effects_of_rotation(settings(), monkeypatch, stop_at, error)
        opened = open_store(settings()).objects
        assert isinstance(opened, SealedObjects)
        assert opened.read(NAME, [(0, 9)]) == [b"hello"]
        opened.put(f"packs/{stop_at:02}/x", [b"new"])
        with open_key_admin(settings()) as keys:
            status = keys.finish()
            assert status.opened_by == [status.master_key_id]
        assert open_store(settings()).warnings == ()
    effects_of_rotation(settings(), monkeypatch, 0, error)
    last = open_store(settings()).objects
    assert all(last.read(f"packs/{i:02}/x", [(0, 9)]) == [b"new"] for i in range(1, whole + 1))
