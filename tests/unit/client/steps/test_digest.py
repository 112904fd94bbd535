# SPDX-License-Identifier: Apache-2.0
"""Reading what is new or changed: what is noted, what is left for later, how much is read."""

import random

import pytest

from drystone.client.ports import ChangedMeanwhile, Digested, Stat, Unread
from drystone.client.steps import digest as module
from drystone.client.steps.digest import Undigested, is_racy_at, plan_reading
from drystone.core.content.digest import digest_whole
from drystone.core.content.manifest import decode_manifest
from drystone.core.errors import Unavailable
from drystone.core.ids import FileId
from drystone.core.limits import MIB
from drystone.core.tree.entry import Kind
from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeDisk, FakeHand, FakeReadFile


def unread(size_bytes: int) -> Unread:
    stat = Stat(Kind.FILE, size_bytes, 1, 1, 1, 0, 0o644)
    return Unread(FileId(bytes(16)), "x", stat)


@pytest.fixture
def noise() -> bytes:
    return random.Random(1).randbytes(9 * MIB)


def test_groups_fit_in_memory_and_large_files_go_alone() -> None:
    files = [unread(n) for n in [7 * MIB] * 5 + [10] * 1_500 + [9 * MIB]]

    reading = plan_reading(files)

    assert [one.stat.size_bytes for one in reading.large] == [9 * MIB]
    assert sum(len(group) for group in reading.groups) == 1_505
    assert all(sum(u.stat.size_bytes for u in group) <= 16 * MIB for group in reading.groups)
    assert max(len(group) for group in reading.groups) == 1_000
    assert plan_reading([]) == ([], [])


def test_small_file_comes_with_its_bytes(desk: Desk, hand: FakeHand) -> None:
    hand.write("file", b"hello")

    (outcome,) = desk.read_only(list(desk.look()[-1].unread))

    assert isinstance(outcome, Digested)
    assert outcome.data == b"hello"
    assert outcome.content == digest_whole(b"hello").content
    assert outcome.manifest == b""
    assert not outcome.is_racy


def test_middling_file_has_several_chunks_and_its_bytes(
    desk: Desk, hand: FakeHand, noise: bytes
) -> None:
    hand.write("file", noise[: 5 * MIB])

    (outcome,) = desk.read_only(list(desk.look()[-1].unread))

    assert outcome.content == digest_whole(noise[: 5 * MIB]).content
    assert outcome.content.chunked
    assert decode_manifest(outcome.manifest).size_bytes == 5 * MIB
    assert outcome.data == noise[: 5 * MIB]


