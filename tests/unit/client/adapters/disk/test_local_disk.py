# SPDX-License-Identifier: Apache-2.0
"""What the real disk does beyond its port's suite: trouble, races, left-overs, the trash."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drystone.client.adapters.disk import LocalDisk, open_disk, placing, system
from drystone.client.adapters.disk.placing import Placing
from drystone.client.adapters.disk.staging import BadTime, Stage
from drystone.client.adapters.disk.trouble import (
    DiskBusy,
    FlushFailed,
    NotWritable,
    OtherFilesystem,
    ReadOnlyDisk,
    translate,
)
from drystone.client.ports import (
    ChangedMeanwhile,
    DiskFull,
    DiskProblem,
    NameTooLong,
    NewFile,
    NotThere,
    Unreadable,
)
from drystone.core import limits
from drystone.testing.hand import RealHand

ROOT_ID = "11" * 16
AT = 1_600_000_000_000_000_000
DAY_NS = 24 * 3600 * 10**9


def staged_names(root: Path) -> list[str]:
    return sorted(os.listdir(root / ".drystone/stage"))


def failing(code: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


# --- listing ------------------------------------------------------------------------------------


def test_names_that_are_no_text_are_skipped_and_shown_readably(root: Path, disk: LocalDisk) -> None:
    (root / "fine-é").write_text("1")
    with open(os.fsencode(root) + b"/bad-\xff", "wb"):
        pass
    os.symlink(b"to-\xff", os.fsencode(root) + b"/link")

    listing = disk.list_folder("")

    assert [one.name for one in listing.observed] == ["fine-é"]
    assert {(one.name, one.code) for one in listing.skipped} == {
        ("bad-\\xff", "name-not-utf8"),
        ("link", "name-not-utf8"),
    }


def test_paths_that_are_too_long_or_deep_are_skipped(
    root: Path, disk: LocalDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEPTH_MAX", 20)
    fd = os.open(root, os.O_RDONLY)
    for name in ["é" * 120] * 17:
        os.mkdir(name, dir_fd=fd)
        fd, above = os.open(name, os.O_RDONLY, dir_fd=fd), fd
        os.close(above)
    os.close(fd)

    path, skipped = "", []
    while not skipped:
        listing = disk.list_folder(path)
        skipped = listing.skipped
        if not skipped:
            path = f"{path}/{'é' * 120}" if path else "é" * 120

    assert [one.code for one in skipped] == ["path-too-long"]
    assert len(path.encode()) + 241 > limits.PATH_BYTES_MAX
    assert path.count("/") == 15


def test_deep_paths_are_skipped(
    root: Path, disk: LocalDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEPTH_MAX", 3)
    monkeypatch.setattr("drystone.client.adapters.disk.reading._NEAR_BOUND_CHARS", 1)
    (root / "a/b/c/d/e").mkdir(parents=True)

    assert [one.name for one in disk.list_folder("a/b/c").observed] == ["d"]
    assert [one.code for one in disk.list_folder("a/b/c/d").skipped] == ["path-too-long"]


def test_device_of_the_root_has_no_number(disk: LocalDisk, hand: RealHand) -> None:
    hand.write("file", b"1")

    stat = disk.find_stat("file")

    assert stat is not None
    assert stat.dev == 0


# --- trouble ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_full_disk_leaves_nothing_behind(
    root: Path, disk: LocalDisk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    before = disk.write_small("file", b"old", 0o644, AT, None)
    staged = disk.stage(10)
    monkeypatch.setattr(os, "write", failing(code))
    monkeypatch.setattr(os, "pwrite", failing(code))

    for attempt in (
        lambda: disk.write_small("new", b"1", 0o644, AT, None),
        lambda: disk.write_small("file", b"1", 0o644, AT, before),
        lambda: staged.write_at(0, b"1"),
    ):
        with pytest.raises(DiskFull) as caught:
            attempt()
        assert caught.value.retry_after_s > 0
    staged.drop()
    outcomes = disk.write_many_new("", [NewFile(n, b"1", 0o644, AT) for n in ("a", "b")])

    assert [type(one) for one in outcomes] == [DiskFull, DiskFull]
    assert not staged_names(root)
    assert RealHand(root).list_tree() == {"file": b"old"}


def test_disk_that_is_nearly_full_is_left_some_room(
    disk: LocalDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs("/").f_bavail * os.statvfs("/").f_frsize

    with pytest.raises(DiskFull):
        disk.stage(free * 4)
    found = os.statvfs("/")
    few = os.statvfs_result((found[0], found[1], found[2], 0, 0, *found[5:]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: few)
    with pytest.raises(DiskFull):
        disk.stage(1)


def test_disk_without_room_for_one_more_name_is_full(
    disk: LocalDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.statvfs("/")
    none_left = os.statvfs_result((*found[:5], 100, 0, 0, *found[8:]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: none_left)

    with pytest.raises(DiskFull):
        disk.write_small("file", b"1", 0o644, AT, None)


@pytest.mark.parametrize(
    ("code", "is_writing", "expected"),
    [
        (errno.EACCES, False, Unreadable),
        (errno.EPERM, True, NotWritable),
        (errno.EIO, False, Unreadable),
        (errno.ENAMETOOLONG, True, NameTooLong),
        (errno.EROFS, True, ReadOnlyDisk),
        (errno.EXDEV, True, OtherFilesystem),
        (errno.ENOENT, False, NotThere),
        (errno.ENOTDIR, False, NotThere),
        (errno.ELOOP, False, NotThere),
        (errno.EEXIST, True, ChangedMeanwhile),
        (errno.EMFILE, False, DiskBusy),
        (errno.ENOTTY, False, DiskProblem),
    ],
)
def test_each_error_of_the_system_is_told_with_what_to_do(
    code: int, expected: type[Exception], *, is_writing: bool
) -> None:
    error = translate(OSError(code, os.strerror(code)), "a/b", is_writing=is_writing)

    assert type(error) is expected
    assert "'a/b'" in error.message
    assert error.advice


def test_trouble_with_one_file_is_its_own(
    disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        hand.write(name, b"1")
    real_open = os.open

    def refuse_two(name: str, *args: object, **kwargs: object) -> int:
        if name == "two":
            raise PermissionError(errno.EACCES, "no")
        return real_open(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse_two)
    outcomes = disk.read_many("", ["one", "two", "three"], 10)

    assert [type(one) for one in outcomes] == [tuple, Unreadable, tuple]


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Takes away the rights of a superuser, to whom nothing is forbidden."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_what_may_not_be_read_or_written_is_told(root: Path, disk: LocalDisk) -> None:
    (root / "secret").write_text("1")
    (root / "secret").chmod(0)
    (root / "hidden").mkdir(mode=0)
    (root / "closed").mkdir(mode=0o555)

    with as_somebody_else():
        with pytest.raises(Unreadable):
            disk.read_small("secret", 10)
        with pytest.raises(Unreadable), disk.open_file("secret"):
            pass
        with pytest.raises(Unreadable):
            disk.list_folder("hidden")
        with pytest.raises(NotWritable):
            disk.make_folder("closed/folder", 0o755)
        with pytest.raises(NotWritable):
            disk.write_small("closed/file", b"1", 0o644, AT, None)
    (root / "hidden").chmod(0o700)


def test_mtime_that_cannot_be_set_is_a_problem(root: Path, disk: LocalDisk) -> None:
    with pytest.raises(BadTime):
        disk.write_small("file", b"1", 0o644, 1 << 100, None)
    with pytest.raises(BadTime):
        disk.make_symlink("link", "x", 1 << 100, None)

    assert not staged_names(root)
    assert not RealHand(root).list_tree()


def test_flush_that_fails_is_said(disk: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.flush()
    monkeypatch.setattr(system._LIBC, "syncfs", None)
    disk.flush()
    monkeypatch.setattr(os, "sync", failing(errno.EIO))

    with pytest.raises(FlushFailed):
        disk.flush()


def test_short_writes_and_reads_are_gone_on_with(
    disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write, real_pwrite, real_read = os.write, os.pwrite, os.read
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:3]))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real_pwrite(fd, data[:3], at))
    monkeypatch.setattr(os, "read", lambda fd, count: real_read(fd, min(count, 3)))

    disk.write_small("small", b"0123456789", 0o644, AT, None)
    staged = disk.stage(10)
    staged.write_at(0, b"0123456789")
    disk.swap_in(staged, "large", 0o644, AT, None)

    assert hand.read("small") == hand.read("large") == b"0123456789"
    assert disk.read_small("small", 10)[1] == b"0123456789"


def test_umask_does_not_take_bits_away(disk: LocalDisk) -> None:
    old = os.umask(0o077)
    try:
        assert disk.write_small("file", b"1", 0o664, AT, None).mode == 0o664
        assert disk.make_folder("folder", 0o775).mode == 0o775
    finally:
        os.umask(old)


def test_content_in_kept_holes_takes_no_room(root: Path, disk: LocalDisk) -> None:
    staged = disk.stage(1 << 30)
    staged.write_at(1 << 29, b"middle")

    stat = disk.swap_in(staged, "sparse", 0o644, AT, None)

    assert stat.size_bytes == 1 << 30
    assert (root / "sparse").stat().st_blocks * 512 < 1 << 20
    with disk.open_file("sparse") as file:
        assert 0 < file.next_data(0) <= 1 << 29
        assert file.next_data((1 << 29) + (1 << 20)) == 1 << 30


# --- races --------------------------------------------------------------------------------------


def at_the_last_moment(
    monkeypatch: pytest.MonkeyPatch, name: str, deed: Callable[[], None]
) -> None:
    """Lets somebody do a deed between our look and our own deed."""
    real = getattr(placing, name)

    def act(*args: object) -> object:
        monkeypatch.setattr(placing, name, real)
        deed()
        return real(*args)

    monkeypatch.setattr(placing, name, act)


def test_file_saved_over_at_the_last_moment_is_not_replaced(
    root: Path, disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = disk.write_small("file", b"old", 0o644, AT, None)

    def save() -> None:
        hand.write("tmp", b"theirs")
        hand.rename("tmp", "file")

    at_the_last_moment(monkeypatch, "exchange", save)
    with pytest.raises(ChangedMeanwhile):
        disk.write_small("file", b"ours", 0o644, AT, before)

    assert hand.list_tree() == {"file": b"theirs"}
    assert not staged_names(root)
    assert not hand.list_trash()


def test_file_edited_at_the_last_moment_is_not_replaced(
    root: Path, disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = disk.write_small("file", b"old", 0o644, AT, None)
    at_the_last_moment(monkeypatch, "exchange", lambda: hand.write("file", b"edited"))

    with pytest.raises(ChangedMeanwhile):
        disk.write_small("file", b"ours", 0o644, AT, before)

    assert hand.list_tree() == {"file": b"edited"}
    assert not staged_names(root)


def test_file_removed_at_the_last_moment_is_not_written(
    root: Path, disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = disk.write_small("file", b"old", 0o644, AT, None)
    at_the_last_moment(monkeypatch, "exchange", lambda: hand.remove("file"))

    with pytest.raises(NotThere):
        disk.write_small("file", b"ours", 0o644, AT, before)

    assert not hand.list_tree()
    assert not staged_names(root)


def test_file_that_appears_at_the_last_moment_is_not_replaced(
    root: Path, disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_last_moment(monkeypatch, "rename_new", lambda: hand.write("file", b"theirs"))

    with pytest.raises(ChangedMeanwhile):
        disk.write_small("file", b"ours", 0o644, AT, None)

    assert hand.list_tree() == {"file": b"theirs"}
    assert not staged_names(root)


def test_file_edited_at_the_last_moment_is_neither_moved_nor_discarded(
    disk: LocalDisk, hand: RealHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = disk.write_small("file", b"old", 0o644, AT, None)
    at_the_last_moment(monkeypatch, "rename_new", lambda: hand.write("file", b"edited"))
    with pytest.raises(ChangedMeanwhile):
        disk.move("file", "moved", before)
    assert hand.list_tree() == {"file": b"edited"}

    again = disk.find_stat("file")
    assert again is not None
    real_check = Placing.check

    def check_and_edit(self: Placing, *args: object) -> None:
        real_check(self, *args)
        hand.write("file", b"edited twice")

    monkeypatch.setattr(Placing, "check", check_and_edit)
    with pytest.raises(ChangedMeanwhile):
        disk.discard("file", again)
    assert hand.list_tree() == {"file": b"edited twice"}


def test_trash_that_cannot_be_used_stops_the_replacement(
    root: Path, disk: LocalDisk, hand: RealHand
) -> None:
    before = disk.write_small("file", b"old", 0o644, AT, None)
    (root / ".drystone/trash").rmdir()

    with pytest.raises(DiskProblem):
        disk.write_small("file", b"new", 0o644, AT, before)

    assert hand.list_tree() == {"file": b"old"}
    assert not staged_names(root)


# --- left-overs and the trash -------------------------------------------------------------------


def test_what_an_earlier_client_left_is_cleaned_up(root: Path, hand: RealHand) -> None:
    stage = root / ".drystone/stage"
    stage.mkdir()
    (stage / "w-1").write_text("unfinished")
    (stage / "x-w-2").write_text("old content")
    (stage / "x-w-3").write_text("more old content")

    open_disk(root, ROOT_ID, lambda: 0).close()

    assert not staged_names(root)
    assert hand.list_trash() == [
        ("unfinished/x-w-2", b"old content"),
        ("unfinished/x-w-3", b"more old content"),
    ]


def test_trash_is_kept_by_day_and_for_a_time(root: Path, hand: RealHand) -> None:
    now_ns = 1_700_000_000 * 10**9
    disk = open_disk(root, ROOT_ID, lambda: now_ns)
    for name in ("one", "two"):
        disk.discard(name, disk.write_small(name, b"1", 0o644, AT, None))
        now_ns += 2 * DAY_NS
    (root / ".drystone/trash/mine").mkdir()
    keep_ns = limits.TRASH_KEEP_S * 10**9

    assert sorted(os.listdir(root / ".drystone/trash")) == ["2023-11-14", "2023-11-16", "mine"]
    assert disk.purge_trash(now_ns - 4 * DAY_NS + keep_ns) == 0
    assert disk.purge_trash(now_ns - 2 * DAY_NS + keep_ns) == 1
    assert hand.list_trash() == [("two", b"1")]
    assert disk.purge_trash(now_ns + keep_ns) == 1
    assert os.listdir(root / ".drystone/trash") == ["mine"]
    disk.close()


def test_trash_holds_a_folder_where_it_held_a_file(
    root: Path, disk: LocalDisk, hand: RealHand
) -> None:
    disk.discard("a", disk.write_small("a", b"file", 0o644, AT, None))
    disk.make_folder("a", 0o755)
    disk.discard("a/b", disk.write_small("a/b", b"below", 0o644, AT, None))

    assert hand.list_trash() == [("a", b"file"), ("a/b", b"below")]


def test_trash_holds_what_has_a_very_long_name_twice(disk: LocalDisk, root: Path) -> None:
    for content in (b"1", b"2"):
        disk.discard("é" * 127, disk.write_small("é" * 127, content, 0o644, AT, None))

    names = os.listdir(root / ".drystone/trash/2023-11-14")

    assert len(names) == 2
    assert all(len(os.fsencode(name)) <= 255 for name in names)


def test_trash_emptied_by_hand_is_made_anew(root: Path, disk: LocalDisk, hand: RealHand) -> None:
    disk.make_folder("a", 0o755)
    for _ in range(2):
        disk.discard("a/b", disk.write_small("a/b", b"1", 0o644, AT, None))
        for day in (root / ".drystone/trash").iterdir():
            hand.remove(f".drystone/trash/{day.name}")

    disk.discard("a/b", disk.write_small("a/b", b"2", 0o644, AT, None))

    assert hand.list_trash() == [("a/b", b"2")]


def test_descriptors_are_bounded_and_all_closed(root: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    disk = open_disk(root, ROOT_ID, lambda: 0)
    for number in range(300):
        disk.make_folder(f"f{number}", 0o755)
        disk.write_small(f"f{number}/file", b"1", 0o644, AT, None)
        disk.list_folder(f"f{number}")
    assert len(os.listdir("/proc/self/fd")) < len(before) + 160

    disk.close()

    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1


def test_names_in_the_stage_are_never_used_twice(root: Path, disk: LocalDisk) -> None:
    stage = disk._stage
    assert isinstance(stage, Stage)

    assert len({stage.new_name() for _ in range(100)}) == 100
