# SPDX-License-Identifier: Apache-2.0
"""Carrying out what a plan says: on the disk, and in State."""

import pytest

from drystone.client.ports import (
    ChangedMeanwhile,
    DiskFull,
    NotThere,
    UnsafeName,
)
from drystone.client.steps.materialize import Done, LargeBuild, Problem, SeedLied
from drystone.core.content.chunk import Chunk
from drystone.core.content.digest import digest_whole
from drystone.core.content.hashing import block_id
from drystone.core.ids import ROOT_ID, FileId, Rev
from drystone.core.limits import BLOCK_BYTES_MAX
from drystone.core.planning.plan import Discard, Place, Replace, SetAside, Shift
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeDisk, FakeHand

AT = 1_600_000_000_000_000_000


def make_id(number: int) -> FileId:
    return FileId(b"remote" + number.to_bytes(10, "big"))


def folder(number: int, name: str, parent: FileId = ROOT_ID) -> Entry:
    return Entry(make_id(number), parent, name, Kind.FOLDER, None, 0o755, 0, "", Rev(number))


def file(number: int, name: str, data: bytes, parent: FileId = ROOT_ID) -> Entry:
    content = digest_whole(data).content
    return Entry(make_id(number), parent, name, Kind.FILE, content, 0o640, AT, "", Rev(number))


def link(number: int, name: str, target: str, parent: FileId = ROOT_ID) -> Entry:
    return Entry(make_id(number), parent, name, Kind.SYMLINK, None, 0, AT, target, Rev(number))


def stat_of(desk: Desk, entry: Entry) -> object:
    row = desk.state.find_synced_row(entry.file_id)
    return None if row is None else (row.entry, row.stat)


def test_tree_is_placed_in_one_group_and_agreed_on(desk: Desk, hand: FakeHand) -> None:
    a = folder(1, "a")
    b = folder(2, "b", a.file_id)
    files = [file(3, "one", b"1", b.file_id), file(4, "two", b"22", b.file_id)]
    rest = [link(5, "link", "b/one", a.file_id), file(6, "top", b"", ROOT_ID)]

    outcomes = desk.do(*(Place(e) for e in [a, b, *files, *rest]), one=b"1", two=b"22")

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert hand.list_tree() == {
        "a": None,
        "a/b": None,
        "a/b/one": b"1",
        "a/b/two": b"22",
        "a/link": "b/one",
        "top": b"",
    }
    assert desk.state.synced.find(files[0].file_id) == files[0]
    assert not desk.see()
    assert not desk.look()[-1].unread


def test_outcomes_come_in_the_order_of_the_steps(desk: Desk, hand: FakeHand) -> None:
    hand.write("taken", b"mine")
    steps = [
        Place(file(1, "one", b"1")),
        Place(file(2, "taken", b"1")),
        Place(file(3, "lost", b"1", make_id(99))),
        Place(file(4, "two", b"1")),
    ]

    outcomes = desk.do(*steps, one=b"1", taken=b"1", lost=b"1", two=b"1")

    assert [outcome.step for outcome in outcomes] == steps
    assert [type(outcome) for outcome in outcomes] == [Done, Problem, Problem, Done]
    assert hand.list_tree() == {"taken": b"mine", "one": b"1", "two": b"1"}


def test_what_is_below_a_folder_that_failed_fails_too(desk: Desk, hand: FakeHand) -> None:
    hand.write("a", b"a file")
    a = folder(1, "a")

    outcomes = desk.do(Place(a), Place(file(2, "one", b"1", a.file_id)), one=b"1")

    assert [type(outcome.error) for outcome in outcomes] == [ChangedMeanwhile, NotThere]
    assert hand.list_tree() == {"a": b"a file"}
    assert desk.state.find_synced_row(a.file_id) is None


def test_replaced_file_has_the_new_content_and_the_old_is_in_the_trash(
    desk: Desk, hand: FakeHand
) -> None:
    before = file(1, "file", b"old")
    desk.do(Place(before), file=b"old")
    entry = file(1, "file", b"new")._replace(rev=Rev(9))

    desk.do(Replace(before, entry), file=b"new")

    assert hand.list_tree() == {"file": b"new"}
    assert hand.list_trash() == [("file", b"old")]
    assert desk.state.synced.find(before.file_id) == entry
    assert not desk.see()


