# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``State`` must do."""

from collections.abc import Callable

import pytest

from drystone.client.ports import LocalChange, ProblemRow, Stat, State, SyncedRow
from drystone.core.content.content import Content
from drystone.core.ids import ROOT_ID, BlockId, FileId, Rev, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind


def file_id(number: int) -> FileId:
    """Returns an id to tell entries of a test apart by."""
    return FileId(number.to_bytes(16, "big"))


def make_entry(
    number: int,
    name: str = "",
    parent_id: FileId = ROOT_ID,
    *,
    kind: Kind = Kind.FILE,
    rev: int = 1,
    content: bytes = b"c",
) -> Entry:
    """Returns an entry whose content stands for itself."""
    digest = content.ljust(32, b".")
    held = Content(7, BlockId(digest), False, digest) if kind == Kind.FILE else None  # noqa: FBT003
    mtime_ns = 0 if kind == Kind.FOLDER else 1_000
    return Entry(
        file_id(number), parent_id, name or f"n{number}", kind, held, 0o644, mtime_ns, "", Rev(rev)
    )


def make_stat(number: int, ctime_ns: int = 5, kind: Kind = Kind.FILE) -> Stat:
    """Returns a fingerprint with an inode of its own."""
    return Stat(kind, 7, 1_000, ctime_ns, number, 9, 0o644)


def make_row(entry: Entry, seq: int = 0) -> SyncedRow:
    """Returns a row whose inode is the entry's number."""
    number = int.from_bytes(entry.file_id, "big")
    return SyncedRow(entry, make_stat(number, kind=entry.kind), Seq(seq))


def told(entry: Entry, seq: int, action: Action = Action.EDIT) -> StoredEntry:
    """Returns an observation of the server."""
    return StoredEntry(entry, Seq(seq), action)


def add(state: State, *entries: Entry) -> None:
    """Lets both sides agree on entries."""
    for entry in entries:
        state.settle(entry.file_id, make_row(entry))


