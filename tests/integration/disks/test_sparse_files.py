# SPDX-License-Identifier: Apache-2.0
"""Sparse files stay sparse: what is zeros is neither read, nor sent, nor stored on the disk."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess
from tests.integration.disks.tools import Journal

MIB = 1 << 20
GIB = 1 << 30
ALIGNED_BYTES = 2 * 64 * 1024
"""A piece of data begins and ends within such steps, which are stored whole."""


@pytest.fixture(autouse=True)
def holes_are_possible(tmp_path: Path) -> None:
    with (tmp_path / "probe").open("wb") as file:
        file.truncate(MIB)
    if stored_bytes(tmp_path / "probe") > 0:
        pytest.skip("this filesystem stores holes")


def stored_bytes(place: Path) -> int:
    return place.stat().st_blocks * 512


def write_pieces(place: Path, size_bytes: int, pieces: dict[int, bytes]) -> None:
    with place.open("wb") as file:
        file.truncate(size_bytes)
        for at, piece in pieces.items():
            file.seek(at)
            file.write(piece)


def read_pieces(place: Path, pieces: dict[int, bytes]) -> dict[int, bytes]:
    with place.open("rb") as file:
        return {at: os.pread(file.fileno(), len(piece), at) for at, piece in pieces.items()}


def test_file_of_a_gib_with_ten_mib_in_it_needs_little_more_room(
    join: Callable[..., RealDevice], shared_server: ServerProcess
) -> None:
    one, two = join("one"), join("two")
    chance = random.Random(1)
    pieces = {
        chance.randrange(GIB // MIB - 1) * MIB + 777: chance.randbytes(MIB) for _ in range(10)
    }
    write_pieces(one.folder / "disk.img", GIB, pieces)
    data_bytes = sum(map(len, pieces.values()))
    bound_bytes = data_bytes + len(pieces) * ALIGNED_BYTES

    sent = one.sync()
    got = two.sync()

    there = two.folder / "disk.img"
    assert there.stat().st_size == GIB
    assert read_pieces(there, pieces) == pieces
    assert data_bytes <= stored_bytes(there) < bound_bytes
    assert sent.traffic.sent_bytes < data_bytes * 11 // 10
    assert got.traffic.received_bytes < data_bytes * 11 // 10

    # What is changed keeps the holes of what is copied from the old file.
    with (one.folder / "disk.img").open("r+b") as file:
        file.seek(GIB // 2 + 99)
        file.write(b"changed")
    journal = Journal(shared_server, one.account)
    journal.take_new()
    sent = one.sync()
    two.sync()

    assert journal.count_new() == {"edit": 1}
    assert read_pieces(there, {GIB // 2 + 99: b"changed"}) == {GIB // 2 + 99: b"changed"}
    assert read_pieces(there, pieces) == read_pieces(one.folder / "disk.img", pieces)
    assert stored_bytes(there) < bound_bytes + ALIGNED_BYTES
    assert sent.traffic.sent_bytes < MIB


def test_copy_of_a_sparse_file_on_the_same_device_is_sparse(
    join: Callable[..., RealDevice],
) -> None:
    one, two = join("one"), join("two")
    pieces = {0: b"a" * MIB, 63 * MIB: b"z" * MIB}
    write_pieces(one.folder / "first", 64 * MIB, pieces)
    converge(one, two)
    write_pieces(one.folder / "second", 64 * MIB, pieces)
    converge(one, two)

    assert stored_bytes(two.folder / "second") <= 2 * MIB + ALIGNED_BYTES


def test_file_of_nothing_but_zeros_is_stored_nowhere(join: Callable[..., RealDevice]) -> None:
    one, two = join("one"), join("two")
    (one.folder / "written").write_bytes(bytes(9 * MIB))
    write_pieces(one.folder / "hole", 9 * MIB + 1, {})
    converge(one, two)

    # Nobody says that a file is sparse: it is, wherever it holds zeros.
    assert stored_bytes(two.folder / "written") < ALIGNED_BYTES
    assert stored_bytes(two.folder / "hole") < ALIGNED_BYTES


def test_hole_that_is_filled_and_piece_that_is_cleared_arrive(
    join: Callable[..., RealDevice],
) -> None:
    one, two = join("one"), join("two")
    write_pieces(one.folder / "file", 32 * MIB, {MIB: b"a" * MIB, 20 * MIB: b"b" * MIB})
    converge(one, two)
    with (one.folder / "file").open("r+b") as file:
        file.seek(MIB)
        file.write(bytes(MIB))
        file.seek(10 * MIB)
        file.write(b"c" * MIB)
    converge(one, two)

    assert stored_bytes(two.folder / "file") <= 2 * MIB + 2 * ALIGNED_BYTES
