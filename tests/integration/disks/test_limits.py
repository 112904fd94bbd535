# SPDX-License-Identifier: Apache-2.0
"""What is special, large or deep: skipped and told, or synced at a bounded cost."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from drystone.core import limits
from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess
from tests.integration.disks.tools import Journal, kept, wait_for


@pytest.fixture
def pair(join: Callable[..., RealDevice]) -> tuple[RealDevice, RealDevice]:
    return join("one"), join("two")


def make_special(folder: Path) -> set[str]:
    """Makes what is no file, folder or symlink; returns the names."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # The path of a socket may only have 107 bytes.
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
    if os.geteuid() == 0:
        os.mknod(folder / "device", 0o600 | 0o020000, os.makedev(1, 3))
        return {"pipe", "socket", "device"}
    return {"pipe", "socket"}


def test_special_files_are_skipped_and_told_until_they_are_gone(
    pair: tuple[RealDevice, RealDevice],
) -> None:
    one, two = pair
    one.write("file", b"1")
    names = make_special(one.folder)
    with kept(one, two) as running:
        assert one.list_problems() == dict.fromkeys(names, "special-file")
        assert two.look().keys() == {"file"}
        told = [row for row in running[0].told.problems if row.path == "pipe"]
        assert len(told) == 1
        assert "pipe" in told[0].message
        # One that takes the place of a file is no deletion.
        (one.folder / "file").unlink()
        os.mkfifo(one.folder / "file")
        wait_for(lambda: one.list_problems().get("file") == "special-file")
        assert two.read("file") == b"1"
        for name in names | {"file"}:
            (one.folder / name).unlink()
        wait_for(lambda: one.list_problems() == {})
    converge(one, two)
    assert two.look() == {}


def test_folders_nested_too_deep_are_told_and_all_others_synced(
    pair: tuple[RealDevice, RealDevice],
) -> None:
    one, two = pair
    one.write("file", b"1")
    fd = os.open(one.folder, os.O_RDONLY)
    for _ in range(1_200):
        os.mkdir("n", dir_fd=fd)
        below = os.open("n", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    one.sync()
    two.sync()

    deepest = "/".join("n" * (limits.DEPTH_MAX + 1))
    assert (two.folder / deepest).is_dir()
    assert not (two.folder / deepest / "n").exists()
    assert two.read("file") == b"1"
    assert set(one.list_problems().values()) == {"path-too-long"}
    assert two.list_problems() == {}


def test_longest_names_and_paths_arrive_and_longer_ones_are_told(
    pair: tuple[RealDevice, RealDevice],
) -> None:
    one, two = pair
    name = "ä" * 127 + "x"
    assert len(name.encode()) == limits.NAME_BYTES_MAX
    fd = os.open(one.folder, os.O_RDONLY)
    for _ in range(20):
        with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
            file.write(b"here")
        os.mkdir("y" * 200, dir_fd=fd)
        below = os.open("y" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    one.sync()
    two.sync()

    folders_count = (limits.PATH_BYTES_MAX - limits.NAME_BYTES_MAX) // 201
    for depth in (0, folders_count):
        place = "/".join(["y" * 200] * depth + [name])
        assert two.read(place) == b"here"
    assert set(one.list_problems().values()) == {"path-too-long"}
    assert two.list_problems() == {}


def test_conflicted_copy_of_a_file_with_the_longest_name_gets_a_shorter_one(
    pair: tuple[RealDevice, RealDevice],
) -> None:
    one, two = pair
    name = "ä" * 125 + ".text"
    assert len(name.encode()) == limits.NAME_BYTES_MAX
    one.write(name, b"0")
    converge(one, two)
    one.write(name, b"one's")
    two.write(name, b"two's")
    one.sync()
    converge(two, one)

    (copy,) = one.look().keys() - {name}
    assert one.read(name) == b"one's"
    assert one.read(copy) == b"two's"
    assert copy.endswith(".text")
    assert "conflicted copy, two" in copy
    assert len(copy.encode()) <= limits.NAME_BYTES_MAX


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_folder_with_twenty_thousand_files_takes_few_requests(
    pair: tuple[RealDevice, RealDevice], shared_server: ServerProcess
) -> None:
    one, two = pair
    count = 20_000
    (one.folder / "many").mkdir()
    for number in range(count):
        (one.folder / f"many/{number:05}").write_bytes(b"%d" % number)
    sent, got = one.sync(), two.sync()

    assert len(os.listdir(two.folder / "many")) == count
    assert sent.traffic.requests_count < 60
    assert got.traffic.requests_count < 60

    # One more is one more, however many there are.
    one.write("many/one-more", b"new")
    (one.folder / "many/00007").unlink()
    (one.folder / "many/00008").rename(one.folder / "many/renamed")
    journal = Journal(shared_server, one.account)
    journal.take_new()
    sent, got = one.sync(), two.sync()

    assert journal.count_new() == {"create": 1, "delete": 1, "move": 1}
    assert sent.traffic.requests_count < 12
    assert got.traffic.requests_count < 12
    assert sorted(os.listdir(one.folder / "many")) == sorted(os.listdir(two.folder / "many"))
