# SPDX-License-Identifier: Apache-2.0
"""What a real disk does to a store of objects: crashes, full, slow to take, broken."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from drystone.core.errors import Corrupt, Unavailable
from drystone.core.limits import KIB, MIB
from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_files import files as files_module
from drystone.server.storage.objects_files import reading as reading_module
from drystone.server.storage.objects_files import writing as writing_module

NAME = "packs/ab/abcd"
LARGE = b"0123456789abcdef" * (MIB // 16)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "objects"


@pytest.fixture
def objects(root):
    return FileObjects(root)


def all_files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def failing(monkeypatch, module, name, number, *, when=lambda *_, **__: True, after=0):
    """Lets a function of ``os`` fail with an error number, for some calls, after some."""
    real, left = getattr(os, name), [after]

    def call(*arguments, **options):
        if when(*arguments, **options):
            if not left[0]:
                raise OSError(number, os.strerror(number))
            left[0] -= 1
        return real(*arguments, **options)

    fake = type("os", (), {"__getattr__": lambda _, key: call if key == name else getattr(os, key)})
    monkeypatch.setattr(module, "os", fake())


def test_what_was_put_is_there_for_the_next_one_to_open_it(root, objects):
    objects.put(NAME, [b"hello"])

    assert FileObjects(root).read(NAME, [(0, 9)]) == [b"hello"]
    assert all_files(root) == [NAME]


def test_only_the_owner_may_look(root, objects):
    objects.put(NAME, [b"hello"])

    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in [root, *root.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_what_a_crash_left_behind_is_removed_at_the_start(root, objects):
    objects.put(NAME, [b"hello"])
    (root / ".incoming" / "7").write_bytes(b"half of a pa")

    again = FileObjects(root)

    assert all_files(root) == [NAME]
    assert [found.name for found in again.iter_names()] == [NAME]


def test_what_another_opener_is_writing_stays(root, objects, monkeypatch):
    real = writing_module._write_cached

    def open_meanwhile(path, parts):
        real(path, parts)
        FileObjects(root)

    monkeypatch.setattr(writing_module, "_write_cached", open_meanwhile)
    objects.put(NAME, [b"hello"])

    assert objects.read(NAME, [(0, 9)]) == [b"hello"]


def test_what_a_killed_process_was_writing_is_removed_by_the_next_opener(root, objects):
    code = (
        "import os, pathlib, signal\n"
        "from drystone.server.storage.objects_files import FileObjects, files\n"
        "files.os = type('os', (), {'__getattr__': lambda _, k: getattr(os, k)})()\n"
        "files.os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"FileObjects(pathlib.Path({str(root)!r})).put({NAME!r}, [b'half'])\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert len(list((root / ".incoming").iterdir())) == 1
    assert FileObjects(root).find_length(NAME) is None
    assert all_files(root) == []
    objects.put(NAME, [b"whole"])
    assert objects.read(NAME, [(0, 9)]) == [b"whole"]


def test_openers_that_are_gone_leave_no_folders_behind(root):
    for _ in range(3):
        FileObjects(root)  # Let go at once: nothing refers to it.

    assert len(list((root / ".openers").iterdir())) == 1


def test_object_that_another_took_back_is_not_relied_on(root, objects, monkeypatch):
    objects.put(NAME, [b"hello"])

    def found_and_then_removed(path, parts):
        (root / NAME).unlink()
        return True

    monkeypatch.setattr(files_module, "is_same", found_and_then_removed)
    with pytest.raises(Unavailable, match="removed meanwhile"):
        objects.put(NAME, [b"hello"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("call", ["writev", "fdatasync"])
def test_full_disk_leaves_nothing(root, objects, monkeypatch, number, content, call):
    objects.put("packs/00/old", [b"old"])
    with monkeypatch.context() as patch:
        failing(patch, writing_module, call, number)
        with pytest.raises(ObjectStoreFull) as caught:
            objects.put(NAME, [content])

    assert all_files(root) == ["packs/00/old"]
    assert NAME in caught.value.message
    assert caught.value.retryable
    objects.put(NAME, [content])
    assert objects.read(NAME, [(0, len(content))]) == [content]


def test_full_disk_in_the_middle_of_many_leaves_none_of_them(root, objects, monkeypatch):
    objects.put("packs/00/old", [b"old"])
    failing(monkeypatch, writing_module, "writev", errno.ENOSPC, after=2)

    with pytest.raises(ObjectStoreFull):
        objects.put_many([(f"packs/{i:02}/x", [b"x"]) for i in range(4)])

    assert all_files(root) == ["packs/00/old"]


def test_names_that_do_not_become_durable_are_taken_back(root, objects, monkeypatch):
    objects.put("packs/00/old", [b"old"])
    failing(monkeypatch, files_module, "fsync", errno.EIO)

    with pytest.raises(Unavailable) as caught:
        objects.put_many([("packs/00/old", [b"old"]), ("packs/00/new", [b"new"])])

    assert caught.value.code == "server-storage-away"
    assert all_files(root) == ["packs/00/old"]


def test_folder_that_may_not_be_written_is_told(root, objects, monkeypatch):
    failing(monkeypatch, writing_module, "open", errno.EACCES)

    with pytest.raises(Unavailable, match="Permission denied"):
        objects.put(NAME, [b"x"])


def test_folder_that_vanished_is_told(root, objects):
    (root / ".incoming").rmdir()

    with pytest.raises(Unavailable):
        objects.put(NAME, [b"x"])


@pytest.mark.parametrize("content", [b"small" * 7, LARGE + b"rest"], ids=["small", "large"])
def test_disk_that_takes_little_at_a_time_gets_all(objects, monkeypatch, content):
    real = os.writev

    def writev(descriptor, parts):
        first = memoryview(next(part for part in parts if len(part)))
        return real(descriptor, [first[: max(1, len(first) // 8192 * 4096)]])

    fake = type("os", (), {"__getattr__": lambda _, k: writev if k == "writev" else getattr(os, k)})
    monkeypatch.setattr(writing_module, "os", fake())
    objects.put(NAME, [content[:3], b"", content[3:9], content[9:]])

    assert objects.read(NAME, [(0, len(content) + 1)]) == [content]


@pytest.mark.parametrize("call", ["open", "writev"])
def test_filesystem_that_knows_no_direct_writes_is_written_to_as_usual(
    root, objects, monkeypatch, call
):
    def is_direct(target, flags_or_parts, *_, **__):
        if call == "open":
            return bool(flags_or_parts & os.O_DIRECT)
        return sum(map(len, flags_or_parts)) != len(LARGE) + 1

    failing(monkeypatch, writing_module, call, errno.EINVAL, when=is_direct)
    objects.put(NAME, [LARGE, b"x"])

    assert objects.read(NAME, [(0, 2 * MIB)]) == [LARGE + b"x"]
    assert all_files(root) == [NAME]


@pytest.mark.parametrize("call", ["open", "preadv"])
def test_filesystem_that_knows_no_direct_reads_is_read_as_usual(objects, monkeypatch, call):
    objects.put(NAME, [LARGE])
    is_direct = (lambda _, flags, **__: flags & os.O_DIRECT) if call == "open" else lambda *_: 1
    failing(monkeypatch, reading_module, call, errno.EINVAL, when=is_direct)

    assert objects.read(NAME, [(1, 600 * KIB), (0, MIB)]) == [LARGE[1 : 1 + 600 * KIB], LARGE]


def test_broken_medium_is_corrupt_and_names_the_object(objects, monkeypatch):
    objects.put(NAME, [b"hello"])
    failing(monkeypatch, reading_module, "pread", errno.EIO)

    with pytest.raises(Corrupt, match=NAME) as caught:
        objects.read(NAME, [(0, 5)])
    assert caught.value.code == "object-unreadable"


def test_file_in_the_way_of_the_store_is_told(tmp_path):
    (tmp_path / "objects").write_bytes(b"")

    with pytest.raises(Unavailable):
        FileObjects(tmp_path / "objects")