class SyncedRows:
    """What both sides agreed on."""

    def test_settled_entries_are_in_all_three_trees(self, state: State) -> None:
        folder = make_entry(1, "folder", kind=Kind.FOLDER)
        file = make_entry(2, "file", folder.file_id)
        add(state, folder, file)

        for tree in (state.synced, state.local, state.remote):
            assert tree.find(file.file_id) == file
            assert dict(tree.children(folder.file_id)) == {"file": file}
            assert state.path_of(tree, file.file_id) == "folder/file"
        assert state.count_synced() == 2
        assert state.count_below(ROOT_ID) == 2
        assert state.find_synced_row(file.file_id) == make_row(file)
        assert dict(state.synced_rows(folder.file_id)) == {"file": make_row(file)}
        assert dict(state.synced_stats(folder.file_id)) == {
            "file": (file.file_id, make_row(file).stat)
        }

    def test_root_is_no_entry_and_still_a_folder(self, state: State) -> None:
        assert state.find_synced_row(ROOT_ID) is None
        assert not state.synced.children(ROOT_ID)

        add(state, make_entry(1, "file"))

        assert list(state.synced.children(ROOT_ID)) == ["file"]
        assert list(state.local.children(ROOT_ID)) == ["file"]

    @pytest.mark.parametrize("folder_number", [1, 9])
    def test_entry_may_be_settled_before_its_folder(self, state: State, folder_number: int) -> None:
        folder = make_entry(folder_number, "folder", kind=Kind.FOLDER)
        file, moved = make_entry(5, "file", folder.file_id), make_entry(6)
        add(state, moved)
        assert state.synced.find(folder.file_id) is None

        add(state, file, moved._replace(parent_id=folder.file_id, name="moved"), folder)

        assert set(state.synced_rows(folder.file_id)) == {"file", "moved"}
        assert set(state.synced_stats(folder.file_id)) == {"file", "moved"}
        assert state.path_of(state.local, file.file_id) == "folder/file"

    def test_unknown_ids_are_nowhere(self, state: State) -> None:
        add(state, make_entry(5))

        for tree in (state.synced, state.local, state.remote):
            assert tree.find(file_id(1)) is None
            assert tree.find(file_id(9)) is None
            assert not tree.children(file_id(9))
            assert state.path_of(tree, file_id(9)) is None
            assert state.path_of(tree, ROOT_ID) == ""

    def test_entry_settled_elsewhere_left_its_old_place(self, state: State) -> None:
        a, b = make_entry(1, "a", kind=Kind.FOLDER), make_entry(2, "b", kind=Kind.FOLDER)
        file = make_entry(3, "file", a.file_id)
        add(state, a, b, file)
        assert state.path_of(state.local, file.file_id) == "a/file"

        add(state, file._replace(parent_id=b.file_id, name="moved"))

        assert not state.synced_rows(a.file_id)
        assert state.path_of(state.local, file.file_id) == "b/moved"
        assert state.count_synced() == 3

    def test_paths_follow_a_moved_folder(self, state: State) -> None:
        a, b = (
            make_entry(1, "a", kind=Kind.FOLDER),
            make_entry(2, "b", file_id(1), kind=Kind.FOLDER),
        )
        file = make_entry(3, "file", b.file_id)
        add(state, a, b, file)
        assert state.path_of(state.local, file.file_id) == "a/b/file"

        state.note_local(a.file_id, LocalChange(a._replace(name="z"), make_row(a).stat))

        assert state.path_of(state.local, file.file_id) == "z/b/file"
        assert state.path_of(state.remote, file.file_id) == "a/b/file"
        assert state.path_of(state.synced, file.file_id) == "a/b/file"

    def test_folder_settled_as_gone_takes_all_below_along(self, state: State) -> None:
        a, b = (
            make_entry(1, "a", kind=Kind.FOLDER),
            make_entry(2, "b", file_id(1), kind=Kind.FOLDER),
        )
        add(state, a, b, make_entry(3, "deep", b.file_id), make_entry(4, "other"))

        state.settle(a.file_id, None)

        assert state.count_synced() == 1
        assert state.synced.find(file_id(3)) is None
        assert list(state.synced.children(ROOT_ID)) == ["other"]

    def test_inode_finds_the_entries_that_had_it(self, state: State) -> None:
        add(state, make_entry(1), make_entry(2))
        huge = SyncedRow(make_entry(3), make_stat((1 << 64) - 2)._replace(dev=(1 << 64) - 1))
        state.settle(file_id(3), huge)

        state.settle(file_id(4), SyncedRow(make_entry(4), make_stat(1)))

        assert [row.entry for row in state.list_by_inode(9, 2)] == [make_entry(2)]
        assert state.list_by_inode((1 << 64) - 1, (1 << 64) - 2) == [huge]
        assert state.list_by_inode(9, 77) == []
        two_names = {row.entry.file_id for row in state.list_by_inode(9, 1)}
        assert two_names == {file_id(1), file_id(4)}

    def test_content_is_found_wherever_it_is(self, state: State) -> None:
        one, other = make_entry(1, content=b"one"), make_entry(2, content=b"other")
        assert one.content is not None
        assert other.content is not None
        add(state, one)
        assert not state.find_by_roots([other.content.root])
        add(state, other)

        found = state.find_by_roots([one.content.root, other.content.root, BlockId(b"?" * 32)])

        assert {root: row.entry for root, row in found.items()} == {
            one.content.root: one,
            other.content.root: other,
        }

    def test_content_that_changed_is_no_longer_found(self, state: State) -> None:
        one = make_entry(1, content=b"one")
        assert one.content is not None
        add(state, one)
        assert state.find_by_roots([one.content.root])

        add(state, make_entry(1, content=b"another"))

        assert not state.find_by_roots([one.content.root])


