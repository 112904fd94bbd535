# SPDX-License-Identifier: Apache-2.0
"""What every engine does for collecting and scrubbing."""

import pytest

from drystone.core.ids import BlockId, NamespaceId, PackId, Rev, Seq
from drystone.core.journal.record import Action
from drystone.server.ports.collecting import (
    BlocksRemoved,
    PackRemoved,
    RetiredPack,
    RetiredState,
    Root,
    Why,
)
from drystone.server.ports.metadata import Metadata, Unit
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    NOWHERE,
    OTHER,
    A,
    B,
    C,
    Journalist,
    add_accounts,
    block_id,
    file,
    folder,
    make_places,
    pack_id,
)
from drystone.testing.strategies import make_content

FIRST = PackId(b"")


def add_blocks(metadata: Metadata, count: int, pack: int = 1) -> dict[BlockId, int]:
    """Adds a pack with the blocks 1 to ``count``; returns their numbers."""
    places = make_places(pack_id(pack), range(1, count + 1))
    metadata.write(lambda unit: unit.blocks.add_pack(pack_id(pack), 1_000, places))
    ids = [place.block_id for place in places]
    return metadata.read(lambda unit: unit.holders.number(ids))


class HistorySuite:
    """How much of the past is kept."""

    def test_namespaces_are_listed_by_id(self, metadata: Metadata) -> None:
        add_accounts(metadata)

        def work(unit: Unit) -> None:
            nothing = NamespaceId(b"")
            assert unit.history.list_namespaces(nothing, 9) == [NAMESPACE, OTHER]
            assert unit.history.list_namespaces(nothing, 1) == [NAMESPACE]
            assert unit.history.list_namespaces(NAMESPACE, 9) == [OTHER]
            assert unit.history.list_namespaces(OTHER, 9) == []

        metadata.read(work)

    def test_all_records_tell_what_they_refer_to(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        one, two = make_content("one"), make_content("two")
        journalist.create(folder(A, "a"), file(B, "b", A))
        journalist.append((Action.EDIT, file(B, "b", A, "two")._replace(rev=Rev(3))))
        journalist.append((Action.MOVE, file(B, "c", A, "two")._replace(rev=Rev(3))))

        def work(unit: Unit) -> None:
            roots = unit.history.list_roots
            assert roots(NAMESPACE, Seq(0), 9) == (
                [Root(one.root, is_manifest=False), Root(two.root, is_manifest=False)],
                0,
            )
            assert roots(NAMESPACE, Seq(0), 2) == ([Root(one.root, is_manifest=False)], 2)
            # What the record after it replaced comes with that.
            replaced, after = roots(NAMESPACE, Seq(2), 1)
            assert set(replaced) == {
                Root(one.root, is_manifest=False),
                Root(two.root, is_manifest=False),
            }
            assert after == 3
            assert roots(NAMESPACE, Seq(3), 1) == ([Root(two.root, is_manifest=False)], 4)
            assert roots(NAMESPACE, Seq(4), 1) == ([], 0)
            assert roots(NOWHERE, Seq(0), 9) == ([], 0)

        metadata.read(work)

    def test_manifests_and_empty_files_are_told_apart(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        content = make_content("one")._replace(chunked=True)
        empty = file(B, "b", text="")
        Journalist(metadata).create(file(A, "a")._replace(content=content), empty)

        roots, _ = metadata.read(lambda unit: unit.history.list_roots(NAMESPACE, Seq(0), 9))
        assert roots == [Root(content.root, is_manifest=True)]

    def test_history_is_let_go_up_to_the_first_young_record(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        Journalist(metadata).create(file(A, "a"), file(B, "b"), file(C, "c"))

        def let_go(before_ns: int) -> Seq:
            kept_after = metadata.read(lambda u: u.history.find_horizon(NAMESPACE, before_ns))
            metadata.write(lambda unit: unit.history.set_kept_after(NAMESPACE, kept_after))
            return kept_after

        assert metadata.read(lambda unit: unit.history.kept_after(NAMESPACE)) == 0
        assert metadata.read(lambda unit: unit.history.kept_after(NOWHERE)) == 0
        assert let_go(1_001) == 0
        assert let_go(1_003) == 2
        assert let_go(1_000) == 2
        assert let_go(5_000) == 3
        assert metadata.read(lambda unit: unit.history.kept_after(NAMESPACE)) == 3
        assert metadata.read(lambda unit: unit.history.kept_after(OTHER)) == 0
        metadata.write(lambda unit: unit.history.set_kept_after(NAMESPACE, Seq(1)))
        assert metadata.read(lambda unit: unit.history.kept_after(NAMESPACE)) == 1

    def test_what_replaced_a_revision_is_found(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(file(A, "a"), file(B, "b")._replace(rev=Rev(2)))
        moved = file(A, "c")
        edited = file(A, "c", text="two")._replace(rev=Rev(4))
        again = file(A, "c", text="three")._replace(rev=Rev(5))
        journalist.append((Action.MOVE, moved), (Action.EDIT, edited), (Action.EDIT, again))

        def work(unit: Unit) -> None:
            find = unit.history.find_superseding
            assert [find(NAMESPACE, A, Rev(rev)) for rev in (1, 4, 5)] == [4, 5, 0]
            assert find(NAMESPACE, B, Rev(2)) == 0
            assert find(NAMESPACE, C, Rev(1)) == find(NOWHERE, A, Rev(1)) == 0

        metadata.read(work)


class HoldersSuite:
    """Who holds which block."""

    def test_whoever_is_about_to_hold_blocks_is_told_until_that_is_over(
        self, metadata: Metadata
    ) -> None:
        add_accounts(metadata)
        ids = add_blocks(metadata, 2)

        def work(unit: Unit) -> None:
            unit.blocks.hold(NAMESPACE, ids, 50)
            # Where works come one after the other, nobody can be in the middle of it.
            assert len(unit.holders.list_taking()) in (0, 1)

        metadata.write(work)
        assert not metadata.read(lambda unit: unit.holders.list_taking())

    def test_numbers_grow_and_pages_go_by_them(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        numbers = add_blocks(metadata, 3)
        in_order = sorted(numbers.values())
        metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, list(numbers)[:2], 50))

        def work(unit: Unit) -> None:
            assert [line.number for line in unit.holders.list_blocks(0, 2)] == in_order[:2]
            pack = unit.packs.list_packs(0, 9)[0].number
            assert unit.holders.list_blocks(in_order[1], 9) == [(in_order[2], pack, 134)]
            assert unit.history.find_horizon(NOWHERE, 99) == 0
            held = sorted(numbers[b] for b in list(numbers)[:2])
            assert unit.holders.list_holders(NAMESPACE, 0, 9) == [(n, 50) for n in held]
            assert unit.holders.list_holders(NAMESPACE, held[0], 9) == [(held[1], 50)]
            assert unit.holders.list_holders(NAMESPACE, 0, 1) == [(held[0], 50)]
            assert unit.holders.list_holders(OTHER, 0, 9) == []
            assert unit.holders.number([block_id(99)]) == {}

        metadata.read(work)

    def test_a_holder_is_dropped_only_if_nobody_touched_it_since(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        numbers = add_blocks(metadata, 5)
        idle, asked, sent, leased, other = list(numbers)
        every = list(numbers.values())

        def hold(unit: Unit) -> None:
            unit.blocks.hold(NAMESPACE, [idle, asked, sent], 50)
            unit.blocks.hold(NAMESPACE, [leased], 500)
            unit.blocks.hold(OTHER, [other], 50)

        metadata.write(hold)
        assert metadata.write(lambda unit: unit.holders.let_go(NAMESPACE, every, 50)) == 0
        assert metadata.write(lambda unit: unit.holders.let_go(NAMESPACE, every, 100)) == 3
        assert metadata.write(lambda unit: unit.holders.let_go(NAMESPACE, every, 110)) == 0
        # They are held all the same, and whoever looks sees that the lease has ended.
        leases = metadata.read(lambda unit: unit.blocks.find_leases(NAMESPACE, [idle]))
        assert leases == {idle: -100}
        metadata.write(lambda unit: unit.blocks.renew(NAMESPACE, [asked], 120, 200))
        metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [sent], 90))
        assert metadata.write(lambda unit: unit.holders.drop_holders(NAMESPACE, every, 99)) == 0
        assert metadata.write(lambda unit: unit.holders.drop_holders(NAMESPACE, every, 100)) == 1

        def work(unit: Unit) -> None:
            assert unit.blocks.find_held(NAMESPACE, list(numbers)) == {asked, sent, leased}
            assert unit.blocks.find_held(OTHER, list(numbers)) == {other}

        metadata.read(work)

    def test_a_block_is_dropped_only_while_it_is_noted_as_unheld(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        numbers = add_blocks(metadata, 4)
        gone, revived, forgotten, damaged = list(numbers)
        places = metadata.read(lambda unit: unit.blocks.locate(list(numbers)))
        every = list(numbers.values())
        metadata.write(lambda unit: unit.blocks.mark([places[damaged]], is_damaged=True))
        assert metadata.write(lambda unit: unit.holders.drop_blocks(every, 999)) == (0, 0)
        assert metadata.write(lambda unit: unit.holders.note_unheld(every, 100)) == 4
        assert metadata.write(lambda unit: unit.holders.note_unheld(every, 200)) == 0
        metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [revived], 50))
        metadata.write(lambda unit: unit.holders.forget_unheld([numbers[forgotten]]))

        def list_unheld(after: int, upto_s: int, limit: int) -> list[int]:
            return metadata.read(lambda unit: unit.holders.list_unheld(after, upto_s, limit))

        due = sorted([numbers[gone], numbers[damaged]])
        assert list_unheld(0, 99, 9) == []
        assert list_unheld(0, 100, 9) == due
        assert list_unheld(0, 100, 1) == due[:1]
        assert list_unheld(due[0], 100, 9) == due[1:]
        assert metadata.write(lambda unit: unit.holders.drop_blocks(every, 99)) == (0, 0)
        assert metadata.write(lambda unit: unit.holders.drop_blocks(every, 100)) == (2, 2 * 134)
        assert list_unheld(0, 100, 9) == []

        def work(unit: Unit) -> None:
            assert set(unit.holders.number(list(numbers))) == {revived, forgotten}
            assert set(unit.blocks.locate(list(numbers))) == {revived, forgotten}
            assert unit.packs.list_damaged(9) == []

        metadata.read(work)
        with pytest.raises(BlocksRemoved):
            metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [gone], 50))
        add_blocks(metadata, 4, pack=2)
        metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [gone], 50))

    def test_holders_are_taken_back(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        numbers = add_blocks(metadata, 3)
        held, back, other = list(numbers)
        metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [held], 50))
        metadata.write(lambda unit: unit.holders.note_unheld(list(numbers.values()), 1))
        wanted = [numbers[held], numbers[back], 999]

        assert metadata.write(lambda u: u.holders.take_back(NAMESPACE, wanted, 70)) == 1
        leases = metadata.read(lambda u: u.blocks.find_leases(NAMESPACE, list(numbers)))
        assert leases == {held: 50, back: 70}
        assert metadata.read(lambda u: u.holders.list_unheld(0, 9, 9)) == [numbers[other]]


