# SPDX-License-Identifier: Apache-2.0
"""Real limits: huge sparse files, full disks, other filesystems within the folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.disk import create_root, open_disk, reading, staging
from drystone.client.adapters.disk.reading import OpenFile
from drystone.client.adapters.disk.trouble import OtherFilesystem
from drystone.client.ports import Digested, DiskFull, NewFile
from drystone.core import limits
from drystone.core.content.content import EMPTY_CONTENT_HASH
from drystone.core.content.manifest import decode_manifest
from drystone.testing.desk import Desk
from drystone.testing.hand import RealHand

ROOT_ID = "11" * 16
AT = 1_600_000_000_000_000_000
HUGE_BYTES = 50_000_000_000
MIB = 1 << 20


def test_huge_sparse_file_is_digested_without_reading_its_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    create_root(root, ROOT_ID)
    disk = open_disk(root, ROOT_ID, lambda: 0)
    with (root / "huge").open("wb") as file:
        file.truncate(HUGE_BYTES)
        for at in (0, HUGE_BYTES // 3, HUGE_BYTES - 5):
            file.seek(at)
            file.write(b"here!")
    read_count = 0
    read_into = OpenFile.read_into

    def count_read(self: OpenFile, buffer: memoryview, offset_bytes: int) -> int:
        nonlocal read_count
        read_count += len(buffer)
        return read_into(self, buffer, offset_bytes)

    monkeypatch.setattr(reading.OpenFile, "read_into", count_read)
    desk = Desk(disk)

    (outcome,) = desk.read_only(list(desk.look()[-1].unread))

    assert isinstance(outcome, Digested)
    assert outcome.content.size_bytes == HUGE_BYTES
    assert outcome.content.content_hash != EMPTY_CONTENT_HASH
    manifest = decode_manifest(outcome.manifest)
    assert sum(chunk.length_bytes for chunk in manifest.chunks) == HUGE_BYTES
    assert len({chunk.block_id for chunk in manifest.chunks}) < 20
    assert read_count < 64 * MIB
    disk.close()


@pytest.mark.slow
def test_huge_sparse_file_needs_little_memory(tmp_path: Path) -> None:
    root = tmp_path / "root"
    create_root(root, ROOT_ID)
    with (root / "huge").open("wb") as file:
        file.truncate(HUGE_BYTES)
        file.write(b"here!")
    script = """
import sys
from pathlib import Path
from drystone.client.adapters.disk import open_disk
from drystone.testing.desk import Desk
desk = Desk(open_disk(Path(sys.argv[1]), sys.argv[2], lambda: 0))
(outcome,) = desk.read_only(list(desk.look()[-1].unread))
# Not ru_maxrss: that begins with what the process that started this one had.
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(root), ROOT_ID], check=True, capture_output=True
    )

    assert int(done.stdout) < 200_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of a few MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only a superuser may mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this system does not let us mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_keeps_what_was_there_and_goes_on_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 0)
    monkeypatch.setattr(staging, "_ROOM_CHECKED_EVERY_BYTES", 1 << 40)
    root = small_disk / "root"
    create_root(root, ROOT_ID)
    disk = open_disk(root, ROOT_ID, lambda: 0)
    hand = RealHand(root)
    before = disk.write_small("kept", b"kept", 0o644, AT, None)

    outcomes = disk.write_many_new(
        "", [NewFile(str(n), bytes([n]) * MIB, 0o644, AT) for n in range(6)]
    )
    with pytest.raises(DiskFull):
        disk.write_small("kept", b"x" * MIB, 0o644, AT, before)
    staged = disk.stage(1)
    with pytest.raises(DiskFull):
        staged.write_at(0, b"x" * 2 * MIB)
    staged.drop()

    assert isinstance(outcomes[-1], DiskFull)
    assert not os.listdir(root / ".drystone/stage")
    assert all(len(content) in (4, MIB) for content in hand.list_tree().values())
    hand.remove("0")
    disk.write_small("again", b"x" * (MIB // 2), 0o644, AT, None)
    disk.close()


def test_disk_without_free_names_is_full(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 0)
    root = small_disk / "root"
    create_root(root, ROOT_ID)
    disk = open_disk(root, ROOT_ID, lambda: 0)

    outcomes = disk.write_many_new("", [NewFile(str(n), b"", 0o644, AT) for n in range(300)])

    assert isinstance(outcomes[-1], DiskFull)
    assert not os.listdir(root / ".drystone/stage")
    disk.close()


def test_other_filesystem_within_the_folder_is_read_but_not_written(
    small_disk: Path, tmp_path: Path
) -> None:
    root = tmp_path
    create_root(root, ROOT_ID)
    disk = open_disk(root, ROOT_ID, lambda: 0)
    (small_disk / "file").write_text("1")
    desk = Desk(disk)
    desk.agree()

    stat, content = disk.read_small("small/file", 10)

    assert (content, stat.dev != 0) == (b"1", True)
    for attempt in (
        lambda: disk.write_small("small/new", b"1", 0o644, AT, None),
        lambda: disk.write_small("small/file", b"2", 0o644, AT, stat),
        lambda: disk.discard("small/file", stat),
    ):
        with pytest.raises(OtherFilesystem):
            attempt()
    assert sorted(os.listdir(small_disk)) == ["file"]
    assert not os.listdir(root / ".drystone/stage")
    disk.close()


def test_what_is_below_a_mount_that_is_gone_is_not_deleted(
    small_disk: Path, tmp_path: Path
) -> None:
    create_root(tmp_path, ROOT_ID)
    disk = open_disk(tmp_path, ROOT_ID, lambda: 0)
    (small_disk / "file").write_text("1")
    desk = Desk(disk)
    desk.agree()
    disk.flush()
    subprocess.run(["umount", str(small_disk)], check=True)
    try:
        assert not desk.see()
        assert [row.code for row in desk.state.problems()] == ["other-disk"]
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(small_disk)], check=True)
    disk.close()