class LocalOverlay:
    """What the disk was seen to hold otherwise."""

    def test_local_change_shows_in_the_local_tree_only(self, state: State) -> None:
        agreed = make_entry(1, "file")
        add(state, agreed)
        edited = make_entry(1, "other name", content=b"edited")

        state.note_local(agreed.file_id, LocalChange(edited, make_stat(1, ctime_ns=6)))

        assert state.local.find(agreed.file_id) == edited
        assert dict(state.local.children(ROOT_ID)) == {"other name": edited}
        assert state.remote.find(agreed.file_id) == state.synced.find(agreed.file_id) == agreed
        assert list(state.find_named("other")) == [agreed.file_id]

        state.note_local(agreed.file_id, None)

        assert state.local.find(agreed.file_id) == agreed
        assert not state.local_changes

    def test_deleted_locally_is_gone_from_the_local_tree_only(self, state: State) -> None:
        agreed = make_entry(1, "file")
        add(state, agreed)

        state.note_local(agreed.file_id, LocalChange(None, None))

        assert state.local.find(agreed.file_id) is None
        assert not state.local.children(ROOT_ID)
        assert state.remote.find(agreed.file_id) == agreed

    def test_new_folder_that_vanished_takes_along_what_was_new_in_it(self, state: State) -> None:
        folder, other = make_entry(1, "f", kind=Kind.FOLDER), make_entry(3, "synced")
        add(state, other)
        state.note_local(folder.file_id, LocalChange(folder, make_stat(1)))
        state.note_local(file_id(2), LocalChange(make_entry(2, "x", folder.file_id), make_stat(2)))
        moved_in = other._replace(parent_id=folder.file_id)
        state.note_local(other.file_id, LocalChange(moved_in, make_stat(3)))

        state.note_local(folder.file_id, LocalChange(None, None))

        assert state.local_changes == {other.file_id: LocalChange(None, None)}

    def test_only_another_fingerprint_is_no_change(self, state: State) -> None:
        agreed = make_entry(1)
        add(state, agreed)

        state.note_local(agreed.file_id, LocalChange(agreed, make_stat(1, ctime_ns=99)))

        assert not state.local_changes
        row = state.find_synced_row(agreed.file_id)
        assert row is not None
        assert row.stat.ctime_ns == 99

    def test_settling_what_the_disk_has_ends_the_local_change(self, state: State) -> None:
        new = make_entry(1, "new", rev=0)
        state.note_local(new.file_id, LocalChange(new, make_stat(1)))

        state.settle(new.file_id, make_row(new._replace(rev=Rev(4)), seq=4))

        assert not state.local_changes
        assert state.local.find(new.file_id) == new._replace(rev=Rev(4))

    def test_settling_an_older_content_leaves_the_newer_local_one(self, state: State) -> None:
        sent, newer = make_entry(1, content=b"sent"), make_entry(1, content=b"newer")
        change = LocalChange(newer, make_stat(1, ctime_ns=9))
        state.note_local(newer.file_id, change)

        state.settle(sent.file_id, make_row(sent))

        assert state.local_changes == {newer.file_id: change}
        assert state.local.find(newer.file_id) == newer

    def test_local_changes_are_known_by_the_folder_they_stand_in(self, state: State) -> None:
        folder, inside = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2, "x", file_id(1))
        add(state, folder, inside)
        places = (ROOT_ID, folder.file_id)
        assert [state.is_local_changed_in(place) for place in places] == [False, False]

        state.note_local(inside.file_id, LocalChange(inside._replace(name="y"), make_stat(2)))

        assert [state.is_local_changed_in(place) for place in places] == [False, True]

        state.note_local(
            inside.file_id, LocalChange(inside._replace(parent_id=ROOT_ID), make_stat(2))
        )

        assert [state.is_local_changed_in(place) for place in places] == [True, False]

        state.note_local(inside.file_id, LocalChange(None, None))

        assert [state.is_local_changed_in(place) for place in places] == [False, False]

    def test_renamed_id_is_replaced_as_a_parent_too(self, state: State) -> None:
        folder, file = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2, "x", file_id(1))
        state.note_local(folder.file_id, LocalChange(folder, make_stat(1)))
        state.note_local(file.file_id, LocalChange(file, make_stat(2)))

        state.rename_id(folder.file_id, file_id(50))

        assert state.local.find(folder.file_id) is None
        assert state.path_of(state.local, file.file_id) == "f/x"
        assert list(state.local.children(file_id(50))) == ["x"]

    def test_renamed_to_what_is_synced_is_no_change(self, state: State) -> None:
        agreed = make_entry(9, "f", kind=Kind.FOLDER)
        inside = make_entry(2, "x", agreed.file_id)
        add(state, agreed, inside)
        mine = agreed._replace(file_id=file_id(20))
        state.note_local(mine.file_id, LocalChange(mine, make_row(agreed).stat))
        moved = inside._replace(parent_id=mine.file_id)
        state.note_local(inside.file_id, LocalChange(moved, make_row(inside).stat))

        state.rename_id(mine.file_id, agreed.file_id)

        assert not state.local_changes