def test_large_file_is_cut_as_if_it_were_whole_and_its_blocks_are_lent(
    desk: Desk, hand: FakeHand, noise: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUFFER_BYTES", 3_000_000)
    hand.write("file", noise)
    (one,) = desk.look()[-1].unread
    taken: list[tuple[bytes, bytes]] = []

    outcome = desk.digest.read_large(one, lambda name, data: taken.append((name, bytes(data))))

    whole = digest_whole(noise)
    assert (outcome.content, outcome.manifest, outcome.data) == (
        whole.content,
        whole.manifest,
        None,
    )
    assert b"".join(data for _, data in taken) == noise
    assert [name for name, _ in taken] == [chunk.block_id for chunk in whole.chunks]


def test_large_file_is_recalled_by_its_fingerprint(
    desk: Desk, hand: FakeHand, noise: bytes
) -> None:
    hand.write("file", noise)
    batches = desk.look()
    assert desk.digest.recall(batches[-1].unread[0]) is None
    desk.read(batches)

    recalled = desk.digest.recall(desk.look_again("file"))

    assert recalled is not None
    assert recalled.content == digest_whole(noise).content
    assert recalled.manifest == digest_whole(noise).manifest
    hand.touch("file", 5)
    assert desk.digest.recall(desk.look_again("file")) is None


def test_file_that_is_gone_or_longer_is_left_for_later(desk: Desk, hand: FakeHand) -> None:
    hand.write("gone", b"1")
    hand.write("folder", b"1")
    batches = desk.look()
    hand.remove("gone")
    hand.remove("folder")
    hand.make_folder("folder")

    again = desk.read(batches)

    assert again == {""}
    assert not desk.state.problems()
    assert all(change.entry.content is None for change in desk.changes().values())


def test_large_file_that_changes_while_it_is_read_is_left_for_later(
    desk: Desk, hand: FakeHand, noise: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.write("file", noise)
    batches = desk.look()
    read_into = FakeReadFile.read_into

    def read_and_change(self: FakeReadFile, buffer: memoryview, offset_bytes: int) -> int:
        count = read_into(self, buffer, offset_bytes)
        if offset_bytes:
            hand.write("file", noise + b"more")
        return count

    monkeypatch.setattr(FakeReadFile, "read_into", read_and_change)
    (outcome,) = desk.read_only(list(batches[-1].unread))

    assert isinstance(outcome, Undigested)
    assert isinstance(outcome.error, ChangedMeanwhile)
    assert desk.digest.note([outcome]) == {""}
    assert desk.changes()["file"].entry.content is None


def test_large_file_that_is_cut_short_while_it_is_read_is_left_for_later(
    desk: Desk, hand: FakeHand, noise: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.write("file", noise)
    batches = desk.look()
    monkeypatch.setattr(FakeReadFile, "read_into", lambda *_: 0)

    (outcome,) = desk.read_only(list(batches[-1].unread))

    assert isinstance(outcome, Undigested)
    assert isinstance(outcome.error, ChangedMeanwhile)


def test_file_that_changed_since_it_was_seen_is_noted_as_it_was_read(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    hand.write("file", b"1")
    batches = desk.look()
    hand.write("file", b"22")
    hand.set_mode("file", 0o600)

    desk.read(batches)

    change = desk.changes()["file"]
    assert change.stat == disk.find_stat("file")
    assert change.entry.content == digest_whole(b"22").content
    assert (change.entry.mtime_ns, change.entry.mode) == (change.stat.mtime_ns, 0o600)


def test_what_a_later_scan_saw_otherwise_is_not_noted(desk: Desk, hand: FakeHand) -> None:
    hand.write("file", b"1")
    outcomes = desk.read_only(list(desk.look()[-1].unread))
    hand.write("file", b"22")
    desk.look()

    desk.digest.note(outcomes)

    assert desk.changes()["file"].entry.content is None


def test_unreadable_file_is_a_problem_until_it_is_read(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    hand.write("file", b"1")
    disk.find("file").is_readable = False
    desk.see()
    desk.see()
    assert [(row.path, row.code) for row in desk.state.problems()] == [("file", "unreadable")]
    assert desk.changes()["file"].entry.content is None

    disk.find("file").is_readable = True
    desk.see()

    assert not desk.state.problems()
    assert desk.changes()["file"].entry.content is not None


def test_problem_of_a_file_ends_when_nothing_is_to_be_read(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    hand.write("file", b"1")
    desk.agree()
    row = desk.state.find_synced_row(desk.find("file").file_id)
    assert row is not None
    inode = disk.find("file")
    hand.set_mode("file", 0o600)
    inode.is_readable = False
    desk.see()
    assert [row.code for row in desk.state.problems()] == ["unreadable"]

    inode.mode, inode.ctime_ns = row.stat.mode, row.stat.ctime_ns
    desk.state.note_local(row.entry.file_id, None)
    desk.see()

    assert not desk.state.problems()


def test_problem_of_a_file_that_is_gone_ends(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    hand.write("file", b"1")
    disk.find("file").is_readable = False
    desk.see()
    hand.remove("file")

    desk.see()

    assert not desk.state.problems()


def test_file_that_may_still_be_written_is_left_until_its_stamp_tells_writes_apart(
    disk: FakeDisk, hand: FakeHand
) -> None:
    desk = Desk(disk)
    hand.write("file", b"half")
    # Stamps of whole seconds: nobody waits that long, so it is looked at again instead.
    assert disk.find_stat("file").ctime_ns % 1_000_000_000 == 0
    desk.now_ns = disk.now_ns + 1_000_000_000
    again = desk.read(desk.look())
    half = desk.changes()["file"]
    hand.write_silently("file", b"done")
    desk.now_ns += 10_000_000_000
    then = desk.read(desk.look())

    assert (again, half.entry.content) == ({""}, None)
    assert then == frozenset()
    assert desk.changes()["file"].entry.content == digest_whole(b"done").content


@pytest.mark.parametrize("size_bytes", [10, 9 * MIB])
def test_tick_after_the_last_write_is_waited_out_before_reading(
    disk: FakeDisk, hand: FakeHand, size_bytes: int
) -> None:
    desk = Desk(disk)
    disk.now_ns += 1
    hand.write("file", bytes(size_bytes))
    stamped_ns = disk.find_stat("file").ctime_ns
    desk.now_ns = stamped_ns + 5_000_000
    again = desk.read(desk.look())

    assert desk.rests_s == [0.015]
    assert again == frozenset()
    assert desk.changes()["file"].entry.content.size_bytes == size_bytes

    desk.now_ns = stamped_ns + 20_000_000
    desk.see()
    assert desk.rests_s == [0.015]


@pytest.mark.parametrize(
    ("age_ns", "ctime_ns", "expected"),
    [
        (5_000_000, 1_000_000_001, True),
        (30_000_000, 1_000_000_001, False),
        (30_000_000, 1_000_000_000, True),
        (3_000_000_000, 1_000_000_000, False),
        (-1_000_000, 1_000_000_001, True),
        (-9_000_000_000, 1_000_000_001, False),
    ],
)
def test_racy_is_what_the_clock_may_not_have_told_apart(
    age_ns: int, ctime_ns: int, *, expected: bool
) -> None:
    stat = Stat(Kind.FILE, 1, 1, ctime_ns, 1, 0, 0o644)

    assert is_racy_at(stat, ctime_ns + age_ns) is expected


def test_busy_file_is_told_and_looked_at_again_soon(
    desk: Desk, hand: FakeHand, disk: FakeDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.write("file", b"123")
    batches = desk.look()
    busy = Unavailable("'file' is busy", advice="It is tried again.")
    with monkeypatch.context() as patch:
        patch.setattr(disk, "read_many", lambda *_: [busy])

        assert desk.read(batches) == {""}
    assert [row.path for row in desk.state.problems()] == ["file"]

    assert desk.read(desk.look()) == frozenset()
    assert desk.changes()["file"].entry.content == digest_whole(b"123").content
