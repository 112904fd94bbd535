# SPDX-License-Identifier: Apache-2.0
"""A client stopped at any moment leaves each path with its old or its new content, whole."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from drystone.client.adapters.disk import LocalDisk, create_root, open_disk, system
from drystone.client.ports import NewFile
from drystone.testing.hand import RealHand

ROOT_ID = "11" * 16
NOW_NS = 1_700_000_000 * 10**9
AT = 1_600_000_000_000_000_000

OLD = b"old" * 100
NEW = b"new" * 100


def open_it(root: Path) -> LocalDisk:
    return open_disk(root, ROOT_ID, lambda: NOW_NS)


def die_at(number: int, module: object, name: str, counted: Iterator[int]) -> None:
    """Makes this process end, as by kill -9, just before the call with a number."""
    real = getattr(module, name)

    def act(*args: object, **kwargs: object) -> object:
        if next(counted) == number:
            os._exit(9)
        return real(*args, **kwargs)

    setattr(module, name, act)


def run_until_it_lives(
    tmp_path: Path, begin: Callable[[LocalDisk], object], deed: Callable[[LocalDisk, object], None]
) -> Iterator[Path]:
    """Yields the root after each way to die in ``deed``, and after it was done."""
    for number in count():
        root = tmp_path / str(number)
        create_root(root, ROOT_ID)
        disk = open_it(root)
        before = begin(disk)
        child = os.fork()
        if not child:
            counted = count()
            for name in ("open", "write", "mkdir", "unlink", "rename", "link", "symlink", "utime"):
                die_at(number, os, name, counted)
            die_at(number, system, "_renameat2", counted)
            try:
                deed(disk, before)
                os._exit(0)
            finally:
                os._exit(1)
        disk.close()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 9), f"died of something else at step {number}"
        open_it(root).close()
        assert not os.listdir(root / ".drystone/stage")
        yield root
        if code == 0:
            assert number > 2
            return


@pytest.mark.parametrize("is_poor", [False, True], ids=["exchange", "no exchange"])
def test_replacing_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_poor: bool
) -> None:
    if is_poor:
        monkeypatch.setattr(system._LIBC, "renameat2", None)
    tree: dict[str, bytes | str | None] = {}

    for root in run_until_it_lives(
        tmp_path,
        lambda disk: disk.write_small("file", OLD, 0o644, AT, None),
        lambda disk, before: disk.write_small("file", NEW, 0o644, AT, before),
    ):
        hand = RealHand(root)
        tree = hand.list_tree()
        kept = [*tree.values(), *(content for _, content in hand.list_trash())]
        assert OLD in kept
        if is_poor:
            assert tree in ({"file": OLD}, {"file": NEW}, {})
        else:
            assert tree in ({"file": OLD}, {"file": NEW})
    assert tree == {"file": NEW}


def test_writing_new_files(tmp_path: Path) -> None:
    files = [NewFile(str(number), NEW, 0o644, AT) for number in range(3)]
    tree: dict[str, bytes | str | None] = {}

    for root in run_until_it_lives(
        tmp_path,
        lambda disk: disk.make_folder("a", 0o755),
        lambda disk, _: disk.write_many_new("a", files),
    ):
        tree = RealHand(root).list_tree()
        assert set(tree.values()) <= {None, NEW}
    assert len(tree) == 4


def test_discarding_a_folder(tmp_path: Path) -> None:
    def begin(disk: LocalDisk) -> object:
        stat = disk.make_folder("a", 0o755)
        disk.write_small("a/file", OLD, 0o644, AT, None)
        return stat

    for root in run_until_it_lives(tmp_path, begin, lambda disk, stat: disk.discard("a", stat)):
        hand = RealHand(root)
        if hand.list_tree():
            assert hand.list_tree() == {"a": None, "a/file": OLD}
            assert not hand.list_trash()
        else:
            assert hand.list_trash() == [("a/file", OLD)]


def test_building_a_large_file(tmp_path: Path) -> None:
    def build(disk: LocalDisk, before: object) -> None:
        staged = disk.stage(len(NEW))
        staged.write_at(0, NEW)
        disk.swap_in(staged, "file", 0o644, AT, before)

    for root in run_until_it_lives(
        tmp_path, lambda disk: disk.write_small("file", OLD, 0o644, AT, None), build
    ):
        assert RealHand(root).list_tree() in ({"file": OLD}, {"file": NEW})