class RemoteOverlay:
    """What the server was heard to hold otherwise."""

    def test_remote_change_shows_in_the_remote_tree_only(self, state: State) -> None:
        agreed = make_entry(1, "file")
        add(state, agreed)
        edited = make_entry(1, "file", rev=5, content=b"edited")

        state.note_remote(told(edited, 5))

        assert state.remote.find(agreed.file_id) == edited
        assert state.local.find(agreed.file_id) == agreed
        assert state.remote_changes == {agreed.file_id: told(edited, 5)}

    def test_remote_saying_what_synced_says_is_no_change(self, state: State) -> None:
        agreed = make_entry(1, rev=3)
        add(state, agreed)

        state.note_remote(told(agreed, 7))
        assert not state.remote_changes

        state.note_remote(told(agreed._replace(rev=Rev(8)), 8))
        assert list(state.remote_changes) == [agreed.file_id]

    def test_older_observations_do_not_count(self, state: State) -> None:
        agreed = make_entry(1, rev=5)
        state.settle(agreed.file_id, make_row(agreed, seq=6))

        state.note_remote(told(make_entry(1, rev=4, content=b"old"), 4))
        assert not state.remote_changes

        newest = told(make_entry(1, rev=9, content=b"newest"), 9)
        state.note_remote(newest)
        state.note_remote(told(make_entry(1, rev=8, content=b"newer"), 8))
        assert state.remote_changes == {agreed.file_id: newest}

    def test_deletion_of_what_was_never_here_is_nothing(self, state: State) -> None:
        folder, file = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2, "x", file_id(1))
        state.note_remote(told(folder, 1, Action.CREATE))
        state.note_remote(told(file, 2, Action.CREATE))

        state.note_remote(told(folder, 3, Action.DELETE))

        assert not state.remote_changes

    def test_what_moved_into_a_deleted_remote_folder_went_with_it(self, state: State) -> None:
        agreed, folder = make_entry(1, "file"), make_entry(2, "f", kind=Kind.FOLDER)
        add(state, agreed)
        state.note_remote(told(folder, 1, Action.CREATE))
        state.note_remote(told(agreed._replace(parent_id=folder.file_id), 2, Action.MOVE))

        state.note_remote(told(folder, 3, Action.DELETE))

        assert state.remote.find(agreed.file_id) is None
        assert state.remote_changes[agreed.file_id].is_deleted

    def test_settled_seq_ends_older_observations(self, state: State) -> None:
        older = told(make_entry(1, rev=2, content=b"older"), 2)
        state.note_remote(older)

        state.settle(file_id(1), make_row(make_entry(1, rev=7), seq=7))

        assert not state.remote_changes

    def test_settled_again_keeps_where_the_same_record_puts_it(self, state: State) -> None:
        mine = make_entry(1, "here", rev=9)
        state.settle(mine.file_id, make_row(mine, seq=9))
        moved = told(mine._replace(name="there"), 9, Action.EDIT)
        state.note_remote(moved)

        state.settle(mine.file_id, make_row(mine, seq=9))
        assert state.remote_changes == {mine.file_id: moved}

        state.settle(mine.file_id, make_row(moved.entry, seq=9))
        assert not state.remote_changes

    def test_settled_as_gone_keeps_a_newer_observation(self, state: State) -> None:
        agreed = make_entry(1)
        add(state, agreed)
        restored = told(agreed._replace(rev=Rev(9)), 9, Action.RESTORE)
        state.note_remote(restored)

        state.settle(agreed.file_id, None, Seq(8))

        assert state.remote_changes == {agreed.file_id: restored}
        assert state.local.find(agreed.file_id) is None

    def test_forgotten_remote_is_what_synced_says(self, state: State) -> None:
        agreed = make_entry(1, rev=5)
        state.settle(agreed.file_id, make_row(agreed, seq=50))
        state.note_remote(told(make_entry(2), 51, Action.CREATE))

        state.forget_remote()

        assert not state.remote_changes
        assert state.find_synced_row(agreed.file_id) == make_row(agreed, seq=50)

    def test_dropped_remote_entry_is_what_synced_says_and_those_below_stay(
        self, state: State
    ) -> None:
        folder, agreed = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2)
        inside = make_entry(3, "x", folder.file_id)
        add(state, agreed)
        for entry in (folder, inside, agreed._replace(name="other")):
            state.note_remote(told(entry, 60, Action.CREATE))

        state.drop_remote(folder.file_id)
        state.drop_remote(agreed.file_id)

        assert list(state.remote_changes) == [inside.file_id]
        assert state.remote.find(folder.file_id) is None
        assert state.remote.find(agreed.file_id) == agreed


