# SPDX-License-Identifier: Apache-2.0
"""Older copies put in the place of what was there: nothing is deleted for that, anywhere."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess

LARGE = bytes(range(256)) * 4_096 * 6


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
    one.write("docs/moved", b"moved")
    one.write("old/inside", b"inside")
    one.write("large", LARGE)
    converge(one, two)
    return one, two


def contents(device: RealDevice) -> dict[str, bytes]:
    return {path: look.content for path, look in device.look().items() if look.kind == "file"}


def work(one: RealDevice, two: RealDevice) -> None:
    """What is done after a copy was made, by both."""
    one.write("docs/plan", b"second plan")
    (one.folder / "docs/moved").rename(one.folder / "moved")
    (one.folder / "old").rename(one.folder / "docs/renamed")
    one.write("large", LARGE[:-1] + b"!")
    two.write("new/file", b"new file")
    two.write("new/large", LARGE[::-1])
    converge(one, two)


# --- the server's -----------------------------------------------------------------------------


def put_back(server: ServerProcess, backup: Path, *, what: str = "") -> None:
    """Puts a copy of the data directory, or of something in it, in the place of what is there."""
    port = server.port
    server.stop()
    target = server.data_dir / what if what else server.data_dir
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(backup / what if what else backup, target)
    else:
        shutil.copy2(backup / what, target)
    server.start(port)


def back_up(server: ServerProcess, path: Path) -> Path:
    port = server.port
    server.stop()
    shutil.copytree(server.data_dir, path)
    server.start(port)
    return path


@pytest.mark.parametrize("what", ["", "metadata.db"], ids=["everything", "the database"])
def test_server_put_back_gets_everything_again(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path, what: str
) -> None:
    one, two = pair
    backup = back_up(server, tmp_path / "backup")
    work(one, two)
    before = contents(one)
    put_back(server, backup, what=what)

    converge(one, two)

    assert contents(one) == before
    assert not one.told.conflicts + two.told.conflicts
    three = RealDevice(tmp_path / "three", server.url, "anna", "three")
    three.folder.mkdir(parents=True)
    three.log_in()
    three.sync()
    assert contents(three) == before


def test_server_put_back_that_has_gone_on_loses_nothing_of_either(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    one, two = pair
    backup = back_up(server, tmp_path / "backup")
    three = RealDevice(tmp_path / "three", server.url, "anna", "three")
    three.folder.mkdir(parents=True)
    work(one, two)
    before = contents(one)
    put_back(server, backup)
    three.log_in()
    three.sync()
    for number in range(40):
        three.write(f"later/{number}", b"later")
    three.write("docs/plan", b"another plan")
    three.sync()

    converge(one, two, three)

    found = contents(one)
    assert found["docs/plan"] == b"another plan"
    assert b"second plan" in found.values()
    assert {f"later/{number}" for number in range(40)} <= found.keys()
    kept = {path: content for path, content in before.items() if path != "docs/plan"}
    assert kept.items() <= found.items()


def test_server_that_lost_its_packs_is_told_and_given_them_again(
    server: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    one, two = pair
    backup = back_up(server, tmp_path / "backup")
    one.write("since", b"since the backup" * 100)
    one.sync()
    put_back(server, backup, what="objects")
    two.sync()

    # Told, and nothing is deleted for it, nor asked for as if it would come by itself.
    assert two.list_problems() == {"since": "corrupt-block"}
    assert contents(one)["since"] == b"since the backup" * 100
    one.write("copy", b"since the backup" * 100)
    one.sync()
    converge(two, one)
    assert contents(two)["since"] == b"since the backup" * 100


# --- a device's -------------------------------------------------------------------------------


def copy_state(device: RealDevice, path: Path) -> Path:
    with (
        closing(sqlite3.connect(device.control / "state.db")) as source,
        closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
    return path


@pytest.mark.parametrize("is_lost", [False, True], ids=["older", "lost"])
def test_device_whose_database_is_put_back_or_lost_deletes_nothing(
    pair: tuple[RealDevice, RealDevice], tmp_path: Path, is_lost: bool
) -> None:
    one, two = pair
    copy = copy_state(one, tmp_path / "copy.db")
    work(one, two)
    one.write("only here", b"not sent yet")
    one.write("docs/plan", b"third plan, not sent yet")
    two.write("only there", b"sent, and not seen")
    two.write("moved", b"edited there")
    two.sync()
    for path in one.control.glob("state.db*"):
        path.unlink()
    if not is_lost:
        shutil.copy2(copy, one.control / "state.db")
    before = {*contents(one).values(), *contents(two).values()} - {b"second plan", b"moved"}

    converge(one, two)

    assert before <= set(contents(one).values())
    assert contents(one)["only here"] == b"not sent yet"
    assert contents(one)["only there"] == b"sent, and not seen"
