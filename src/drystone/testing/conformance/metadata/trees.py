# SPDX-License-Identifier: Apache-2.0
"""What every engine does with entries and places."""

import pytest

from drystone.core.ids import (
    ROOT_ID,
    FileId,
    Rev,
    Seq,
)
from drystone.core.journal.fold import fold
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.tree import Tree
from drystone.server.ports.metadata import (
    MalformedPage,
    Metadata,
    Unit,
)
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    NOWHERE,
    OTHER,
    A,
    B,
    C,
    D,
    E,
    F,
    Journalist,
    add_accounts,
    block_id,
    collect_below,
    file,
    folder,
    read_page,
)
from drystone.testing.strategies import (
    CONTENTS,
    NAMES_ILLEGAL,
    NAMES_THAT_HURT,
    make_file_id,
)


class TreeSuite:
    """Namespaces, entries and journal."""

    def test_an_empty_namespace_has_nothing(self, metadata: Metadata) -> None:
        add_accounts(metadata)

        def work(unit: Unit) -> None:
            for namespace_id in (NAMESPACE, NOWHERE):
                assert unit.tree.head(namespace_id) == 0
                assert unit.tree.find_entries(namespace_id, [A, ROOT_ID]) == {}
                assert unit.tree.find_entries(namespace_id, []) == {}
                assert unit.tree.find_lineage(namespace_id, [A, ROOT_ID]) == {}
                assert unit.tree.find_child(namespace_id, ROOT_ID, "a") is None
                assert unit.tree.find_children(namespace_id, [(ROOT_ID, "a")]) == {}
                assert unit.tree.list_folders(namespace_id, [ROOT_ID]) == []
                assert unit.tree.list_children(namespace_id, ROOT_ID, "", 10) == []
                assert unit.tree.list_below(namespace_id, ROOT_ID, "", 10) == ([], "")
                assert unit.tree.list_changes(namespace_id, Seq(0), 10) == []
                assert unit.tree.list_revisions(namespace_id, A, 10) == []
                assert unit.tree.list_deleted(namespace_id, Seq(0), 10) == []
                assert unit.tree.find_record(namespace_id, Seq(1)) is None
                assert not unit.tree.has_manifest(namespace_id, block_id(1))
                assert unit.blocks.find_held(namespace_id, [block_id(1)]) == set()

        metadata.read(work)

    def test_entries_come_back_as_they_were_recorded(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        entries = [
            file(make_file_id(number), f"f{number}")._replace(content=content, mtime_ns=-number)
            for number, content in enumerate(CONTENTS, 1)
        ]
        entries.append(folder(make_file_id(90), "folder"))
        link = Entry(make_file_id(91), ROOT_ID, "l", Kind.SYMLINK, None, 0, 1, "../x\n", Rev(9))
        journalist = Journalist(metadata)
        journalist.create(*entries, link)

        def work(unit: Unit) -> None:
            found = unit.tree.find_entries(NAMESPACE, [e.file_id for e in (*entries, link)])
            assert found == {
                record.entry.file_id: StoredEntry(record.entry, record.seq, record.action)
                for record in journalist.records
            }
            for record in journalist.records:
                assert unit.tree.find_record(NAMESPACE, record.seq) == record
                assert unit.tree.list_revisions(NAMESPACE, record.entry.file_id, 9) == [record]
            for stored in found.values():
                assert type(stored.entry.kind) is Kind
                assert type(stored.action) is Action
                content = stored.entry.content
                assert content is None or type(content.chunked) is bool

        metadata.read(work)

    def test_names_are_kept_to_the_byte_and_told_apart(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        ids = {name: make_file_id(n) for n, name in enumerate(NAMES_THAT_HURT, 1)}
        Journalist(metadata).create(*(file(file_id, name) for name, file_id in ids.items()))

        def work(unit: Unit) -> None:
            for name, file_id in ids.items():
                stored = unit.tree.find_child(NAMESPACE, ROOT_ID, name)
                assert stored is not None
                assert stored.file_id == file_id
            places = [(ROOT_ID, name) for name in (*ids, "nobody", *NAMES_ILLEGAL)]
            found = unit.tree.find_children(NAMESPACE, places)
            assert {name: stored.file_id for (_, name), stored in found.items()} == ids
            listed = unit.tree.list_children(NAMESPACE, ROOT_ID, "", 1_000)
            assert [stored.entry.name for stored in listed] == sorted(ids)
            for name in NAMES_ILLEGAL:
                assert unit.tree.find_child(NAMESPACE, ROOT_ID, name) is None
                unit.tree.list_children(NAMESPACE, ROOT_ID, name, 1)

        metadata.read(work)

    def test_many_are_found_at_once(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        folders = [folder(make_file_id(n), f"d{n}") for n in range(1, 31)]
        files = [
            file(make_file_id(100 + n), f"f{n}", folders[n % 30].file_id) for n in range(1_200)
        ]
        Journalist(metadata).create(*folders, *files)

        def work(unit: Unit) -> None:
            ids = [make_file_id(n) for n in range(2_000)]
            assert unit.tree.find_entries(NAMESPACE, ids).keys() == {
                entry.file_id for entry in (*folders, *files)
            }
            places = [(e.parent_id, e.name) for e in files] + [(make_file_id(1), "nobody")]
            found = unit.tree.find_children(NAMESPACE, places)
            assert {place: stored.file_id for place, stored in found.items()} == {
                (entry.parent_id, entry.name): entry.file_id for entry in files
            }
            assert unit.tree.find_children(OTHER, places) == {}
            assert unit.tree.find_entries(NAMESPACE, [FileId(b""), FileId(b"x" * 32)]) == {}

        metadata.read(work)

    def test_the_folders_above_are_found_with_an_entry(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(folder(A, "a"), folder(B, "b", A), file(C, "c", B), file(D, "d", B))
        journalist.create(folder(E, "e"), file(F, "f", E))
        journalist.append((Action.DELETE, folder(A, "a")))

        def work(unit: Unit) -> None:
            found = unit.tree.find_lineage(NAMESPACE, [C, D, make_file_id(99)])
            assert found.keys() == {A, B, C, D}
            assert found == unit.tree.find_entries(NAMESPACE, [A, B, C, D])
            assert unit.tree.find_lineage(NAMESPACE, []) == {}
            assert unit.tree.find_lineage(OTHER, [C]) == {}

        metadata.read(work)

    def test_a_move_frees_its_place_for_another(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(folder(A, "a"), file(B, "b"), file(C, "c", A))
        journalist.append(
            (Action.MOVE, file(B, "b2", A)), (Action.CREATE, file(D, "b")),
            (Action.MOVE, file(C, "tmp", A)), (Action.MOVE, file(B, "c", A)),
            (Action.MOVE, file(C, "b2", A)),
        )  # fmt: skip

        def work(unit: Unit) -> None:
            in_a = unit.tree.list_children(NAMESPACE, A, "", 10)
            assert [(s.entry.name, s.file_id) for s in in_a] == [("b2", C), ("c", B)]
            stored = unit.tree.find_child(NAMESPACE, ROOT_ID, "b")
            assert stored is not None
            assert stored.file_id == D
            assert unit.tree.head(NAMESPACE) == 8

        metadata.read(work)

    def test_a_deletion_frees_the_place_and_keeps_what_is_below(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(folder(A, "a"), folder(B, "b", A), file(C, "c", B))
        journalist.append((Action.DELETE, folder(A, "a")), (Action.CREATE, folder(D, "a")))

        def work(unit: Unit) -> None:
            found = unit.tree.find_entries(NAMESPACE, [A, B, C])
            assert [found[i].is_deleted for i in (A, B, C)] == [True, False, False]
            stored = unit.tree.find_child(NAMESPACE, ROOT_ID, "a")
            assert stored is not None
            assert stored.file_id == D
            assert [s.file_id for s in unit.tree.list_children(NAMESPACE, A, "", 9)] == [B]
            assert unit.tree.list_folders(NAMESPACE, [A, ROOT_ID, A]) in ([B, D], [D, B])
            # What is below is not living, until the folder returns.
            for top in (A, B):
                assert unit.tree.list_below(NAMESPACE, top, "", 9) == ([], "")

        metadata.read(work)
        journalist.append((Action.DELETE, folder(D, "a")), (Action.RESTORE, folder(A, "a")))
        assert [s.file_id for s in collect_below(metadata, ROOT_ID, 9)] == [A, B, C]

    def test_children_come_in_pages_by_name(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        entries = [file(make_file_id(n), f"f{n:03}") for n in range(1, 26)]
        Journalist(metadata).create(*reversed(entries))

        def work(unit: Unit) -> None:
            found: list[str] = []
            while page := unit.tree.list_children(
                NAMESPACE, ROOT_ID, found[-1] if found else "", 10
            ):
                found += [stored.entry.name for stored in page]
            assert found == [entry.name for entry in entries]

        metadata.read(work)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_all_below_a_folder_comes_once_and_parents_first(
        self, metadata: Metadata, limit: int
    ) -> None:
        add_accounts(metadata)
        Journalist(metadata).create(
            folder(A, "a"), folder(B, "b", A), folder(C, "c", B), file(D, "d", C),
            folder(E, "e", A), folder(F, "f"), file(make_file_id(7), "g", F),
            file(make_file_id(8), "a2"), file(make_file_id(9), "z", A),
            file(make_file_id(10), "a0", A),
        )  # fmt: skip
        for top, ids in [(ROOT_ID, range(1, 11)), (A, [2, 3, 4, 5, 9, 10]), (C, [4]), (D, [])]:
            found = [stored.entry for stored in collect_below(metadata, top, limit)]
            assert sorted(entry.file_id for entry in found) == [make_file_id(n) for n in ids]
            seen = {top}
            for entry in found:
                assert entry.parent_id in seen
                seen.add(entry.file_id)
        assert collect_below(metadata, make_file_id(99), limit) == []

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_what_stays_is_listed_though_folders_vanish_between_pages(
        self, metadata: Metadata, limit: int
    ) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        folders = [folder(make_file_id(n), f"d{n}") for n in range(1, 6)]
        below = [folder(make_file_id(10 + n), "sub", f.file_id) for n, f in enumerate(folders)]
        files = [file(make_file_id(20 + n), "f", f.file_id) for n, f in enumerate(below)]
        journalist.create(*folders, *below, *files)
        gone = [folders[1], folders[2], below[3]]
        page, after = read_page(metadata, ROOT_ID, "", limit)
        found = {stored.file_id for stored in page}
        while after:
            if gone:
                journalist.append((Action.DELETE, gone.pop(0)))
            page, after = read_page(metadata, ROOT_ID, after, limit)
            found |= {stored.file_id for stored in page}
        tree = fold(Tree(), journalist.records)

        assert {entry.file_id for entry in tree.iter_living()} <= found

    @pytest.mark.parametrize(
        "after",
        ["x", "{}", "[", "[1]", '["a/b"', '[["a"]]', '"a"', "[" * 100_000, "null", "ä", "\x00"],
        ids=range(11),
    )
    def test_a_page_that_was_not_given_out_is_refused(self, metadata: Metadata, after: str) -> None:
        add_accounts(metadata)
        with pytest.raises(MalformedPage):
            metadata.read(lambda unit: unit.tree.list_below(NAMESPACE, ROOT_ID, after, 9))