class LivingOn:
    """What is gone on one side and changed on the other gets a new life."""

    def test_folder_renewed_locally_takes_its_content_along(self, state: State) -> None:
        folder = make_entry(1, "f", kind=Kind.FOLDER)
        inside, fresh = make_entry(2, "x", folder.file_id), make_entry(3, "y", folder.file_id)
        add(state, folder, inside)
        state.note_local(fresh.file_id, LocalChange(fresh, make_stat(3)))
        state.note_remote(told(folder, 5, Action.DELETE))

        state.renew_local(folder.file_id, file_id(40))
        renewed = folder._replace(file_id=file_id(40), rev=Rev(0))
        state.note_local(renewed.file_id, LocalChange(renewed, make_stat(1)))

        assert state.path_of(state.local, inside.file_id) == "f/x"
        assert state.path_of(state.local, fresh.file_id) == "f/y"
        assert set(state.local.children(file_id(40))) == {"x", "y"}
        assert state.synced.find(folder.file_id) is None
        assert state.synced.find(inside.file_id) == inside
        assert not state.remote_changes

    def test_folder_renewed_locally_leaves_what_was_new_in_it_on_the_server(
        self, state: State
    ) -> None:
        folder, below = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2, "g", file_id(1))
        below = below._replace(kind=Kind.FOLDER, content=None, mtime_ns=0)
        add(state, folder)
        state.note_remote(told(below, 4, Action.CREATE))
        state.note_remote(told(make_entry(3, "new", below.file_id), 5, Action.CREATE))
        state.note_remote(told(folder, 6, Action.DELETE))

        state.renew_local(folder.file_id, file_id(40))
        renewed = folder._replace(file_id=file_id(40), rev=Rev(0))
        state.note_local(renewed.file_id, LocalChange(renewed, make_stat(1)))

        assert not state.remote_changes

    def test_entry_renewed_locally_keeps_of_the_server_only_what_lives_there(
        self, state: State
    ) -> None:
        folder = make_entry(1, "f", kind=Kind.FOLDER)
        inside, outside = make_entry(2, "x", folder.file_id), make_entry(3, "z")
        add(state, folder, inside, outside)
        state.note_remote(told(inside._replace(name="renamed"), 5, Action.MOVE))
        state.note_remote(told(folder, 6, Action.DELETE))
        edited = told(outside._replace(mode=0o600), 7, Action.EDIT)
        state.note_remote(edited)

        for before, new_id in ((inside, file_id(40)), (outside, file_id(41))):
            state.renew_local(before.file_id, new_id)
            state.note_local(
                new_id, LocalChange(before._replace(file_id=new_id, name="n"), make_stat(1))
            )

        assert set(state.remote_changes) == {folder.file_id, outside.file_id}
        assert state.remote.find(outside.file_id) == edited.entry

    def test_folder_renewed_locally_leaves_nothing_of_what_the_server_had_put_into_it(
        self, state: State
    ) -> None:
        folder, moved = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2, "x")
        add(state, folder, moved)
        state.note_remote(told(make_entry(7, "new", folder.file_id), 4, Action.CREATE))
        state.note_remote(told(moved._replace(parent_id=folder.file_id), 5, Action.MOVE))
        state.note_remote(told(folder, 6, Action.DELETE))

        state.renew_local(folder.file_id, file_id(40))

        assert {i: s.is_deleted for i, s in state.remote_changes.items()} == {moved.file_id: True}

    def test_entry_renewed_remotely_is_as_if_new_there(self, state: State) -> None:
        folder = make_entry(1, "f", kind=Kind.FOLDER)
        inside = make_entry(2, "x", folder.file_id)
        add(state, folder, inside)
        state.note_local(folder.file_id, LocalChange(None, None))

        state.renew_remote(folder.file_id)

        assert state.remote.find(folder.file_id) == folder
        assert state.local.find(folder.file_id) is None
        assert state.synced.find(folder.file_id) is None
        assert state.synced.find(inside.file_id) == inside
        assert not state.local_changes


