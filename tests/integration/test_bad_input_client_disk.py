# SPDX-License-Identifier: Apache-2.0
"""Bad input: the device's own disk is full while files arrive."""

import os
import random
import shutil
import subprocess

import pytest

from drystone.client.adapters.disk import staging
from drystone.core import limits
from drystone.testing.real_devices import converge

MIB = 1 << 20


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)


class Room:
    """How much the system says there is left, whatever the truth."""

    def __init__(self, monkeypatch):
        self._true = os.fstatvfs
        self._patch = monkeypatch

    def take_all_but(self, room_bytes):
        def tell(descriptor):
            told = list(self._true(descriptor))
            frsize, bavail = 1, 4
            told[bavail] = (limits.DISK_RESERVE_BYTES + room_bytes) // told[frsize]
            return os.statvfs_result(told)

        self._patch.setattr(staging.os, "fstatvfs", tell)

    def give_back(self):
        self._patch.setattr(staging.os, "fstatvfs", self._true)


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of a few MiB, where the second device's folder is to lie."""
    place = tmp_path / "small"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only a superuser may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this system does not let us mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def assert_full_then_goes_on(one, two, make_room):
    """What one has does not fit on two until there is room."""
    one.write("d/replaced", noise(14 * MIB, seed=2))
    one.write("d/large", noise(14 * MIB, seed=3))
    one.write("d/small", b"fits")
    one.sync()
    two.write("from-two", b"goes up")
    summary = two.sync()
    told = {row.path: row for row in two.told.problems}

    assert {path: row.code for path, row in told.items()} == {
        "d/large": "disk-full", "d/replaced": "disk-full",
    }  # fmt: skip
    assert all("this device's disk is full" in row.message for row in told.values())
    assert all("Make room" in row.advice for row in told.values())
    assert summary.unsettled_count == 2
    assert two.read("d/replaced") == b"old"
    assert not (two.folder / "d" / "large").exists()
    assert two.read("d/small") == b"fits"
    one.sync()
    assert one.read("from-two") == b"goes up", "what goes up needs no room here"

    make_room()
    converge(two, one)
    assert two.read("d/large") == one.read("d/large")


def test_full_disk_keeps_old_files_and_goes_on_once_there_is_room(join, monkeypatch):
    one, two = join("one"), join("two")
    one.write("d/replaced", b"old")
    converge(one, two)
    room = Room(monkeypatch)
    room.take_all_but(8 * MIB)
    assert_full_then_goes_on(one, two, room.give_back)


def test_disk_that_is_really_full_keeps_old_files_and_goes_on_once_there_is_room(
    join, small_disk, monkeypatch
):
    one, two = join("one"), join("two")
    two.folder = small_disk / "folder"
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 0)
    one.write("d/replaced", b"old")
    converge(one, two)

    def make_room():
        command = ["mount", "-o", "remount,size=120m", str(small_disk)]
        subprocess.run(command, check=True)

    assert_full_then_goes_on(one, two, make_room)
