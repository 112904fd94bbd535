# SPDX-License-Identifier: Apache-2.0
"""What a finished step leaves in State is what the disk has, whatever was noted before."""

from drystone.client.ports import CommitResult, LocalChange
from drystone.client.steps.advance import Advance
from drystone.client.steps.submit import Prepared, Submission
from drystone.core.content.digest import digest_whole
from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.journal.change import Accepted, Move
from drystone.core.planning.plan import Discard, MarkSynced, Place, RenewLocal, Shift, Submit
from drystone.core.planning.rewrites import Rewrites
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.desk import Desk
from drystone.testing.fakes.disk import FakeHand

FILE_ID = FileId(bytes(15) + b"\x07")


def file(name: str) -> Entry:
    content = digest_whole(b"data").content
    return Entry(FILE_ID, ROOT_ID, name, Kind.FILE, content, 0o640, 1_600_000_000, "", Rev(7))


def test_move_that_gave_way_to_the_servers_is_no_local_change_any_more(
    desk: Desk, hand: FakeHand
) -> None:
    desk.do(Place(file("before")), before=b"data")
    hand.rename("before", "mine")
    desk.see()
    local = desk.find("mine")

    desk.do(Shift(local, file("theirs")))

    assert not desk.state.local_changes
    assert desk.find("theirs") == file("theirs")


def test_discarded_file_leaves_no_local_change_though_its_mode_had_one(
    desk: Desk, hand: FakeHand
) -> None:
    desk.do(Place(file("name")), name=b"data")
    hand.set_mode("name", 0o600)
    desk.see()

    desk.do(Discard(desk.find("name")))

    assert not desk.state.local_changes
    assert desk.state.count_synced() == 0


def test_renewed_file_stays_in_its_folder_whose_id_has_changed_since_the_plan(
    desk: Desk, hand: FakeHand
) -> None:
    folder_id, file_id = FileId(bytes(15) + b"\x08"), FileId(bytes(15) + b"\x09")
    hand.make_folder("d")
    hand.write("d/name", b"data")
    desk.see()
    folder, local = desk.find("d"), desk.find("d/name")

    known = Advance(desk.state)
    known.note(MarkSynced(folder._replace(file_id=folder_id), folder.file_id))
    known.note(RenewLocal(local, local._replace(file_id=file_id)))

    renewed = desk.state.local_changes[file_id].entry
    assert renewed is not None
    assert renewed.parent_id == folder_id


def test_entry_gone_from_the_disk_keeps_its_fingerprint_over_a_detour(desk: Desk) -> None:
    desk.do(Place(file("name")), name=b"data")
    row = desk.state.find_synced_row(FILE_ID)
    assert row is not None
    desk.state.note_local(FILE_ID, LocalChange(None, None))
    away = file("away")
    step = Submit(Move(FILE_ID, ROOT_ID, "away", ROOT_ID, "name"), away)
    submission = Submission(desk.state, None, lambda: "key", Rewrites(), lambda: 0)

    accepted = Accepted(Seq(9), Rev(7), away)
    submission.note(Prepared((step,), Seq(8), "key"), CommitResult(Seq(8), Seq(9), "", (accepted,)))

    settled = desk.state.find_synced_row(FILE_ID)
    assert settled is not None
    assert (settled.entry, settled.stat) == (away, row.stat)
    assert desk.state.local_changes[FILE_ID] == LocalChange(None, None)