def test_only_mode_and_time_are_set_where_the_bytes_are_the_same(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    before, below = file(1, "file", b"old"), folder(2, "folder")
    desk.do(Place(before), Place(below), file=b"old")
    ino = disk.find("file").ino

    desk.do(
        Replace(before, before._replace(mode=0o600, mtime_ns=AT + 1)),
        Replace(below, below._replace(mode=0o700)),
    )

    stat = disk.find_stat("file")
    assert (stat.ino, stat.mode, stat.mtime_ns) == (ino, 0o600, AT + 1)
    assert disk.find_stat("folder").mode == 0o700
    assert not hand.list_trash()
    assert not desk.see()


def test_symlink_is_replaced(desk: Desk, hand: FakeHand) -> None:
    before = link(1, "link", "old")
    desk.do(Place(before))

    desk.do(Replace(before, before._replace(target="new", mtime_ns=AT + 2)))

    assert hand.list_tree() == {"link": "new"}
    assert not desk.see()


def test_file_edited_since_the_last_scan_is_left_alone(desk: Desk, hand: FakeHand) -> None:
    before = file(1, "file", b"old")
    desk.do(Place(before), file=b"old")
    hand.write("file", b"edited")

    outcomes = desk.do(
        Replace(before, file(1, "file", b"new")),
        Shift(before, before._replace(name="moved")),
        Discard(before),
        file=b"new",
    )

    assert [type(outcome.error) for outcome in outcomes] == [ChangedMeanwhile] * 3
    assert hand.list_tree() == {"file": b"edited"}
    assert not desk.state.problems()
    assert desk.state.synced.find(before.file_id) == before


def test_shifted_folder_takes_all_below_along(desk: Desk, hand: FakeHand) -> None:
    a, c = folder(1, "a"), folder(2, "c")
    one = file(3, "one", b"1", a.file_id)
    desk.do(Place(a), Place(c), Place(one), one=b"1")
    moved = a._replace(parent_id=c.file_id, name="z")

    outcomes = desk.do(Shift(a, moved), Replace(one, file(3, "one", b"22", a.file_id)), one=b"22")

    assert [outcome.path for outcome in outcomes] == ["a", "c/z/one"]
    assert hand.list_tree() == {"c": None, "c/z": None, "c/z/one": b"22"}
    assert not desk.see()


def test_mode_that_a_shifted_folder_was_given_meanwhile_is_seen(desk: Desk, hand: FakeHand) -> None:
    a = folder(1, "a")
    desk.do(Place(a))
    hand.set_mode("a", 0o700)

    desk.do(Shift(a, a._replace(name="b")))

    assert [change.entry.mode for change in desk.see().values()] == [0o700]


def test_discarded_folder_is_in_the_trash_and_forgotten(desk: Desk, hand: FakeHand) -> None:
    a = folder(1, "a")
    one = file(2, "one", b"1", a.file_id)
    desk.do(Place(a), Place(one), one=b"1")

    desk.do(Discard(a))

    assert not hand.list_tree()
    assert hand.list_trash() == [("a/one", b"1")]
    assert desk.state.count_synced() == 0
    assert not desk.see()


def test_conflicts_loser_goes_on_under_a_new_id(desk: Desk, hand: FakeHand) -> None:
    agreed = file(1, "file", b"old")
    desk.do(Place(agreed), file=b"old")
    hand.write("file", b"edited")
    desk.see()
    local = desk.find("file")
    aside = local._replace(file_id=make_id(50), name="file (conflicted copy)", rev=Rev(0))
    remote = file(1, "file", b"theirs")

    outcomes = desk.do(SetAside(local, aside))
    assert isinstance(outcomes[0], Done)
    changes = desk.changes()
    desk.do(Place(remote), file=b"theirs")

    assert list(changes) == ["file (conflicted copy)"]
    assert changes["file (conflicted copy)"].entry == aside
    assert hand.list_tree() == {"file (conflicted copy)": b"edited", "file": b"theirs"}
    assert list(desk.see()) == ["file (conflicted copy)"]


def test_new_file_that_lost_keeps_no_trace_of_its_old_id(desk: Desk, hand: FakeHand) -> None:
    hand.write("file", b"mine")
    desk.see()
    local = desk.find("file")
    aside = local._replace(file_id=make_id(50), name="copy")

    desk.do(SetAside(local, aside))

    assert list(desk.changes()) == ["copy"]
    assert local.file_id not in desk.state.local_changes


def test_hostile_name_is_a_problem_and_others_go_on(desk: Desk, hand: FakeHand) -> None:
    outcomes = desk.do(
        Place(file(1, "../up", b"1")),
        Place(folder(2, ".drystone")),
        Place(file(3, "fine", b"1")),
        Place(link(4, "a/b", "x")),
        **{"../up": b"1", "fine": b"1"},
    )

    assert [type(getattr(outcome, "error", None)) for outcome in outcomes] == [
        UnsafeName,
        UnsafeName,
        type(None),
        UnsafeName,
    ]
    assert hand.list_tree() == {"fine": b"1"}
    assert {row.code for row in desk.state.problems()} == {"unsafe-name"}


def test_problem_counts_its_tries_and_ends_when_it_works(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    disk.room_bytes = 2
    step = Place(file(1, "file", b"123"))
    desk.do(step, file=b"123")
    desk.now_ns += 7
    outcomes = desk.do(step, Place(file(2, "other", b"1")), file=b"123", other=b"1")

    assert [type(outcome.error) for outcome in outcomes] == [DiskFull, DiskFull]
    row = next(row for row in desk.state.problems() if row.path == "file")
    assert (row.code, row.tries, row.since_ns) == ("disk-full", 2, desk.now_ns - 7)
    assert not hand.list_tree()

    disk.room_bytes = 100
    desk.do(step, file=b"123")
    assert [row.path for row in desk.state.problems()] == ["other"]


def test_placed_file_that_a_scan_saw_first_is_no_second_entry(desk: Desk, hand: FakeHand) -> None:
    a = folder(1, "a")
    one = file(2, "one", b"1", a.file_id)
    jobs = desk.materialize.resolve([Place(a), Place(one)])
    outcomes = desk.materialize.carry_out(jobs, {one.file_id: b"1"})
    hand.write("a/new", b"2")
    desk.see()
    assert len(desk.state.local_changes) == 3

    desk.materialize.note(outcomes)

    assert list(desk.changes()) == ["a/new"]
    assert desk.find("a/new").parent_id == a.file_id
    assert not desk.look()[-1].unread


# --- large files --------------------------------------------------------------------------------


def test_large_file_is_built_from_seeds_and_blocks(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    blocks = [b"first", bytes(9), b"third"]
    entry = file(1, "large", b"".join(blocks))
    hand.write("seed", b"..third")
    (job,) = desk.materialize.resolve([Place(entry)])
    build = desk.materialize.begin_large(job)

    build.write(0, blocks[0])
    build.write(5, blocks[1])
    with disk.open_file("seed") as seed:
        build.copy(Chunk(14, 5, digest_whole(blocks[2]).content.root), seed, 2)
    outcome = build.finish()
    build.drop()
    desk.materialize.note([outcome])

    assert hand.read("large") == b"".join(blocks)
    assert disk.staged_count == 0
    assert desk.state.synced.find(entry.file_id) == entry


def test_seed_that_changed_is_not_believed(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    hand.write("seed", b"other")
    (job,) = desk.materialize.resolve([Place(file(1, "large", b"first"))])
    build = desk.materialize.begin_large(job)

    with disk.open_file("seed") as seed:
        for offset in (0, 3):
            with pytest.raises(SeedLied):
                build.copy(Chunk(0, 5, digest_whole(b"first").content.root), seed, offset)
    build.drop()

    assert disk.staged_count == 0
    assert list(hand.list_tree()) == ["seed"]


def test_zeros_after_a_lie_are_written(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    entry = file(1, "large", bytes(5))
    hand.write("seed", b"other")
    (job,) = desk.materialize.resolve([Place(entry)])
    build = desk.materialize.begin_large(job)
    with disk.open_file("seed") as seed, pytest.raises(SeedLied):
        build.copy(Chunk(0, 5, entry.content.root), seed, 0)

    build.write(0, bytes(5))
    build.finish()

    assert hand.read("large") == bytes(5)


STEP = 64 * 1024


def test_steps_of_zeros_are_not_written(desk: Desk, hand: FakeHand, disk: FakeDisk) -> None:
    data = b"a" + bytes(4 * STEP) + b"b" * STEP + bytes(2 * STEP + 1) + b"c" + bytes(STEP // 2)
    (job,) = desk.materialize.resolve([Place(file(1, "large", b"some" + data))])
    staged = disk.stage(len(data) + 4)
    written: list[tuple[int, int]] = []
    write_at = staged.write_at
    staged.write_at = lambda at, piece: (written.append((at, len(piece))), write_at(at, piece))
    build = LargeBuild(disk, job, staged)

    build.write(0, b"some")
    build.write(4, data)
    build.finish()

    assert hand.read("large") == b"some" + data
    # Steps are those of the file, so that the disk need not store them.
    assert written == [
        (0, 4),
        (4, STEP - 4),
        (4 * STEP, 2 * STEP),
        (7 * STEP, len(data) + 4 - 7 * STEP),
    ]


def test_what_is_left_of_a_file_holds_zeros_where_it_has_to(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    """A kept file may hold anything: a block of zeros is nobody's to write later."""
    hole = bytes(BLOCK_BYTES_MAX)
    rest = b"x" + bytes(2 * STEP)
    entry = file(1, "large", hole + rest)
    (job,) = desk.materialize.resolve([Place(entry)])
    build = desk.materialize.begin_large(job)
    build.write(0, b"what a seed held")
    build.write(BLOCK_BYTES_MAX, b"y" * len(rest))
    build.leave()

    build = desk.materialize.begin_large(job)
    chunks = [
        Chunk(0, len(hole), block_id(hole)),
        Chunk(len(hole), len(rest), block_id(rest)),
    ]
    assert build.find_held(chunks) == {block_id(hole)}
    build.write(len(hole), rest)
    build.finish()

    assert hand.read("large") == hole + rest


def test_large_file_whose_place_is_taken_meanwhile_is_dropped(
    desk: Desk, hand: FakeHand, disk: FakeDisk
) -> None:
    (job,) = desk.materialize.resolve([Place(file(1, "large", b"first"))])
    build = desk.materialize.begin_large(job)
    build.write(0, b"first")
    hand.write("large", b"mine")

    outcome = build.finish()

    assert isinstance(outcome, Problem)
    assert disk.staged_count == 0
    assert hand.list_tree() == {"large": b"mine"}
