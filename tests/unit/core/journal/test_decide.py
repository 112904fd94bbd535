# SPDX-License-Identifier: Apache-2.0
"""Decisions, change by change: what is accepted, refused, recognised, kept as a copy."""

from collections.abc import Sequence

import pytest

from drystone.core import limits
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.ids import ROOT_ID, BlockId, FileId, Rev, Seq
from drystone.core.journal.change import (
    Accepted,
    Change,
    Create,
    Delete,
    Edit,
    Move,
    OnConflict,
    Outcome,
    Refusal,
    Restore,
)
from drystone.core.journal.decide import Contents
from drystone.core.journal.record import Action
from drystone.core.names.detour import make_detour_name
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.tree import check_tree
from drystone.testing.journal import AUTHOR, ListedJournal
from drystone.testing.strategies import NAMES_ILLEGAL, make_content, make_file_id

A, B, C, D, E, F = (make_file_id(number) for number in range(1, 7))
NOBODY = make_file_id(99)
COPY_NAME = "x (conflicted copy, laptop, 2023-11-14).txt"


def folder(file_id: FileId, name: str, parent_id: FileId = ROOT_ID) -> Entry:
    return Entry(file_id, parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0))


def file(file_id: FileId, name: str, parent_id: FileId = ROOT_ID, text: str = "one") -> Entry:
    return Entry(file_id, parent_id, name, Kind.FILE, make_content(text), 0o644, 7, "", Rev(0))


def link(file_id: FileId, name: str, target: str = "elsewhere") -> Entry:
    return Entry(file_id, ROOT_ID, name, Kind.SYMLINK, None, 0o777, 7, target, Rev(0))


def edit(
    file_id: FileId, base_rev: int, text: str, on_conflict: OnConflict = OnConflict.REFUSE
) -> Edit:
    content = make_content(text)
    return Edit(file_id, Rev(base_rev), content, 0o644, 7, on_conflict=on_conflict)


def make_journal(*changes: Change) -> ListedJournal:
    journal = ListedJournal()
    outcomes = journal.commit(*changes)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
    return journal


def codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.code if isinstance(outcome, Refusal) else "" for outcome in outcomes]


def only(outcomes: Sequence[Outcome]) -> Accepted:
    (outcome,) = outcomes
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(journal: ListedJournal, change: Change, **options: int) -> Refusal:
    head = journal.head
    (outcome,) = journal.commit(change, **options)  # type: ignore[arg-type]
    assert isinstance(outcome, Refusal), outcome
    assert outcome.message
    assert journal.head == head
    return outcome


