# SPDX-License-Identifier: Apache-2.0
"""What a filesystem can hold is found out by trying, or not taken for known."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unicodedata import normalize

import pytest

from drystone.client.adapters.disk.probing import probe
from drystone.client.adapters.disk.root import RootUnusable
from drystone.client.ports import DiskTraits
from drystone.core.names.standing import NameTraits

FAT_ILLEGAL = frozenset('\\:*?"<>|' + "".join(map(chr, range(1, 32))))


@pytest.fixture
def control_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


class NarrowSystem:
    """Makes this system's calls behave as on another filesystem, which keeps names so."""

    def __init__(self, patch: pytest.MonkeyPatch, keep: Callable[[str], str]) -> None:
        self._keep = keep
        self._open, self._stat, self._unlink = os.open, os.stat, os.unlink
        patch.setattr(os, "open", self.open)
        patch.setattr(os, "stat", self.stat)
        patch.setattr(os, "unlink", self.unlink)

    def open(self, name: str, *args: object, **kwargs: object) -> int:
        return self._open(self._keep(name), *args, **kwargs)  # type: ignore[arg-type]

    def stat(self, name: str, **kwargs: object) -> os.stat_result:
        return self._stat(self._keep(name), **kwargs)  # type: ignore[arg-type]

    def unlink(self, name: str, **kwargs: object) -> None:
        self._unlink(self._keep(name), **kwargs)  # type: ignore[arg-type]


def keep_as_fat(name: str) -> str:
    if set(name) & FAT_ILLEGAL:
        raise OSError(errno.EINVAL, "Invalid argument")
    if name == "con":
        raise FileNotFoundError(errno.ENOENT, "No such device")
    return name.rstrip(". ") or name


def test_an_ordinary_disk_holds_everything(control_fd: int, tmp_path: Path) -> None:
    assert probe(control_fd, "root") == DiskTraits()
    assert os.listdir(tmp_path) == ["traits"]


def test_refused_and_dropped_characters_are_found(
    control_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    NarrowSystem(monkeypatch, keep_as_fat)

    assert probe(control_fd, "root").names == NameTraits(
        illegal=FAT_ILLEGAL, illegal_last=frozenset(". "), has_devices=True
    )


def test_a_disk_that_decomposes_is_found(control_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    NarrowSystem(monkeypatch, lambda name: normalize("NFD", name))

    assert probe(control_fd, "root").names == NameTraits(folds_forms=True, changes_forms=True)


def test_a_disk_that_loses_case_is_refused(
    control_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    NarrowSystem(monkeypatch, str.lower)

    with pytest.raises(RootUnusable, match="'aa' for 'Aa'"):
        probe(control_fd, "root")


def test_what_was_found_counts_where_nothing_can_be_tried(
    control_fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as narrow:
        NarrowSystem(narrow, keep_as_fat)
        found = probe(control_fd, "root")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "mkdir", refuse)

    assert probe(control_fd, "root") == found
    (tmp_path / "traits").write_text("junk")
    with pytest.raises(OSError, match="No space"):
        probe(control_fd, "root")


def test_what_a_killed_client_left_is_removed(control_fd: int, tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe/con").write_text("")

    assert probe(control_fd, "root") == DiskTraits()
    assert not (tmp_path / "probe").exists()


def test_a_disk_without_symlinks_and_modes_is_found(
    control_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)

    assert probe(control_fd, "root") == DiskTraits(holds_modes=False, holds_symlinks=False)
