# SPDX-License-Identifier: Apache-2.0
"""The view of a commit: few queries, and the same answers as one by one."""

from collections import Counter

import pytest

from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.journal.change import Change, Commit, Create, Delete, Edit, Move, Restore
from drystone.core.journal.decide import decide
from drystone.core.journal.record import Action
from drystone.core.tree.entry import Entry
from drystone.server.ports.metadata import Unit
from drystone.server.service.view import UnitView, load_view
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    Journalist,
    add_accounts,
    file,
    folder,
    make_file_id,
)
from drystone.testing.journal import AUTHOR
from drystone.testing.strategies import NAMES_ILLEGAL

OLD_FOLDERS = [make_file_id(n) for n in range(1, 6)]


class CountingTree:
    """Passes everything on to a tree and counts what it is asked."""

    def __init__(self, tree) -> None:
        self._tree = tree
        self.asked: Counter[str] = Counter()
        self.places: list[tuple[FileId, str]] = []

    def __getattr__(self, name: str):
        def ask(*args):
            self.asked[name] += 1
            if name == "find_children":
                self.places += args[1]
            return getattr(self._tree, name)(*args)

        return ask


@pytest.fixture
def metadata() -> MemoryMetadata:
    metadata = MemoryMetadata()
    add_accounts(metadata)
    parents = [ROOT_ID, *OLD_FOLDERS]
    chain = [folder(f, f"d{n}", parents[n]) for n, f in enumerate(OLD_FOLDERS)]
    files = [file(make_file_id(100 + n), f"f{n}", OLD_FOLDERS[-1]) for n in range(50)]
    journalist = Journalist(metadata)
    journalist.create(*chain, *files)
    journalist.append((Action.DELETE, files[0]))
    return metadata


def decide_counting(metadata: MemoryMetadata, *changes: Change):
    """Decides through a loaded view; returns what was asked meanwhile, and where."""
    commit = Commit(changes, Seq(1))

    def work(unit: Unit):
        tree = CountingTree(unit.tree)
        decision = decide(load_view(tree, NAMESPACE, commit), commit, AUTHOR)
        one_by_one = decide(UnitView(unit.tree, NAMESPACE), commit, AUTHOR)
        assert decision == one_by_one
        return decision, tree

    return metadata.read(work)


def new_file(number: int, parent_id: FileId) -> Entry:
    return file(make_file_id(number), f"new{number}", parent_id)


def test_thousands_of_creations_cost_three_queries(metadata: MemoryMetadata) -> None:
    new_folders = [folder(make_file_id(1_000 + n), f"n{n}", OLD_FOLDERS[3]) for n in range(50)]
    in_new = [new_file(2_000 + n, new_folders[n % 50].file_id) for n in range(1_000)]
    in_old = [new_file(4_000 + n, OLD_FOLDERS[n % 5]) for n in range(1_000)]
    decision, tree = decide_counting(metadata, *map(Create, [*new_folders, *in_new, *in_old]))

    assert len(decision.records) == 2_050
    assert dict(tree.asked) == {"head": 1, "find_lineage": 1, "find_children": 1}
    # Nobody stands in a folder that is not there yet.
    assert {parent_id for parent_id, _ in tree.places} == set(OLD_FOLDERS)


def test_edits_moves_and_deletions_cost_three_queries(metadata: MemoryMetadata) -> None:
    changes = [
        *(Edit(make_file_id(100 + n), Rev(1), None, 0o644, 9) for n in range(1, 20)),
        *(
            Move(make_file_id(100 + n), ROOT_ID, f"m{n}", OLD_FOLDERS[4], f"f{n}")
            for n in range(20, 40)
        ),
        *(Delete(make_file_id(100 + n), Rev(1)) for n in range(40, 50)),
        Restore(make_file_id(100), parent_id=ROOT_ID, name="again"),
    ]
    decision, tree = decide_counting(metadata, *changes)

    assert len(decision.records) == 31
    assert dict(tree.asked) == {"head": 1, "find_lineage": 1, "find_children": 1}


def test_what_was_not_foreseen_is_asked_for_when_it_is_needed(metadata: MemoryMetadata) -> None:
    decision, tree = decide_counting(
        metadata,
        Restore(make_file_id(100)),
        Restore(make_file_id(101), Rev(7)),
        Delete(OLD_FOLDERS[4], Rev(1)),
        Move(OLD_FOLDERS[3], ROOT_ID, "up", OLD_FOLDERS[2], "d3"),
        Move(OLD_FOLDERS[0], OLD_FOLDERS[3], "down", ROOT_ID, "d0"),
    )

    assert [record.action for record in decision.records] == [
        Action.RESTORE, Action.MOVE, Action.MOVE,
    ]  # fmt: skip
    assert tree.asked["find_child"] == 1
    assert tree.asked["list_changes"] == 1
    assert tree.asked["list_folders"] >= 1


@pytest.mark.parametrize("name", NAMES_ILLEGAL, ids=ascii)
def test_what_cannot_be_is_not_asked_for(metadata: MemoryMetadata, name: str) -> None:
    stranger = FileId(b"not sixteen")
    decision, tree = decide_counting(
        metadata,
        Create(file(stranger, name, stranger)),
        Create(file(make_file_id(900), name)),
        Move(make_file_id(101), stranger, "x", OLD_FOLDERS[4], "f1"),
        Edit(stranger, Rev(1), None, 0, 0),
    )

    assert decision.records == ()
    assert tree.places == []


def test_every_question_is_passed_on_and_asked_once(metadata: MemoryMetadata) -> None:
    def work(unit: Unit) -> None:
        tree = CountingTree(unit.tree)
        plain = UnitView(unit.tree, NAMESPACE)
        view = load_view(tree, NAMESPACE, Commit((), Seq(0)))
        for _ in range(2):
            assert view.head == plain.head == 56
            assert view.find(OLD_FOLDERS[1]) == plain.find(OLD_FOLDERS[1]) is not None
            assert view.find(make_file_id(999)) is plain.find(make_file_id(999)) is None
            assert view.find_child(ROOT_ID, "d0") == OLD_FOLDERS[0]
            assert view.find_child(ROOT_ID, "nobody") is None
            assert view.folders_in([ROOT_ID]) == [OLD_FOLDERS[0]]
            assert view.find_record(Seq(1)) == plain.find_record(Seq(1)) is not None
        assert tree.asked["find_entries"] == 2
        assert tree.asked["find_child"] == 2
        # What was read as changed need not be looked up, nor the folders above it.
        changed = view.changed_after(Seq(54), 9)
        assert [view.find(stored.file_id) for stored in changed] == changed
        assert [view.find(f) for f in OLD_FOLDERS] == [plain.find(f) for f in OLD_FOLDERS]
        assert tree.asked["find_entries"] == 2

    metadata.read(work)