class TestCreate:
    def test_a_folder_is_created_and_filled_in_one_commit(self) -> None:
        journal = ListedJournal()
        outcomes = journal.commit(
            Create(folder(A, "a")), Create(folder(B, "b", A)), Create(file(C, "c", B)),
            Create(link(D, "d")),
        )  # fmt: skip

        assert [(o.seq, o.rev) for o in outcomes] == [(1, 1), (2, 2), (3, 3), (4, 4)]
        assert journal.tree.path_of(C) == "/a/b/c"
        check_tree(journal.tree)
        assert [r.action for r in journal.records] == [Action.CREATE] * 4
        assert {r.at_ns for r in journal.records} == {AUTHOR.now_ns}
        assert {r.device_id for r in journal.records} == {AUTHOR.device_id}

    def test_repeating_a_creation_changes_nothing(self) -> None:
        change = Create(file(A, "x.txt"))
        journal = make_journal(change)
        again = only(journal.commit(change))

        assert (again.seq, again.rev, journal.head) == (1, 1, 1)

    def test_an_id_that_is_in_use_is_refused(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), Create(file(B, "y")), Delete(B, Rev(2)))
        for entry in (
            file(A, "x.txt", text="two"),
            file(A, "other"),
            link(A, "x.txt"),
            file(B, "y"),
        ):
            assert refused(journal, Create(entry)).code == "id-in-use"

    def test_a_taken_name_is_refused_and_says_by_whom(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")))
        refusal = refused(journal, Create(file(B, "x.txt", text="two")))

        assert (refusal.code, refusal.occupant) == ("name-taken", A)
        assert codes(journal.commit(Create(file(B, "X.txt", text="two")))) == [""]

    def test_a_taken_name_becomes_a_conflicted_copy_if_asked(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")))
        change = Create(file(B, "x.txt", text="two"), OnConflict.COPY)
        kept = only(journal.commit(change))

        assert kept.entry == file(B, COPY_NAME, text="two")._replace(rev=Rev(2))
        assert only(journal.commit(change)) == kept
        assert journal.head == 2
        third = only(journal.commit(Create(file(C, "x.txt", text="three"), OnConflict.COPY)))
        assert third.entry.name == COPY_NAME.replace(").", ", 2).")

    def test_the_same_content_at_the_same_place_is_no_conflict(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), Create(folder(B, "b")))
        for entry in (file(C, "x.txt"), folder(C, "b")):
            refusal = refused(journal, Create(entry, OnConflict.COPY))
            assert refusal.code == "name-taken"
            assert refusal.occupant in (A, B)

    @pytest.mark.parametrize("name", NAMES_ILLEGAL, ids=ascii)
    def test_an_illegal_name_is_refused(self, name: str) -> None:
        journal = make_journal(Create(file(A, "x")))

        assert refused(journal, Create(file(B, name))).code == "invalid-name"
        assert refused(journal, Move(A, ROOT_ID, name, ROOT_ID, "x")).code == "invalid-name"

    def test_a_parent_must_be_a_living_folder(self) -> None:
        journal = make_journal(
            Create(folder(A, "a")), Create(folder(B, "b", A)), Create(file(C, "c")),
            Create(folder(D, "d", A)), Delete(D, Rev(4)),
        )  # fmt: skip
        for parent_id, code in [
            (NOBODY, "parent-gone"), (D, "parent-gone"), (C, "not-a-folder"),
            (FileId(b"short"), "parent-gone"),
        ]:  # fmt: skip
            assert refused(journal, Create(file(F, "f", parent_id))).code == code
        journal.commit(Delete(A, Rev(1)))
        assert refused(journal, Create(file(F, "f", B))).code == "parent-gone"

    def test_a_refused_folder_takes_what_it_should_hold_with_it(self) -> None:
        journal = make_journal(Create(file(A, "a")))
        outcomes = journal.commit(
            Create(folder(B, "a")), Create(file(C, "c", B)), Create(file(D, "d"))
        )

        assert codes(outcomes) == ["name-taken", "parent-gone", ""]

    def test_blocks_that_are_missing_are_named(self) -> None:
        content = make_content("two")
        missing = {content: tuple(BlockId(bytes([i % 256]) * 32) for i in range(1_200))}
        journal = make_journal(Create(file(A, "a")))
        changes = [Create(file(B, "b", text="two")), edit(A, 1, "two"), Create(file(C, "c"))]
        outcomes = journal.commit(*changes, contents=Contents(missing=missing))

        assert codes(outcomes) == ["blocks-missing", "blocks-missing", ""]
        assert outcomes[0].missing == missing[content][:1_000]
        # What is so already needs no blocks.
        repeated = journal.commit(
            Create(file(A, "a")), contents=Contents(missing={make_content("one"): ()})
        )
        assert codes(repeated) == [""]

    def test_a_content_that_its_blocks_contradict_is_refused(self) -> None:
        faulty = Contents(faulty={make_content("one"): "its manifest tells another size"})
        (outcome,) = ListedJournal().commit(Create(file(A, "a")), contents=faulty)

        assert isinstance(outcome, Refusal)
        assert outcome.code == "invalid-change"
        assert "another size" in outcome.message


LONG_HASH = make_content("one")._replace(content_hash=b"x" * 33)


@pytest.mark.parametrize(
    "entry",
    [
        file(ROOT_ID, "x"),
        file(FileId(b"short"), "x"),
        file(A, "x")._replace(mode=0o1000),
        file(A, "x")._replace(mode=-1),
        file(A, "x")._replace(mtime_ns=1 << 63),
        file(A, "x")._replace(mtime_ns=-(1 << 63)),
        file(A, "x")._replace(content=None),
        file(A, "x")._replace(target="y"),
        file(A, "x")._replace(kind=4),
        file(A, "x")._replace(content=Content(0, BlockId(b""), True, b"x" * 32)),
        file(A, "x")._replace(content=EMPTY_CONTENT._replace(size_bytes=1)),
        file(A, "x")._replace(content=make_content("one")._replace(size_bytes=-1)),
        file(A, "x")._replace(content=make_content("one")._replace(size_bytes=1 << 41)),
        file(A, "x")._replace(content=make_content("one")._replace(size_bytes=(1 << 22) + 1)),
        file(A, "x")._replace(content=LONG_HASH),
        folder(A, "x")._replace(content=EMPTY_CONTENT),
        folder(A, "x")._replace(target="y"),
        folder(A, "x")._replace(mtime_ns=1),
        link(A, "x", ""),
        link(A, "x", "a\0b"),
        link(A, "x", "\ud800"),
        link(A, "x", "ä" * 2_048),
        link(A, "x")._replace(content=EMPTY_CONTENT),
        folder(A, "x")._replace(kind=4),
    ],
    ids=range(24),
)
def test_an_entry_that_cannot_be_is_refused(entry: Entry) -> None:
    assert refused(ListedJournal(), Create(entry)).code == "invalid-change"


class TestEdit:
    def test_an_edit_of_the_current_revision_is_accepted(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), Create(file(B, "y")))
        outcome = only(journal.commit(edit(A, 1, "two")))

        assert (outcome.seq, outcome.rev) == (3, 3)
        assert journal.tree.find(A) == file(A, "x.txt", text="two")._replace(rev=Rev(3))
        assert journal.records[-1].action is Action.EDIT

    def test_an_edit_that_changes_nothing_makes_no_record(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), edit(A, 1, "two"))
        # The answer to the first one was lost: it comes again with the old base.
        for base_rev in (1, 2, 77):
            assert only(journal.commit(edit(A, base_rev, "two"))).seq == 2
        assert journal.head == 2

    def test_an_edit_of_an_old_revision_is_refused(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), edit(A, 1, "two"))

        assert refused(journal, edit(A, 1, "three")).code == "stale-base"

    def test_an_edit_of_an_old_revision_becomes_a_copy_if_asked(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), edit(A, 1, "two"))
        change = edit(A, 1, "three", OnConflict.COPY)
        kept = only(journal.commit(change))

        assert (kept.seq, kept.rev, kept.entry.name) == (3, 3, COPY_NAME)
        assert kept.entry.file_id != A
        assert journal.tree.find(A).content == make_content("two")
        assert only(journal.commit(change)) == kept
        assert journal.head == 3
        # The copy was changed since: this edit is kept once more.
        journal.commit(edit(kept.entry.file_id, 3, "four"))
        again = only(journal.commit(change))
        assert again.entry.name == COPY_NAME.replace(").", ", 2).")
        assert again.entry.file_id not in (A, kept.entry.file_id)

    def test_copies_of_one_edit_have_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("drystone.core.journal.decide._COPY_IDS_MAX", 1)
        journal = make_journal(Create(file(A, "x.txt")), edit(A, 1, "two"))
        change = edit(A, 1, "three", OnConflict.COPY)
        kept = only(journal.commit(change))
        journal.commit(Delete(kept.entry.file_id, kept.rev))

        assert refused(journal, change).code == "stale-base"

    def test_another_mode_of_the_same_content_is_no_reason_for_a_copy(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")), edit(A, 1, "two"))
        change = edit(A, 1, "two", OnConflict.COPY)._replace(mode=0o600)

        assert refused(journal, change).code == "stale-base"

    def test_the_mode_of_a_folder_can_be_edited_and_it_keeps_its_rev(self) -> None:
        journal = make_journal(Create(folder(A, "a")))
        outcome = only(journal.commit(Edit(A, Rev(1), None, 0o700, 0)))

        assert (outcome.seq, outcome.rev) == (2, 1)
        assert refused(journal, Edit(A, Rev(1), None, 0o700, 5)).code == "invalid-change"
        assert refused(journal, edit(A, 1, "two")).code == "invalid-change"

    def test_a_symlink_gets_another_target(self) -> None:
        journal = make_journal(Create(link(A, "x")))
        outcome = only(journal.commit(Edit(A, Rev(1), None, 0o777, 8, "there")))

        assert outcome.entry.target == "there"
        assert refused(journal, Edit(A, Rev(2), None, 0o777, 8, "")).code == "invalid-change"

    def test_what_does_not_live_cannot_be_edited(self) -> None:
        journal = make_journal(Create(folder(A, "a")), Create(file(B, "b", A)), Delete(A, Rev(1)))
        for file_id in (A, B, NOBODY, ROOT_ID, FileId(b"")):
            assert refused(journal, edit(file_id, 2, "two")).code == "not-found"

    def test_a_base_that_is_no_number_of_ours_is_just_stale(self) -> None:
        journal = make_journal(Create(file(A, "x.txt")))
        for base_rev in (-1, 1 << 70):
            assert refused(journal, edit(A, base_rev, "two")).code == "stale-base"
            copied = journal.commit(edit(A, base_rev, "two", OnConflict.COPY))
            assert codes(copied) == [""]


class TestMove:
    @pytest.fixture
    def journal(self) -> ListedJournal:
        return make_journal(
            Create(folder(A, "a")), Create(folder(B, "b", A)), Create(file(C, "c", B)),
            Create(folder(D, "d")),
        )  # fmt: skip

    def test_a_folder_moves_with_all_below_it_in_one_record(self, journal: ListedJournal) -> None:
        outcome = only(journal.commit(Move(B, D, "bb", A, "b")))

        assert (outcome.seq, outcome.rev) == (5, 2)
        assert journal.tree.path_of(C) == "/d/bb/c"
        assert journal.head == 5

    def test_a_move_already_done_is_accepted_again(self, journal: ListedJournal) -> None:
        journal.commit(Move(B, D, "bb", A, "b"))

        assert only(journal.commit(Move(B, D, "bb", A, "b"))).seq == 5
        assert only(journal.commit(Move(A, ROOT_ID, "a", NOBODY, "z"))).seq == 1
        assert journal.head == 5

    def test_a_move_from_where_it_no_longer_is_is_refused(self, journal: ListedJournal) -> None:
        journal.commit(Move(B, D, "bb", A, "b"))

        assert refused(journal, Move(B, A, "z", A, "b")).code == "stale-base"

    def test_a_folder_cannot_move_below_itself(self, journal: ListedJournal) -> None:
        assert refused(journal, Move(A, B, "a", ROOT_ID, "a")).code == "cycle"
        assert refused(journal, Move(A, A, "a", ROOT_ID, "a")).code == "cycle"
        # Each by itself would do; the second sees the first.
        outcomes = journal.commit(Move(A, D, "a", ROOT_ID, "a"), Move(D, B, "d", ROOT_ID, "d"))
        assert codes(outcomes) == ["", "cycle"]

    def test_a_place_must_be_free_and_in_a_living_folder(self, journal: ListedJournal) -> None:
        refusal = refused(journal, Move(D, ROOT_ID, "a", ROOT_ID, "d"))
        assert (refusal.code, refusal.occupant) == ("name-taken", A)
        assert refused(journal, Move(D, C, "x", ROOT_ID, "d")).code == "not-a-folder"
        assert refused(journal, Move(D, NOBODY, "x", ROOT_ID, "d")).code == "parent-gone"
        assert refused(journal, Move(NOBODY, D, "x", ROOT_ID, "d")).code == "not-found"
        assert refused(journal, Move(ROOT_ID, D, "x", ROOT_ID, "d")).code == "invalid-change"

    def test_two_entries_exchange_places_by_way_of_a_third(self, journal: ListedJournal) -> None:
        outcomes = journal.commit(
            Move(A, ROOT_ID, "tmp", ROOT_ID, "a"), Move(D, ROOT_ID, "a", ROOT_ID, "d"),
            Move(A, ROOT_ID, "d", ROOT_ID, "tmp"),
        )  # fmt: skip

        assert codes(outcomes) == ["", "", ""]
        assert (journal.tree.path_of(A), journal.tree.path_of(D)) == ("/d", "/a")

    def test_a_name_left_by_a_move_can_be_taken_in_the_same_commit(
        self, journal: ListedJournal
    ) -> None:
        outcomes = journal.commit(Move(C, D, "c", B, "c"), Create(file(E, "c", B, "two")))

        assert codes(outcomes) == ["", ""]
        check_tree(journal.tree)


class TestDelete:
    @pytest.fixture
    def journal(self) -> ListedJournal:
        return make_journal(
            Create(folder(A, "a")), Create(folder(B, "b", A)), Create(file(C, "c", B)),
            Create(file(D, "d", A)),
        )  # fmt: skip

    def test_a_folder_ends_with_all_below_it_in_one_record(self, journal: ListedJournal) -> None:
        assert only(journal.commit(Delete(A, Rev(1)))).seq == 5
        assert list(journal.tree.iter_living()) == []
        assert journal.records[-1].action is Action.DELETE

    def test_deleting_what_is_already_gone_is_accepted(self, journal: ListedJournal) -> None:
        journal.commit(Delete(D, Rev(4)), Delete(B, Rev(2)))

        assert only(journal.commit(Delete(D, Rev(4)))).seq == 5
        assert only(journal.commit(Delete(D, Rev(77)))).seq == 5
        # It went with its folder.
        assert only(journal.commit(Delete(C, Rev(3)))).seq == 3
        assert journal.head == 6

    def test_an_old_revision_cannot_be_deleted(self, journal: ListedJournal) -> None:
        journal.commit(edit(D, 4, "two"))

        assert refused(journal, Delete(D, Rev(4))).code == "stale-base"
        assert refused(journal, Delete(NOBODY, Rev(4))).code == "not-found"
        assert refused(journal, Delete(ROOT_ID, Rev(0))).code == "invalid-change"

    @pytest.mark.parametrize(
        "unseen",
        [edit(C, 3, "two"), Create(file(E, "e", B)), Move(D, B, "d", A, "d")],
        ids=["edited", "created", "moved in"],
    )
    def test_a_folder_in_which_something_changed_unseen_is_not_deleted(
        self, journal: ListedJournal, unseen: Change
    ) -> None:
        seen_seq = journal.head
        only(journal.commit(unseen))
        for folder_id, rev in ((A, 1), (B, 2)):
            refusal = refused(journal, Delete(folder_id, Rev(rev)), seen_seq=seen_seq)
            assert refusal.code == "folder-changed"
        assert codes(journal.commit(Delete(A, Rev(1)))) == [""]

    @pytest.mark.parametrize(
        "unseen",
        [Delete(C, Rev(3)), Move(C, ROOT_ID, "c", B, "c"), Create(file(E, "e"))],
        ids=["deleted", "moved out", "elsewhere"],
    )
    def test_a_folder_from_which_nothing_would_be_lost_is_deleted(
        self, journal: ListedJournal, unseen: Change
    ) -> None:
        seen_seq = journal.head
        only(journal.commit(unseen))

        assert codes(journal.commit(Delete(B, Rev(2)), seen_seq=seen_seq)) == [""]

    def test_what_this_commit_itself_did_does_not_count(self, journal: ListedJournal) -> None:
        seen_seq = journal.head
        journal.commit(Create(file(F, "f")))
        outcomes = journal.commit(edit(C, 3, "two"), Delete(A, Rev(1)), seen_seq=seen_seq)

        assert codes(outcomes) == ["", ""]

    def test_what_this_commit_does_to_unseen_changes_counts_at_once(
        self, journal: ListedJournal
    ) -> None:
        seen_seq = journal.head
        journal.commit(edit(C, 3, "two"))
        outcomes = journal.commit(
            Delete(A, Rev(1)),
            Move(C, ROOT_ID, "c", B, "c"),
            Delete(B, Rev(2)),
            Restore(B),
            Move(C, B, "c", ROOT_ID, "c"),
            Delete(B, Rev(2)),
            Delete(C, Rev(5)),
            Delete(A, Rev(1)),
            seen_seq=seen_seq,
        )

        assert codes(outcomes) == ["folder-changed", "", "", "", "", "folder-changed", "", ""]

    def test_a_restored_folder_brings_its_unseen_changes_back(self, journal: ListedJournal) -> None:
        seen_seq = journal.head
        journal.commit(edit(C, 3, "two"))
        journal.commit(Delete(B, Rev(2)))
        outcomes = journal.commit(
            Delete(A, Rev(1)), Restore(A), Restore(B), Delete(A, Rev(1)), seen_seq=seen_seq
        )

        assert codes(outcomes) == ["", "", "", "folder-changed"]

    def test_who_is_too_far_behind_or_ahead_reads_first(self, journal: ListedJournal) -> None:
        assert refused(journal, Delete(A, Rev(1)), seen_seq=99).code == "folder-changed"
        entries = [
            file(make_file_id(number), f"f{number}")
            for number in range(1_000, 1_000 + limits.CHANGES_PAGE_ENTRIES_MAX + 1)
        ]
        size = limits.COMMIT_CHANGES_MAX
        for start in range(0, len(entries), size):
            journal.commit(*map(Create, entries[start : start + size]))
        assert refused(journal, Delete(A, Rev(1)), seen_seq=4).code == "folder-changed"
        assert codes(journal.commit(Delete(A, Rev(1)), seen_seq=5)) == [""]


class TestRestore:
    @pytest.fixture
    def journal(self) -> ListedJournal:
        return make_journal(
            Create(folder(A, "a")), Create(folder(B, "b", A)), Create(file(C, "c", B)),
            Create(file(D, "d")), edit(D, 4, "two"), edit(D, 5, "three"),
        )  # fmt: skip

    def test_a_folder_returns_with_all_that_was_deleted_with_it(
        self, journal: ListedJournal
    ) -> None:
        before = journal.tree
        journal.commit(Delete(A, Rev(1)))
        outcome = only(journal.commit(Restore(A)))

        assert (outcome.seq, outcome.rev) == (8, 1)
        assert journal.tree == before
        assert journal.records[-1].action is Action.RESTORE
        assert only(journal.commit(Restore(A))).seq == 8

    def test_what_was_deleted_before_the_folder_does_not_return_with_it(
        self, journal: ListedJournal
    ) -> None:
        journal.commit(Delete(C, Rev(3)), Delete(A, Rev(1)), Restore(A))

        assert journal.tree.is_living(B)
        assert C not in journal.tree

    def test_it_returns_to_another_place_if_asked(self, journal: ListedJournal) -> None:
        journal.commit(Delete(A, Rev(1)), Create(folder(E, "a")))

        assert refused(journal, Restore(A)).code == "name-taken"
        assert refused(journal, Restore(A, parent_id=NOBODY)).code == "parent-gone"
        assert refused(journal, Restore(A, name="a/b")).code == "invalid-name"
        outcome = only(journal.commit(Restore(A, parent_id=E, name="again")))
        assert journal.tree.path_of(C) == "/a/again/b/c"
        assert outcome.entry.parent_id == E

    def test_one_entry_is_taken_out_of_a_deleted_folder(self, journal: ListedJournal) -> None:
        journal.commit(Delete(A, Rev(1)))

        assert refused(journal, Restore(B)).code == "parent-gone"
        assert codes(journal.commit(Restore(B, parent_id=ROOT_ID))) == [""]
        assert journal.tree.path_of(C) == "/b/c"
        journal.commit(Restore(A))
        assert journal.tree.path_of(C) == "/b/c"
        check_tree(journal.tree)

    def test_an_earlier_content_comes_back_as_a_new_revision(self, journal: ListedJournal) -> None:
        outcome = only(journal.commit(Restore(D, Rev(4))))

        assert (outcome.seq, outcome.rev) == (7, 7)
        assert journal.tree.find(D).content == make_content("one")
        assert only(journal.commit(Restore(D, Rev(4)))).seq == 7
        assert only(journal.commit(Restore(D, Rev(7)))).seq == 7

    def test_a_deleted_file_returns_with_an_earlier_content(self, journal: ListedJournal) -> None:
        journal.commit(Delete(D, Rev(6)))
        outcome = only(journal.commit(Restore(D, Rev(5))))

        assert (outcome.seq, outcome.rev) == (8, 8)
        assert outcome.entry.content == make_content("two")
        assert journal.records[-1].action is Action.RESTORE

    @pytest.mark.parametrize("rev", [1, 3, 7, 99, -1, 1 << 70])
    def test_a_revision_that_it_never_had_is_refused(
        self, journal: ListedJournal, rev: int
    ) -> None:
        assert refused(journal, Restore(D, Rev(rev))).code == "not-found"

    def test_folders_have_no_revisions_and_nobody_none(self, journal: ListedJournal) -> None:
        assert refused(journal, Restore(A, Rev(2))).code == "not-found"
        assert only(journal.commit(Restore(A, Rev(1)))).seq == 1
        assert refused(journal, Restore(NOBODY)).code == "not-found"

    def test_what_lives_elsewhere_is_not_moved_by_a_restoration(
        self, journal: ListedJournal
    ) -> None:
        assert refused(journal, Restore(D, parent_id=A)).code == "stale-base"
        assert refused(journal, Restore(D, Rev(4), name="z")).code == "stale-base"

    def test_a_content_whose_blocks_are_gone_does_not_return(self, journal: ListedJournal) -> None:
        contents = Contents(missing={make_content("one"): (BlockId(b"x" * 32),)})
        assert codes(journal.commit(Restore(D, Rev(4)), contents=contents)) == ["content-collected"]
        journal.commit(Delete(D, Rev(6)))
        assert codes(journal.commit(Restore(D, Rev(4)), contents=contents)) == ["content-collected"]


class TestDepth:
    def make_chain(self, journal: ListedJournal, count: int, first: int, top: FileId) -> FileId:
        parent_id = top
        for number in range(first, first + count):
            outcomes = journal.commit(Create(folder(make_file_id(number), "f", parent_id)))
            assert codes(outcomes) == [""]
            parent_id = make_file_id(number)
        return parent_id

    def test_nothing_is_deeper_than_allowed(self) -> None:
        journal = ListedJournal()
        deepest = self.make_chain(journal, limits.DEPTH_MAX, 1_000, ROOT_ID)

        assert codes(journal.commit(Create(folder(A, "last", deepest)))) == [""]
        assert refused(journal, Create(file(B, "x", A))).code == "too-deep"
        check_tree(journal.tree)

    def test_a_folder_is_not_moved_so_deep_that_what_is_in_it_is_too_deep(self) -> None:
        journal = ListedJournal()
        deep = self.make_chain(journal, 200, 1_000, ROOT_ID)
        journal.commit(Create(folder(D, "d")))
        bottom = self.make_chain(journal, 55, 2_000, D)
        journal.commit(Create(file(E, "e", bottom)))

        assert codes(journal.commit(Move(D, deep, "d", ROOT_ID, "d"))) == [""]
        check_tree(journal.tree)
        journal.commit(Move(D, ROOT_ID, "d", deep, "d"), Create(folder(F, "f", bottom)))
        assert refused(journal, Move(D, deep, "d", ROOT_ID, "d")).code == "too-deep"
        # What this very commit has taken away from below it no longer counts.
        rev = journal.tree.find(F).rev
        outcomes = journal.commit(Delete(F, rev), Move(D, deep, "d", ROOT_ID, "d"))
        assert codes(outcomes) == ["", ""]
        # And what it has put there does.
        outcomes = journal.commit(
            Move(D, ROOT_ID, "d", deep, "d"),
            Create(folder(B, "b", bottom)),
            Move(D, deep, "d", ROOT_ID, "d"),
        )
        assert codes(outcomes) == ["", "", "too-deep"]

    def test_a_restored_folder_is_measured_too(self) -> None:
        journal = ListedJournal()
        deep = self.make_chain(journal, 200, 1_000, ROOT_ID)
        journal.commit(Create(folder(D, "d")))
        self.make_chain(journal, 60, 2_000, D)
        journal.commit(Delete(D, journal.tree.find(D).rev))

        assert refused(journal, Restore(D, parent_id=deep)).code == "too-deep"
        assert codes(journal.commit(Restore(D))) == [""]

    def test_a_path_is_not_longer_than_allowed(self) -> None:
        journal = ListedJournal()
        parent_id = ROOT_ID
        for number in range(1_000, 1_015):
            assert codes(
                journal.commit(Create(folder(make_file_id(number), "x" * 255, parent_id)))
            ) == [""]
            parent_id = make_file_id(number)

        room = limits.PATH_BYTES_MAX - 15 * 256 - 1
        assert refused(journal, Create(file(A, "y" * (room + 1), parent_id))).code == "too-deep"
        assert codes(journal.commit(Create(file(A, "y" * room, parent_id)))) == [""]
        copied = journal.commit(Create(file(B, "y" * room, parent_id, "two"), OnConflict.COPY))
        assert codes(copied) == ["too-deep"]

    def test_a_detour_has_room_of_its_own(self) -> None:
        journal = ListedJournal()
        parent_id = ROOT_ID
        for number in range(1_000, 1_015):
            journal.commit(Create(folder(make_file_id(number), "x" * 255, parent_id)))
            parent_id = make_file_id(number)
        name = "y" * (limits.PATH_BYTES_MAX - 15 * 256 - 1)
        journal.commit(Create(file(A, name, parent_id)))
        away = make_detour_name(B)

        assert codes(journal.commit(Move(A, parent_id, away, parent_id, name))) == [""]
        longer = Move(A, parent_id, away + "y" * 160, parent_id, away)
        assert refused(journal, longer).code == "too-deep"

    def test_a_commit_that_walks_too_much_is_told_to_come_in_parts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("drystone.core.journal.draft._WALKED_FOLDERS_MAX", 3)
        journal = make_journal(
            Create(folder(A, "a")), Create(folder(B, "b")), Create(folder(C, "c"))
        )
        self.make_chain(journal, 5, 2_000, B)
        changes = [Move(B, A, "b", ROOT_ID, "b"), Move(C, A, "c", ROOT_ID, "c")]

        assert codes(journal.commit(*changes)) == ["", "too-deep"]
        assert codes(journal.commit(*changes)) == ["", ""]


class TestAllOrNothing:
    def test_one_refusal_aborts_all(self) -> None:
        journal = make_journal(Create(file(A, "a")))
        outcomes = journal.commit(
            Create(file(B, "b")), Create(file(C, "a", text="two")), Delete(A, Rev(1)),
            all_or_nothing=True,
        )  # fmt: skip

        assert codes(outcomes) == ["aborted", "name-taken", "aborted"]
        assert journal.head == 1

    def test_without_refusals_all_is_kept(self) -> None:
        journal = make_journal(Create(file(A, "a")))

        assert codes(journal.commit(Create(file(B, "b")), all_or_nothing=True)) == [""]
        assert journal.head == 2


def test_no_commit_is_larger_than_allowed() -> None:
    journal = ListedJournal()
    with pytest.raises(AssertionError):
        journal.commit(*[Delete(A, Rev(1))] * (limits.COMMIT_CHANGES_MAX + 1))


def test_an_empty_commit_does_nothing() -> None:
    assert ListedJournal().commit(seen_seq=Seq(5)) == ()