class KeptLedger:
    """What else is remembered."""

    def test_ledger_keeps_what_it_is_told(
        self, state: State, reopen: Callable[[State], State]
    ) -> None:
        content = Content(9_000_000, BlockId(b"m" * 32), True, b"h" * 32)  # noqa: FBT003
        problem = ProblemRow("a/b", "unreadable", "it cannot be read", "chmod", 1, 2, 3)
        stat = make_stat(1)
        state.put("cursor", "here")
        state.keep_manifest(content.root, b"a manifest")
        state.note_digest(stat, content._replace(size_bytes=stat.size_bytes))
        state.note_problem(problem._replace(tries=1))
        state.note_problem(problem)

        state = reopen(state)

        assert state.get("cursor") == "here"
        assert state.get("nothing") == ""
        assert state.find_manifest(content.root) == b"a manifest"
        assert state.find_manifest(BlockId(b"?" * 32)) is None
        assert state.find_digest(stat) == content._replace(size_bytes=stat.size_bytes)
        assert state.find_digest(make_stat(1, ctime_ns=6)) is None
        assert state.problems() == [problem]
        state.clear_problem("a/b")
        state.clear_problem("never there")
        assert not state.problems()

    def test_saved_state_is_there_again(
        self, state: State, reopen: Callable[[State], State]
    ) -> None:
        folder, file = make_entry(1, "f", kind=Kind.FOLDER), make_entry(2, "x", file_id(1))
        link = make_entry(3, "l", kind=Kind.SYMLINK)._replace(target="a/b")
        add(state, folder, file, link)
        news = told(make_entry(2, "x", file_id(1), rev=8, content=b"news"), 8)
        state.note_remote(news)
        state.note_remote(told(link, 9, Action.DELETE))

        state = reopen(state)

        assert state.synced.find(link.file_id) == link
        assert state.path_of(state.synced, file.file_id) == "f/x"
        assert state.remote.find(file.file_id) == news.entry
        assert state.remote.find(link.file_id) is None
        assert state.remote_changes[file.file_id] == news


class StateSuite(SyncedRows, LocalOverlay, RemoteOverlay, LivingOn, KeptLedger):
    """Subclass it and give a fixture ``state``: a fresh engine; and ``reopen``."""

    @pytest.fixture
    def reopen(self) -> Callable[[State], State]:
        """Saves and opens anew; engines that keep nothing give the same one back."""
        return lambda state: state
