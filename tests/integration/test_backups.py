# SPDX-License-Identifier: Apache-2.0
"""Backups of a running server, restores, and all that may go wrong on the way."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drystone.core.errors import DrystoneError
from drystone.core.ids import Seq
from drystone.server.bootstrap import (
    BackedUp,
    list_backups,
    open_check,
    restore,
    verify_backup,
)
from drystone.server.bootstrap import back_up as back_up_server
from drystone.server.bootstrap.data_dir import opened_data_dir
from drystone.server.ports.objects import ObjectParts, Objects, ObjectStoreFull
from drystone.server.ports.survey import survey_of
from drystone.server.settings import ServerSettings
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_files import FileObjects
from drystone.testing.real_devices import PASSWORD, RealDevice, converge, list_packs
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from tests.integration.cli_user import User

# Several processes each, beside whatever else the machine does.


def tell(_what: str, _count: int) -> None:
    pass


def back_up(settings: ServerSettings, where: str, tell: object, *, keep_count: int = 0) -> BackedUp:
    """Makes a backup from which alone a server can be had again."""
    assert tell is not None
    return back_up_server(settings, where, _ignore, keep_count=keep_count, with_master_key=True)


def _ignore(_what: str, _count: int) -> None:
    pass


@pytest.fixture
def pair(server: ServerProcess, tmp_path: Path) -> tuple[RealDevice, RealDevice]:
    devices = []
    for name in ("one", "two"):
        device = RealDevice(tmp_path / name, server.url, "anna", name)
        device.folder.mkdir(parents=True)
        device.log_in()
        devices.append(device)
    one, two = devices
    one.write("docs/plan", b"first plan")
    one.sync()
    one.write("large", bytes(range(256)) * 20_000)
    converge(one, two)
    return one, two


def contents(device: RealDevice) -> dict[str, bytes]:
    return {path: look.content for path, look in device.look().items() if look.kind == "file"}


def settings_of(path: Path) -> ServerSettings:
    return ServerSettings(data_dir=path)


def records_of(data_dir: Path) -> list[object]:
    """Returns all records of the only namespace."""
    metadata = SqliteMetadata(data_dir / "metadata.db")
    try:
        return metadata.read(
            lambda unit: survey_of(unit).list_records(
                survey_of(unit).list_namespaces(b"", 1)[0].namespace_id, Seq(0), 1 << 20
            )
        )
    finally:
        metadata.close()


def is_sound(data_dir: Path) -> bool:
    with open_check(settings_of(data_dir), tell, is_deep=True) as check:
        assert list(check.iter_findings()) == []
        return check.sum_up().is_sound


@pytest.fixture
def busy(pair: tuple[RealDevice, RealDevice]) -> Iterator[RealDevice]:
    """A device that syncs new files all the time."""
    one = pair[0]
    stops = threading.Event()

    def work() -> None:
        number = 0
        while not stops.is_set():
            one.write(f"busy/{number}", b"content %d" % number)
            one.sync()
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    yield one
    stops.set()
    thread.join()


def test_backup_under_commits_is_one_point_in_time(
    server: ServerProcess, busy: RealDevice, tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    seen = 0
    for number in range(3):
        while len(records_of(server.data_dir)) <= seen:
            os.sched_yield()
        seen = len(records_of(server.data_dir))
        done = back_up(settings_of(server.data_dir), str(target), tell)
        assert not done.manifest.lacking
        restored = restore(settings_of(tmp_path / f"new-{number}"), str(target), "", tell)
        assert restored.checked.is_sound
        assert is_sound(tmp_path / f"new-{number}")
    assert verify_backup(str(target), "", tell)[1] == []
    kept = [records_of(tmp_path / f"new-{number}") for number in range(3)]
    now = records_of(server.data_dir)

    assert len(kept[0]) <= len(kept[1]) <= len(kept[2]) <= len(now)
    assert all(now[: len(some)] == some for some in kept)


def test_restored_server_goes_on_and_devices_give_it_what_it_lost(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    one, two = pair
    back_up(settings_of(server.data_dir), str(tmp_path / "backups"), tell)
    one.write("docs/plan", b"second plan")
    two.write("since", b"since the backup")
    converge(one, two)
    before = contents(one)
    port = server.port
    server.stop()
    shutil.rmtree(server.data_dir)
    restore(settings_of(server.data_dir), str(tmp_path / "backups"), "", tell)
    server.start(port)

    converge(one, two)

    assert contents(one) == before
    assert not one.told.conflicts + two.told.conflicts
    server.stop()
    assert is_sound(server.data_dir)


def test_later_backups_copy_what_is_new_and_older_ones_go(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    one, _ = pair
    target = str(tmp_path / "backups")
    first = back_up(settings_of(server.data_dir), target, tell)
    again = back_up(settings_of(server.data_dir), target, tell)
    one.write("new", b"something new")
    one.sync()
    third = back_up(settings_of(server.data_dir), target, tell, keep_count=2)
    stamps = [manifest.stamp for manifest in list_backups(target)[0]]

    assert again.copied_count == 0
    assert third.manifest.objects_count == first.manifest.objects_count + 1
    assert third.removed == (first.manifest.stamp,)
    assert stamps == [again.manifest.stamp, third.manifest.stamp]
    noted = (server.data_dir / "backup.stamp").read_text()
    assert int(noted) == third.manifest.made_ns // 10**9, "metrics tell how old the newest is"
    assert all(verify_backup(target, stamp, tell)[1] == [] for stamp in stamps)
    packs = list_packs(server)
    linked = [(tmp_path / "backups" / "packs" / p.parent.name / p.name) for p in packs]
    assert [path.samefile(pack) for path, pack in zip(linked, packs, strict=True)] == [True] * len(
        packs
    )


def test_keys_and_what_is_secret_are_for_their_owner_alone(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    (server.data_dir / "drystone.toml").write_text("log_level = 'warning'\n")
    done = back_up(settings_of(server.data_dir), str(tmp_path / "backups"), tell)
    restored = restore(settings_of(tmp_path / "new"), str(tmp_path / "backups"), "", tell)
    key = tmp_path / "new" / "keys" / "cursor.key"

    assert sorted(done.manifest.files) == ["drystone.toml", "keys/cursor.key", "keys/master.key"]
    assert key.read_bytes() == (server.data_dir / "keys" / "cursor.key").read_bytes()
    assert Path(restored.settings_file).read_text() == "log_level = 'warning'\n"
    assert not (tmp_path / "new" / "drystone.toml").exists()
    for top in (tmp_path / "backups", tmp_path / "new"):
        for path in [top, *top.rglob("*")]:
            assert not path.stat().st_mode & 0o077, path


# --- what may go wrong ----------------------------------------------------------------------------


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(DrystoneError) as caught:
        work()
    assert caught.value.advice
    return caught.value.code


class Limited(FileObjects):
    """A disk that is full after so many objects."""

    def __init__(self, root: Path, room: int) -> None:
        super().__init__(root)
        self.room = room

    def put(self, name: str, parts: ObjectParts) -> None:
        if self.room <= 0:
            raise ObjectStoreFull("the disk is full", advice="Make room.")
        self.room -= 1
        super().put(name, parts)


def test_full_disk_leaves_no_backup_and_the_next_one_goes_on(
    server: ServerProcess,
    pair: tuple[RealDevice, RealDevice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "backups"
    settings = settings_of(server.data_dir)
    room = 0
    while True:
        monkeypatch.setattr(
            "drystone.server.bootstrap.keeping.backups.FileObjects",
            lambda path, room=room: Limited(path, room),
        )
        try:
            back_up(settings, str(target), tell)
            break
        except ObjectStoreFull:
            monkeypatch.undo()
            assert list_backups(str(target)) == ([], [])
            assert refused(lambda: restore(settings_of(tmp_path / "new"), str(target), "", tell))
            assert not (tmp_path / "new" / "metadata.db").exists()
            assert not (target / ".copying").exists()
        room += 1
    monkeypatch.undo()

    assert room >= 4
    assert len(list_backups(str(target))[0]) == 1
    assert restore(settings_of(tmp_path / "new"), str(target), "", tell).checked.is_sound


def test_full_disk_leaves_no_server_and_the_restore_can_be_run_again(
    server: ServerProcess,
    pair: tuple[RealDevice, RealDevice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, new = str(tmp_path / "backups"), settings_of(tmp_path / "new")
    back_up(settings_of(server.data_dir), target, tell)

    def open_small(settings: ServerSettings, _: object) -> Objects:
        return Limited(settings.data_dir / "objects", 1)

    monkeypatch.setattr("drystone.server.bootstrap.keeping.backups._open_bare", open_small)
    assert refused(lambda: restore(new, target, "", tell)) == "server-storage-full"
    monkeypatch.undo()

    assert refused(lambda: opened_data_dir(new.data_dir).__enter__()) == "restore-unfinished"
    assert refused(lambda: back_up(new, str(tmp_path / "other"), tell)) == "restore-unfinished"
    assert restore(new, target, "", tell).checked.is_sound
    with opened_data_dir(new.data_dir):
        pass


def test_killed_backup_is_none(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    command = [sys.executable, "-m", "drystone", "admin", "backup", str(target)]
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            [*command, "--data-dir", str(server.data_dir)], stdout=subprocess.DEVNULL
        )
        while process.poll() is None and not (target / "drystone-backup").exists():
            os.sched_yield()
        process.send_signal(number)
        process.wait()
        shutil.rmtree(target / "backups", ignore_errors=True) if process.returncode == 0 else None
        stamps = list_backups(str(target))[0] if (target / "drystone-backup").exists() else []
        assert all(verify_backup(str(target), m.stamp, tell)[1] == [] for m in stamps)
    back_up(settings_of(server.data_dir), str(target), tell)

    assert verify_backup(str(target), "", tell)[1] == []


def test_damaged_and_strange_backups_are_told_apart(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    target = tmp_path / "backups"
    where = str(target)
    made = back_up(settings_of(server.data_dir), where, tell).manifest
    manifest = target / "backups" / made.stamp / "manifest"
    whole = manifest.read_bytes()
    new = settings_of(tmp_path / "new")

    def bring_back(**how: bool) -> object:
        return restore(new, where, "", tell, **how)

    manifest.write_bytes(whole[: len(whole) // 2])
    assert refused(bring_back) == "damaged-backup"
    manifest.write_bytes(whole.replace(b'"version"', b'"venison"'))
    assert refused(bring_back) == "damaged-backup"
    manifest.write_bytes(whole)
    (target / "drystone-backup").write_text("drystone backup, format 2\n")
    assert refused(bring_back) == "newer-backup"
    (target / "drystone-backup").write_text("drystone backup, format 1\n")
    assert refused(lambda: restore(new, where, "20000101T000000Z", tell)) == "no-backup"
    assert refused(lambda: restore(new, str(tmp_path / "nowhere"), "", tell)) == "no-backup"
    assert refused(lambda: restore(new, str(server.data_dir), "", tell)) == "not-for-backups"

    database = min((target / "backups" / made.stamp / "database").iterdir())
    kept = database.read_bytes()
    database.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert refused(bring_back) == "damaged-backup"
    assert not (tmp_path / "new" / "metadata.db").exists()
    assert len(verify_backup(where, "", tell)[1]) == 1
    database.write_bytes(kept)

    pack = min((target / "packs").glob("*/*"))
    content = pack.read_bytes()
    pack.unlink()  # It is a link to the server's own.
    assert refused(bring_back) == "restore-refused"
    pack.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert refused(bring_back) == "damaged-backup"
    assert verify_backup(where, "", tell)[1] == [
        f"{pack.relative_to(target)} is missing or damaged"
    ]
    # Elsewhere: this one has it from before.
    new = settings_of(tmp_path / "newer")
    restored = restore(new, where, "", tell, despite_damage=True)
    assert restored.lacking == (str(pack.relative_to(target)),)
    assert not restored.checked.is_sound
    assert refused(bring_back) == "restore-refused"

    # One that is damaged keeps nobody from making others, and from seeing those.
    manifest.write_bytes(whole[: len(whole) // 2])
    later = back_up(settings_of(server.data_dir), where, tell, keep_count=2)
    assert (later.removed, bool(later.not_removed)) == ((), True)
    assert list_backups(where) == ([later.manifest], [made.stamp])
    last = back_up(settings_of(server.data_dir), where, tell, keep_count=2)
    assert (last.removed, last.not_removed) == ((made.stamp,), "")


def test_backup_of_a_server_that_lost_a_pack_says_so(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    lost, damaged = list_packs(server)[:2]
    lost.unlink()
    content = damaged.read_bytes()
    damaged.write_bytes(b"x" * len(content))
    done = back_up(settings_of(server.data_dir), f"{tmp_path}/backups", tell)
    _, faults = verify_backup(f"{tmp_path}/backups", "", tell)

    assert {Path(name).name for name in done.manifest.lacking} == {lost.name, damaged.name}
    assert faults == []


def test_places_that_are_no_good_are_refused(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    settings = settings_of(server.data_dir)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "file").write_text("mine")

    assert refused(lambda: back_up(settings, str(strange), tell)) == "not-for-backups"
    for no_folder in (strange / "file", strange / "file/below", tmp_path / ("x" * 300)):
        assert refused(lambda w=no_folder: back_up(settings, str(w), tell)) == (
            "unusable-backup-folder"
        )
    assert refused(lambda: back_up(settings, f"{server.data_dir}/backups", tell))
    assert refused(lambda: back_up(settings, str(tmp_path), tell))
    assert refused(lambda: back_up(settings_of(tmp_path / "no"), str(tmp_path / "b"), tell)) == (
        "no-data-dir"
    )
    assert (strange / "file").read_text() == "mine"
    assert not (tmp_path / "no").exists()


def test_command_line(
    server: ServerProcess,
    pair: tuple[RealDevice, RealDevice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = User(tmp_path / "operator", monkeypatch)
    target, here = tmp_path / "backups", ("--data-dir", server.data_dir)
    made = user.ask("admin", "backup", target, *here)
    listed = user.ask("admin", "backup", target, "--list")
    verified = user.ask("admin", "backup", target, "--verify")
    needs_key = user.ask("admin", "restore", target, "--data-dir", tmp_path / "new")
    assert needs_key["needs_key"]
    line = user.run("admin", "export-key", *here).out
    user.run("admin", "recover-key", "--data-dir", tmp_path / "new", typed=line)
    again = user.run("admin", "restore", target, "--data-dir", tmp_path / "new")
    checked = user.ask("admin", "check", "--deep", "--data-dir", tmp_path / "new")
    told = user.run("admin", "backup", target, *here).out

    assert [line["stamp"] for line in listed] == [made["stamp"]]
    assert verified == {"stamp": made["stamp"], "faults": []}
    assert again.code == 3
    assert checked["is_sound"]
    assert checked["counts"]["records"] == 3
    assert "password and token hashes, and keys/cursor.key" in told


def test_what_is_encrypted_stays_so_and_needs_its_key(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    target, new = tmp_path / "backups", tmp_path / "new"
    done = back_up_server(settings_of(server.data_dir), str(target), tell)
    restored = restore(settings_of(new), str(target), "", tell)

    assert sorted(done.manifest.files) == ["keys/cursor.key"]
    assert verify_backup(str(target), "", tell)[1] == []
    assert restored.needs_key
    assert not (new / "keys" / "master.key").exists()
    assert all(b"first plan" not in path.read_bytes() for path in target.glob("packs/*/*"))
    assert refused(lambda: open_check(settings_of(new), tell, is_deep=True).__enter__())
    shutil.copy(server.data_dir / "keys" / "master.key", new / "keys" / "master.key")
    assert is_sound(new)


def test_store_that_is_not_encrypted_is_backed_up_and_checked_as_it_is(
    tmp_path: Path, pair_of_plain: tuple[ServerProcess, RealDevice]
) -> None:
    server, _ = pair_of_plain
    plain = ServerSettings(data_dir=server.data_dir, master_key="none")
    target = tmp_path / "backups"
    done = back_up_server(plain, str(target), tell)
    damaged = list_packs(server)[0]
    pack = target / "packs" / damaged.parent.name / damaged.name
    assert pack.samefile(damaged)
    assert done.copied_count == 0
    restored = restore(settings_of(tmp_path / "new"), str(target), "", tell)
    assert restored.checked.is_sound
    assert not (tmp_path / "new" / "keys" / "master.key").exists()

    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"?")
    # It was linked: its bytes are looked at when somebody asks for it.
    assert back_up_server(plain, str(target), tell).manifest.lacking == ()
    [fault] = verify_backup(str(target), "", tell)[1]
    assert damaged.name in fault


def test_backups_from_before_encryption_are_left_as_they_are(
    tmp_path: Path,
    pair_of_plain: tuple[ServerProcess, RealDevice],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, _ = pair_of_plain
    plain = ServerSettings(data_dir=server.data_dir, master_key="none")
    target, other = str(tmp_path / "backups"), str(tmp_path / "other")
    before = back_up_server(plain, target, tell).manifest
    server.stop()
    with ServerProcess(server.data_dir, environment=CHEAP_PASSWORDS):
        sealed = settings_of(server.data_dir)
        # Nothing is encrypted yet but what is new.
        between = back_up_server(sealed, target, tell).manifest
        user = User(tmp_path / "operator", monkeypatch)
        user.run("admin", "seal", "--data-dir", server.data_dir)
        assert refused(lambda: back_up_server(sealed, target, tell)) == "backups-not-encrypted"
        assert verify_backup(other := back_up_server(sealed, other, tell).where, "", tell)[1] == []
    for made in (before, between):
        assert verify_backup(target, made.stamp, tell)[1] == []


@pytest.fixture
def pair_of_plain(tmp_path: Path) -> Iterator[tuple[ServerProcess, RealDevice]]:
    """A server that encrypts nothing, and a device."""
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_MASTER_KEY": "none"}
    with ServerProcess(tmp_path / "plain", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        one = RealDevice(tmp_path / "one", server.url, "anna", "one")
        one.folder.mkdir(parents=True)
        one.log_in()
        one.write("plan", b"first plan")
        one.sync()
        yield server, one
