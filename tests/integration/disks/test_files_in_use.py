# SPDX-License-Identifier: Apache-2.0
"""Files that programs are at work on, while the client runs: editors, logs, databases, mail."""

import fcntl
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from drystone.client.bootstrap import get_file, list_history
from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess
from tests.integration.disks.tools import Journal, kept, settle, wait_for

PAGE = 4096


@pytest.fixture
def pair(join: Callable[..., RealDevice]) -> tuple[RealDevice, RealDevice]:
    return join("one"), join("two")


# --- editors --------------------------------------------------------------------------------------


def vim(place: Path, content: bytes) -> None:
    """Moves the old file aside, writes a new one, and removes the old one (backupcopy=no)."""
    swap, backup = place.with_name(f".{place.name}.swp"), place.with_name(f"{place.name}~")
    swap.write_bytes(b"what vim notes")
    place.rename(backup)
    place.write_bytes(content)
    backup.unlink()
    swap.unlink()


def emacs(place: Path, content: bytes) -> None:
    """Locks by a link to nowhere; the old file becomes the backup once, and stays that."""
    lock, backup = place.with_name(f".#{place.name}"), place.with_name(f"{place.name}~")
    lock.symlink_to("anna@desk.123:1700000000")
    if not backup.exists():
        place.rename(backup)
    place.write_bytes(content)
    lock.unlink()


def gedit(place: Path, content: bytes) -> None:
    """Writes beside; keeps the old file as a second name; renames over."""
    beside, backup = place.with_name(".goutputstream-X1Y2Z3"), place.with_name(f"{place.name}~")
    beside.write_bytes(content)
    backup.unlink(missing_ok=True)
    backup.hardlink_to(place)
    beside.rename(place)


def libreoffice(place: Path, content: bytes) -> None:
    """Locks by a file; writes beside; removes the old one; renames."""
    lock, beside = place.with_name(f".~lock.{place.name}#"), place.with_name("lu1234.tmp")
    lock.write_bytes(b",anna,desk,21.11.2026 12:00,file:///home/anna;")
    beside.write_bytes(content)
    place.unlink()
    beside.rename(place)
    lock.unlink()


def in_place(place: Path, content: bytes) -> None:
    """Truncates and writes."""
    place.write_bytes(content)


def replaced_by_rename(place: Path, content: bytes) -> None:
    """Writes beside and renames over, as most programs do."""
    beside = place.with_name(f"{place.name}.tmp")
    beside.write_bytes(content)
    beside.replace(place)


