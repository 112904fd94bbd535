# SPDX-License-Identifier: Apache-2.0
"""What every engine does with records, and what is remembered beside them."""

import pytest

from drystone.core import limits
from drystone.core.ids import (
    ROOT_ID,
    FileId,
    NamespaceId,
    Seq,
)
from drystone.core.instant import NS_PER_S
from drystone.core.journal.eras import ERA_ID_BYTES, NO_MARK, Era, make_mark
from drystone.core.journal.record import Action, Record
from drystone.server.ports.metadata import (
    JournalEnd,
    Metadata,
    Unit,
)
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    BOB,
    LAPTOP,
    NAMESPACE,
    OTHER,
    PHONE,
    A,
    B,
    C,
    D,
    Journalist,
    add_accounts,
    block_id,
    file,
    folder,
)
from drystone.testing.strategies import (
    make_file_id,
)


class JournalSuite:
    """Records and what is read from them: changes, revisions, deletions; answers, manifests."""

    def test_seqs_that_do_not_follow_are_a_broken_invariant(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(file(A, "a"))

        def record(seq: int, number: int) -> Record:
            entry = file(make_file_id(number), f"f{number}")
            return Record(Seq(seq), Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)

        for records in (
            [record(1, 2)], [record(3, 2)], [record(2, 2), record(4, 3)],
            [record(2, 2), record(2, 3)],
        ):  # fmt: skip
            with pytest.raises(AssertionError):
                metadata.write(lambda unit, r=records: unit.tree.append(NAMESPACE, r))  # type: ignore[misc]
        with pytest.raises(AssertionError):
            metadata.write(
                lambda unit: unit.tree.append(
                    NAMESPACE, [record(2, 2)._replace(entry=file(B, "a"))]
                )
            )

        def work(unit: Unit) -> None:
            assert unit.tree.head(NAMESPACE) == 1
            assert len(unit.tree.list_changes(NAMESPACE, Seq(0), 9)) == 1

        metadata.read(work)
        metadata.write(lambda unit: unit.tree.append(NAMESPACE, []))
        metadata.read(work)

    def test_changes_come_once_each_in_the_order_of_their_last_seq(
        self, metadata: Metadata
    ) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(folder(A, "a"), file(B, "b"), file(C, "c"), file(D, "d"))
        journalist.append(
            (Action.EDIT, file(B, "b", text="two")), (Action.DELETE, file(C, "c")),
            (Action.EDIT, file(B, "b", text="three")),
        )  # fmt: skip

        def work(unit: Unit) -> None:
            def listed(after: int, limit: int) -> list[tuple[FileId, int]]:
                changes = unit.tree.list_changes(NAMESPACE, Seq(after), limit)
                return [(stored.file_id, stored.seq) for stored in changes]

            assert listed(0, 9) == [(A, 1), (D, 4), (C, 6), (B, 7)]
            assert listed(0, 2) == [(A, 1), (D, 4)]
            assert listed(4, 2) == [(C, 6), (B, 7)]
            assert listed(7, 9) == []
            last = unit.tree.list_changes(NAMESPACE, Seq(5), 9)
            assert [stored.is_deleted for stored in last] == [True, False]

        metadata.read(work)

    def test_revisions_come_newest_first(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(file(A, "a"), file(B, "b"))
        journalist.append((Action.EDIT, file(A, "a", text="two")), (Action.MOVE, file(A, "z")))
        journalist.append((Action.DELETE, file(A, "z")))
        journalist.append((Action.RESTORE, file(A, "y")), (Action.EDIT, file(A, "y", text="three")))
        expected = [record for record in journalist.records if record.entry.file_id == A][::-1]

        def work(unit: Unit) -> None:
            assert unit.tree.list_revisions(NAMESPACE, A, 99) == expected
            assert unit.tree.list_revisions(NAMESPACE, A, 2) == expected[:2]
            assert len(unit.tree.list_revisions(NAMESPACE, B, 99)) == 1

        metadata.read(work)

    def test_deleted_entries_come_newest_first_in_pages(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(file(A, "a"), file(B, "b"), file(C, "c"), file(D, "d"))
        journalist.append(
            (Action.DELETE, file(B, "b")), (Action.DELETE, file(A, "a")),
            (Action.DELETE, file(C, "c")), (Action.RESTORE, file(C, "c")),
        )  # fmt: skip

        def work(unit: Unit) -> None:
            records = journalist.records
            assert unit.tree.list_deleted(NAMESPACE, Seq(0), 9) == [records[5], records[4]]
            assert unit.tree.list_deleted(NAMESPACE, Seq(0), 1) == [records[5]]
            assert unit.tree.list_deleted(NAMESPACE, Seq(6), 9) == [records[4]]

        metadata.read(work)

    def test_namespaces_do_not_see_each_other(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        Journalist(metadata).create(folder(A, "a"), file(B, "b", A))
        Journalist(metadata, OTHER).create(file(A, "a"))

        def work(unit: Unit) -> None:
            assert unit.tree.head(NAMESPACE) == 2
            assert unit.tree.head(OTHER) == 1
            assert unit.tree.find_entries(OTHER, [A, B])[A].entry == file(A, "a")
            assert unit.tree.list_below(OTHER, ROOT_ID, "", 9)[0][0].entry == file(A, "a")
            assert len(unit.tree.list_changes(OTHER, Seq(0), 9)) == 1

        metadata.read(work)

    def test_the_end_of_a_journal_tells_it_from_all_others(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        mine = ANNA.account_id

        def find_end() -> JournalEnd | None:
            return metadata.read(lambda unit: unit.tree.find_end(mine, NAMESPACE))

        assert find_end() == JournalEnd(Seq(0), NO_MARK, b"")
        journalist.create(folder(make_file_id(1), "before eras"))
        last = metadata.read(lambda unit: unit.tree.find_record(NAMESPACE, Seq(1)))
        assert last is not None
        assert find_end() == JournalEnd(Seq(1), make_mark(last), b"")
        eras = [Era(bytes([n]) * ERA_ID_BYTES, Seq(n)) for n in (2, 3)]
        for n, era in enumerate(eras, 2):
            metadata.write(lambda unit, era=era: unit.tree.begin_era(NAMESPACE, era))  # type: ignore[misc]
            # What is not written yet is no part of the journal.
            assert (end := find_end()) is not None
            assert end.seq == n - 1
            assert end.era_id == (b"" if n == 2 else eras[0].era_id)
            journalist.create(folder(make_file_id(n), str(n)))
        last = metadata.read(lambda unit: unit.tree.find_record(NAMESPACE, Seq(3)))
        assert last is not None
        assert find_end() == JournalEnd(Seq(3), make_mark(last), eras[1].era_id)

    def test_no_end_is_told_to_who_may_not_open(self, metadata: Metadata) -> None:
        add_accounts(metadata)

        def work(unit: Unit) -> None:
            assert unit.tree.find_end(BOB.account_id, NAMESPACE) is None
            assert unit.tree.find_end(ANNA.account_id, OTHER) is None
            unknown = NamespaceId(make_file_id(99))
            assert unit.tree.find_end(ANNA.account_id, unknown) is None

        metadata.read(work)

    def test_eras_are_listed_newest_first_up_to_a_seq(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        eras = [Era(bytes([n]) * ERA_ID_BYTES, Seq(2 * n + 1)) for n in range(3)]
        for n, era in enumerate(eras):
            metadata.write(lambda unit, era=era: unit.tree.begin_era(NAMESPACE, era))  # type: ignore[misc]
            journalist.create(*(folder(make_file_id(10 * n + i), f"{n}{i}") for i in (1, 2)))

        def work(unit: Unit) -> None:
            assert unit.tree.list_eras(NAMESPACE, Seq(6), 9) == eras[::-1]
            assert unit.tree.list_eras(NAMESPACE, Seq(5), 2) == [eras[2], eras[1]]
            assert unit.tree.list_eras(NAMESPACE, Seq(4), 9) == [eras[1], eras[0]]
            assert unit.tree.list_eras(NAMESPACE, Seq(0), 9) == []
            assert unit.tree.list_eras(OTHER, Seq(6), 9) == []

        metadata.read(work)

    def test_an_answer_is_kept_for_its_key_until_its_time_has_passed(
        self, metadata: Metadata
    ) -> None:
        add_accounts(metadata)
        device = LAPTOP.device_id
        span_ns = limits.IDEMPOTENCY_S * NS_PER_S

        def keep(key: str, answer: bytes, now_ns: int) -> None:
            def work(unit: Unit) -> None:
                unit.tree.keep_idempotent(NAMESPACE, device, key, answer, now_ns + span_ns)

            metadata.write(work)

        def find(key: str, namespace_id: NamespaceId = NAMESPACE) -> bytes | None:
            return metadata.read(lambda u: u.tree.find_idempotent(namespace_id, device, key))

        keep("k", b"first", 1_000)
        keep("l", b"second", 2_000)
        assert (find("k"), find("l"), find("m"), find("k", OTHER)) == (
            b"first", b"second", None, None,
        )  # fmt: skip
        assert metadata.read(
            lambda u: u.tree.find_idempotent(NAMESPACE, PHONE.device_id, "k") is None
        )
        keep("k", b"again", 3_000)
        assert find("k") == b"again"
        keep("m", b"third", 2_000 + span_ns)
        assert (find("k"), find("l"), find("m")) == (b"again", None, b"third")

    def test_a_manifest_that_was_checked_is_remembered(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        for _ in range(2):
            metadata.write(
                lambda unit: unit.tree.keep_manifest(NAMESPACE, block_id(1), 10, b"h" * 32, 3)
            )

        def work(unit: Unit) -> None:
            assert unit.tree.has_manifest(NAMESPACE, block_id(1))
            assert not unit.tree.has_manifest(NAMESPACE, block_id(2))
            assert not unit.tree.has_manifest(OTHER, block_id(1))

        metadata.read(work)