class PacksSuite:
    """Packs, and those on their way out."""

    def test_packs_tell_what_of_them_is_in_use(self, metadata: Metadata) -> None:
        add_blocks(metadata, 3)
        add_blocks(metadata, 5, pack=2)
        places = metadata.read(lambda unit: unit.packs.list_pack_blocks(pack_id(2)))
        metadata.write(lambda unit: unit.blocks.mark(places[:1], is_damaged=True))

        def work(unit: Unit) -> None:
            one, two = unit.packs.list_packs(0, 9)
            assert one[1:] == (pack_id(1), 1_000, 0, 3, 3 * 134)
            assert two[1:] == (pack_id(2), 1_000, 0, 2, 134)
            assert unit.packs.list_packs(0, 1) == [one]
            assert unit.packs.list_packs(one.number, 9) == [two]
            assert [place.block_id for place in places] == [block_id(4), block_id(5)]
            assert unit.packs.list_damaged(9) == places[:1]
            assert unit.packs.list_pack_blocks(pack_id(9)) == []

        metadata.read(work)

    def test_the_pack_not_looked_at_for_longest_is_first(self, metadata: Metadata) -> None:
        for number in (1, 2, 3):
            places = make_places(pack_id(number), [number])
            metadata.write(lambda u, n=number, p=places: u.blocks.add_pack(pack_id(n), 9, p))  # type: ignore[misc]
        metadata.write(lambda unit: unit.packs.note_verified(pack_id(1), 70))
        metadata.write(lambda unit: unit.packs.note_verified(pack_id(3), 60))

        def listed(upto_s: int, limit: int) -> list[tuple[PackId, int]]:
            lines = metadata.read(lambda unit: unit.packs.list_unverified(upto_s, limit))
            return [(line.pack_id, line.verified_s) for line in lines]

        assert listed(70, 9) == [(pack_id(2), 0), (pack_id(3), 60), (pack_id(1), 70)]
        assert listed(60, 9) == [(pack_id(2), 0), (pack_id(3), 60)]
        assert listed(70, 1) == [(pack_id(2), 0)]

        def work(unit: Unit) -> None:
            assert unit.packs.measure_verified(59) == (1, 60), "never is before all times"
            assert unit.packs.measure_verified(60) == (2, 60)
            assert unit.packs.measure_verified(70) == (3, 60)

        metadata.read(work)

    def test_of_no_packs_none_is_to_be_verified(self, metadata: Metadata) -> None:
        assert metadata.read(lambda unit: unit.packs.measure_verified(1 << 40)) == (0, 0)

    def test_blocks_move_unless_they_moved_or_were_damaged(self, metadata: Metadata) -> None:
        add_blocks(metadata, 3)
        old = metadata.read(lambda unit: unit.packs.list_pack_blocks(pack_id(1)))
        new = [place._replace(offset_bytes=place.offset_bytes + 7) for place in old]
        new = [place._replace(pack_id=pack_id(2)) for place in new]
        metadata.write(lambda unit: unit.blocks.mark(old[2:], is_damaged=True))
        stale = old[1]._replace(offset_bytes=1)
        moves = [(old[0], new[0]), (stale, new[1]), (old[2], new[2])]

        assert metadata.write(lambda unit: unit.packs.move_blocks(pack_id(2), 500, moves)) == 1
        assert metadata.read(lambda unit: unit.packs.list_pack_blocks(pack_id(2))) == [new[0]]
        assert metadata.read(lambda unit: unit.packs.list_pack_blocks(pack_id(1))) == old[1:]

    def test_a_pack_in_use_is_not_retired(self, metadata: Metadata) -> None:
        numbers = add_blocks(metadata, 1)

        def retire() -> bool:
            return metadata.write(lambda u: u.packs.retire(pack_id(1), 1_000, Why.EMPTY, 100))

        assert retire() is False
        metadata.write(lambda unit: unit.holders.note_unheld(list(numbers.values()), 1))
        metadata.write(lambda unit: unit.holders.drop_blocks(list(numbers.values()), 1))
        assert retire() is True
        assert retire() is False
        expected = RetiredPack(pack_id(1), 1_000, Why.EMPTY, RetiredState.KEPT, 100)

        def work(unit: Unit) -> None:
            assert unit.packs.list_retired(FIRST, 9) == [expected]
            assert unit.packs.list_retired(pack_id(1), 9) == []
            assert unit.packs.list_packs(0, 9) == []
            assert unit.packs.find_unknown([pack_id(1), pack_id(2)]) == {pack_id(2)}
            assert unit.blocks.totals()["packs"] == 0

        metadata.read(work)

    def test_a_retired_pack_that_comes_again_is_back(self, metadata: Metadata) -> None:
        metadata.write(lambda unit: unit.packs.retire(pack_id(1), 1_000, Why.ORPHAN, 100))
        add_blocks(metadata, 2)

        assert metadata.read(lambda unit: unit.packs.list_retired(FIRST, 9)) == []
        assert not metadata.write(lambda unit: unit.packs.begin_removal(pack_id(1), 999, 999))

    def test_while_an_object_is_removed_its_pack_cannot_come(self, metadata: Metadata) -> None:
        metadata.write(lambda unit: unit.packs.retire(pack_id(1), 1_000, Why.ORPHAN, 100))

        def begin(upto_s: int) -> bool:
            return metadata.write(lambda unit: unit.packs.begin_removal(pack_id(1), upto_s, 200))

        def come(*, is_there: bool) -> None:
            places = make_places(pack_id(1), [1])
            metadata.write(lambda u: u.blocks.add_pack(pack_id(1), 9, places, is_there=is_there))

        assert not begin(99)
        assert begin(100)
        assert begin(0)
        for is_there in (False, True):
            with pytest.raises(PackRemoved) as raised:
                come(is_there=is_there)
            assert not raised.value.is_over
        metadata.write(lambda unit: unit.packs.end_removal(pack_id(1), 300))
        assert not begin(999)
        with pytest.raises(PackRemoved) as raised:
            come(is_there=False)
        assert raised.value.is_over
        with pytest.raises(PackRemoved):
            metadata.write(lambda unit: unit.packs.move_blocks(pack_id(1), 9, []))
        assert metadata.read(lambda unit: unit.holders.number([block_id(1)])) == {}
        come(is_there=True)
        assert metadata.read(lambda unit: unit.packs.list_retired(FIRST, 9)) == []

    def test_what_was_removed_is_forgotten_in_time(self, metadata: Metadata) -> None:
        for number in (1, 2, 3):
            metadata.write(lambda u, n=number: u.packs.retire(pack_id(n), 9, Why.ORPHAN, 1))  # type: ignore[misc]
        for number, at_s in ((1, 100), (2, 200)):
            metadata.write(lambda u, n=number: u.packs.begin_removal(pack_id(n), 1, 50))  # type: ignore[misc]
            metadata.write(lambda u, n=number, at=at_s: u.packs.end_removal(pack_id(n), at))  # type: ignore[misc]

        assert metadata.write(lambda unit: unit.packs.forget_removed(150)) == 1
        left = metadata.read(lambda unit: unit.packs.list_retired(FIRST, 9))
        assert [pack.pack_id for pack in left] == [pack_id(2), pack_id(3)]
