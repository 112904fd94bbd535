# SPDX-License-Identifier: Apache-2.0
"""What happens to the synced folder as a whole, while the client runs and while it does not:
unmounted, moved away, replaced, read-only. Nothing is ever taken for deleted.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drystone.core.errors import DrystoneError
from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess
from tests.integration.disks.tools import Journal, Kept, kept, wait_for

Deed = Callable[[], None]


def mount(*arguments: object) -> None:
    """Runs mount, or skips the test where that is not possible."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only a superuser may mount")
    command = ["mount", *map(str, arguments)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this system does not let us mount")


@pytest.fixture
def pair(join: Callable[..., RealDevice]) -> tuple[RealDevice, RealDevice]:
    one, two = join("one"), join("two")
    one.write("d/file", b"1")
    one.write("top", b"2")
    return one, two


@pytest.fixture
def mounted(pair: tuple[RealDevice, RealDevice], tmp_path: Path) -> Iterator[Path]:
    """What is mounted where the first device has its folder."""
    one, two = pair
    disk = tmp_path / "disk"
    one.folder.rename(disk)
    one.folder.mkdir()
    mount("--bind", disk, one.folder)
    converge(one, two)
    yield disk
    subprocess.run(["umount", "-l", str(one.folder)], check=False, capture_output=True)


def expect_halt_and_going_on(
    running: Kept, others: RealDevice, spoil: Deed, mend: Deed, journal: Journal
) -> None:
    """Spoils a folder under a running client, changes something elsewhere, and mends it."""
    journal.take_new()
    spoil()
    running.do(lambda loop: loop.hint_all())
    wait_for(lambda: running.describe().why_code == "root-gone")
    standing = running.describe()
    assert standing.phase == "halted"
    assert "nothing was taken for deleted" in standing.why
    assert "Mount or move it back" in standing.why_advice
    others.write("from-elsewhere", b"3")
    wait_for(journal.has_new)
    assert journal.count_new() == {"create": 1}
    mend()
    running.do(lambda loop: loop.hint_all())
    wait_for((running.device.folder / "from-elsewhere").exists)
    assert not journal.count_new()


def test_folder_that_is_moved_away_while_the_client_runs(
    pair: tuple[RealDevice, RealDevice], shared_server: ServerProcess
) -> None:
    one, two = pair
    away = one.home / "away"
    with kept(one, two) as running:
        expect_halt_and_going_on(
            running[0],
            two,
            lambda: one.folder.rename(away) and None,
            lambda: away.rename(one.folder) and None,
            Journal(shared_server, one.account),
        )


@pytest.mark.parametrize("by", ["file", "folder", "link"])
def test_folder_that_is_replaced_while_the_client_runs(
    by: str, pair: tuple[RealDevice, RealDevice], shared_server: ServerProcess
) -> None:
    one, two = pair
    away, elsewhere = one.home / "away", one.home / "elsewhere"

    def spoil() -> None:
        elsewhere.mkdir()
        (elsewhere / "other").write_text("not to be synced")
        one.folder.rename(away)
        if by == "file":
            one.folder.write_text("a file")
        elif by == "folder":
            elsewhere.rename(one.folder)
        else:
            one.folder.symlink_to(elsewhere)

    def mend() -> None:
        if one.folder.is_dir() and not one.folder.is_symlink():
            shutil.rmtree(one.folder)
        else:
            one.folder.unlink()
        away.rename(one.folder)

    with kept(one, two) as running:
        journal = Journal(shared_server, one.account)
        expect_halt_and_going_on(running[0], two, spoil, mend, journal)
    assert not (two.folder / "other").exists()


def test_folder_that_is_unmounted_while_the_client_runs(
    pair: tuple[RealDevice, RealDevice], mounted: Path, shared_server: ServerProcess
) -> None:
    one, two = pair

    def unmount() -> None:
        subprocess.run(["umount", "-l", str(one.folder)], check=True)

    with kept(one, two) as running:
        expect_halt_and_going_on(
            running[0],
            two,
            unmount,
            lambda: mount("--bind", mounted, one.folder),
            Journal(shared_server, one.account),
        )


@pytest.mark.parametrize("what", ["unmounted", "moved", "file"])
def test_folder_that_is_not_there_at_the_start(
    what: str, pair: tuple[RealDevice, RealDevice], request: pytest.FixtureRequest
) -> None:
    one, two = pair
    away = one.home / "away"
    if what == "unmounted":
        disk = request.getfixturevalue("mounted")
        subprocess.run(["umount", "-l", str(one.folder)], check=True)
    else:
        converge(one, two)
        one.folder.rename(away)
        if what == "file":
            one.folder.write_text("a file")
    with pytest.raises(DrystoneError) as caught:
        one.sync()
    assert caught.value.code == "root-gone"
    assert "nothing was taken for deleted" in caught.value.message
    two.sync()
    assert two.read("d/file") == b"1"

    if what == "unmounted":
        mount("--bind", disk, one.folder)
    else:
        if what == "file":
            one.folder.unlink()
        away.rename(one.folder)
    converge(one, two)
    assert one.read("d/file") == b"1"


def test_folder_on_a_read_only_disk_at_the_start_is_told(
    pair: tuple[RealDevice, RealDevice], mounted: Path
) -> None:
    one, two = pair
    mount("-o", "remount,bind,ro", one.folder)
    with pytest.raises(DrystoneError) as caught:
        one.sync()
    assert caught.value.advice
    assert str(one.folder) in caught.value.message
    mount("-o", "remount,bind,rw", one.folder)
    (mounted / "d/file").write_bytes(b"edited")
    converge(one, two)
    assert two.read("d/file") == b"edited"