@pytest.mark.parametrize(
    "save", [vim, emacs, gedit, libreoffice, in_place, replaced_by_rename], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
def test_saved_file_stays_the_same_file(
    save: Callable[[Path, bytes], None],
    is_running: bool,
    pair: tuple[RealDevice, RealDevice],
    shared_server: ServerProcess,
) -> None:
    one, two = pair
    place = one.write("d/letter.odt", b"draft 0\n" * 1_000)
    converge(one, two)
    journal = Journal(shared_server, one.account)
    (file_id,) = {line.file_id for line in journal.take_new() if line.name == "letter.odt"}

    with kept(one, two) if is_running else converging(one, two):
        for number in range(1, 4):
            draft = b"draft %d\n" % number
            save(place, draft * 1_000)
            if is_running:
                wait_for(lambda draft=draft: has_arrived(two, draft))
    converge(one, two)

    lines = [line for line in journal.take_new() if line.name == "letter.odt"]
    assert {line.action.name for line in lines} == {"EDIT"}
    assert {line.file_id for line in lines} == {file_id}
    left = {name for name in two.look() if name != "d/letter.odt~"}
    assert left == {"d", "d/letter.odt"}


def has_arrived(device: RealDevice, draft: bytes) -> bool:
    try:
        return device.read("d/letter.odt").startswith(draft)
    except FileNotFoundError:
        return False  # Removed and not yet there again, as LibreOffice saves.


@contextmanager
def converging(*devices: RealDevice) -> Iterator[None]:
    yield
    converge(*devices)


# --- written for long -----------------------------------------------------------------------------


def test_file_that_is_written_for_long_is_sent_now_and_then_and_in_the_end(
    pair: tuple[RealDevice, RealDevice], shared_server: ServerProcess
) -> None:
    one, two = pair
    place = one.write("log", b"first\n")
    converge(one, two)
    journal = Journal(shared_server, one.account)
    journal.take_new()
    appended = b"".join(b"line %d\n" % number for number in range(300))

    with kept(one, two), place.open("ab", buffering=0) as log:
        for line in appended.splitlines(keepends=True):
            log.write(line)
            time.sleep(0.005)
    converge(one, two)

    assert two.read("log") == b"first\n" + appended
    # Nobody was told of every write.
    assert 1 <= journal.count_new()["edit"] <= 10


def test_very_many_tiny_saves_are_few_edits(
    pair: tuple[RealDevice, RealDevice], shared_server: ServerProcess
) -> None:
    one, two = pair
    places = [one.write(name, b"0") for name in ("a", "d/b")]
    converge(one, two)
    journal = Journal(shared_server, one.account)
    journal.take_new()

    with kept(one, two):
        for number in range(400):
            for place in places:
                place.write_bytes(b"%d" % number)
            time.sleep(0.002)
    converge(one, two)

    assert [two.read("a"), two.read("d/b")] == [b"399", b"399"]
    found = journal.count_new()
    assert found.keys() == {"edit"}
    assert found["edit"] <= 800 // 10


def test_file_that_is_truncated_and_refilled_arrives_as_it_is_in_the_end(
    pair: tuple[RealDevice, RealDevice],
) -> None:
    one, two = pair
    place = one.write("file", random.Random(1).randbytes(3_000_000))
    converge(one, two)
    with kept(one, two) as running:
        for size_bytes in (1_000_000, 0, 2_500_000, 1):
            with place.open("r+b") as file:
                file.truncate(size_bytes)
            settle(*running)
            assert len(two.read("file")) == size_bytes
        place.write_bytes(b"full again" * 100_000)
    assert two.read("file") == b"full again" * 100_000


# --- databases ------------------------------------------------------------------------------------

PAGE_WRITER = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
pages = int(sys.argv[2])
for generation in range(2, 40):
    for page in range(pages):
        os.pwrite(fd, generation.to_bytes(4, "big") * 1024, page * 4096)
        if page % 64 == 0:
            time.sleep(0.0005)
    time.sleep(0.03 if generation % 3 else 0.15)
"""


def test_no_revision_of_a_file_that_is_rewritten_all_the_time_is_torn(
    pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    """A writer goes through the file from page to page, again and again: at any moment it holds
    new pages up to somewhere, and then pages of one generation before.
    """
    one, two = pair
    pages_count = 2_500
    place = one.write("pages", (1).to_bytes(4, "big") * 1024 * pages_count)
    converge(one, two)
    with kept(one, two):
        command = [sys.executable, "-c", PAGE_WRITER, str(place), str(pages_count)]
        subprocess.run(command, check=True)
    converge(one, two)

    revisions = list_history(one.settings, "/pages", one.url)
    assert len(revisions) > 1
    for number, revision in enumerate(revisions):
        found = tmp_path / f"r{number}"
        get_file(one.settings, "/pages", found, rev=revision.rev, url=one.url)
        data = found.read_bytes()
        pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
        marks = [page[:4] for page in pages]
        assert all(page == mark * 1_024 for page, mark in zip(pages, marks, strict=True))
        assert marks == sorted(marks, reverse=True), "newer pages after older ones"
        assert int.from_bytes(marks[0]) - int.from_bytes(marks[-1]) <= 1


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_database_that_is_written_to_arrives_whole_once_it_rests(
    mode: str, pair: tuple[RealDevice, RealDevice]
) -> None:
    one, two = pair
    place = one.folder / "app.db"
    with kept(one, two), closing(sqlite3.connect(place)) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("CREATE TABLE line (number INTEGER PRIMARY KEY, text TEXT)")
        for number in range(150):
            with db:
                db.executemany(
                    "INSERT INTO line (text) VALUES (?)", [("x" * 200,) for _ in range(20)]
                )
            if number % 10 == 0:
                time.sleep(0.05)
    converge(one, two)

    assert {"app.db"} == two.look().keys()
    with closing(sqlite3.connect(two.folder / "app.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM line").fetchone() == (3_000,)


# --- mail -----------------------------------------------------------------------------------------


def test_mail_that_is_read_is_renamed_and_not_sent_again(
    pair: tuple[RealDevice, RealDevice], shared_server: ServerProcess
) -> None:
    one, two = pair
    for number in range(50):
        one.write(f"mail/new/17{number}.M1P2.desk", b"Subject: hello\n\n" + b"text " * 500)
    (one.folder / "mail/cur").mkdir()
    (one.folder / "mail/tmp").mkdir()
    converge(one, two)
    journal = Journal(shared_server, one.account)
    journal.take_new()
    blocks_count = journal.count_blocks()

    with kept(one, two):
        for number in range(50):
            name = f"17{number}.M1P2.desk"
            (one.folder / "mail/new" / name).rename(one.folder / "mail/cur" / f"{name}:2,")
            (one.folder / "mail/cur" / f"{name}:2,").rename(one.folder / "mail/cur" / f"{name}:2,S")
    converge(one, two)

    found = journal.count_new()
    assert found.keys() == {"move"}
    assert 50 <= found["move"] <= 100
    assert journal.count_blocks() == blocks_count


def test_mailbox_that_mail_is_appended_to_sends_what_is_new(
    pair: tuple[RealDevice, RealDevice],
) -> None:
    one, two = pair
    box = one.write("mbox", random.Random(2).randbytes(6_000_000))
    converge(one, two)
    sent_before = one.sync().traffic.sent_bytes
    with box.open("ab") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write(b"From anna\n" + random.Random(3).randbytes(30_000))
    sent = one.sync().traffic.sent_bytes - sent_before
    converge(one, two)

    assert two.read("mbox") == box.read_bytes()
    assert sent < 200_000


# --- locked ---------------------------------------------------------------------------------------


def test_locks_are_no_hindrance(pair: tuple[RealDevice, RealDevice]) -> None:
    """Locks are agreements among programs that ask for them."""
    one, two = pair
    place = one.write("locked", b"1")
    converge(one, two)
    with place.open("r+b") as file, (two.folder / "locked").open("r+b") as there:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(there, fcntl.LOCK_EX)
        file.write(b"2")
        file.flush()
        one.sync()
        two.sync()
        assert two.read("locked") == b"2"


LEASE_HOLDER = """
import fcntl, os, signal, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
asked = []
def give_up(*_):
    asked.append(1)
signal.signal(signal.SIGIO, give_up)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
while not asked:
    signal.pause()
time.sleep(1.0)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
print("given", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_running", [False, True], ids=["once", "running"])
def test_file_that_another_program_has_leased_is_read_once_it_is_free(
    is_running: bool, pair: tuple[RealDevice, RealDevice]
) -> None:
    """As file servers lease what their clients have open."""
    one, two = pair
    one.write("other", b"1")
    converge(one, two)
    place = one.folder / "leased"
    place.write_bytes(b"leased")
    holder = subprocess.Popen(
        [sys.executable, "-c", LEASE_HOLDER, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        if is_running:
            with kept(one, two):
                wait_for((two.folder / "leased").exists)
        else:
            one.sync()
            two.sync()
            assert two.read("leased") == b"leased"
    finally:
        holder.kill()
        holder.communicate()
    converge(one, two)


# --- all at once ----------------------------------------------------------------------------------


def test_storm_of_changes_ends_with_both_alike(pair: tuple[RealDevice, RealDevice]) -> None:
    one, two = pair

    def storm(folder: Path, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(400):
            place = folder / f"d{chance.randrange(4)}" / f"f{chance.randrange(12)}"
            try:
                deed = chance.randrange(6)
                if deed < 3:
                    place.parent.mkdir(exist_ok=True)
                    place.write_bytes(b"%d of %d" % (number, seed) * chance.randrange(3_000))
                elif deed == 3:
                    place.unlink()
                elif deed == 4:
                    place.rename(folder / f"d{chance.randrange(4)}" / f"f{chance.randrange(12)}")
                else:
                    place.parent.rename(folder / f"d{chance.randrange(4)}")
            except OSError:
                continue
            if number % 7 == 0:
                time.sleep(0.01)

    with kept(one, two):
        storms = [
            threading.Thread(target=storm, args=(device.folder, seed))
            for seed, device in enumerate((one, two))
        ]
        for thread in storms:
            thread.start()
        for thread in storms:
            thread.join()
    converge(one, two)
