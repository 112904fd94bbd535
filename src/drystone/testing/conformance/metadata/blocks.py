# SPDX-License-Identifier: Apache-2.0
"""What every engine does with the block index."""

import pytest

from drystone.core.ids import (
    BlockId,
)
from drystone.server.ports.collecting import BlocksRemoved
from drystone.server.ports.metadata import (
    Metadata,
    Unit,
)
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    NOWHERE,
    OTHER,
    add_accounts,
    block_id,
    make_places,
    pack_id,
)


class BlocksSuite:
    """The block index and who holds what."""

    def test_blocks_are_located_where_they_came_first(self, metadata: Metadata) -> None:
        first, second = make_places(pack_id(1), range(5)), make_places(pack_id(2), range(3, 9))

        def add(unit: Unit) -> None:
            unit.blocks.add_pack(pack_id(1), 600, first)
            unit.blocks.add_pack(pack_id(2), 700, second)
            unit.blocks.add_pack(pack_id(2), 700, second)

        metadata.write(add)

        def work(unit: Unit) -> None:
            expected = {place.block_id: place for place in (*first, *second[2:])}
            assert unit.blocks.locate([block_id(n) for n in range(20)]) == expected
            assert unit.blocks.locate([]) == {}
            assert dict(unit.blocks.totals()) == {
                "packs": 2, "pack_bytes": 1_300, "blocks": 9, "plain_bytes": 900,
                "stored_bytes": 810,
            }  # fmt: skip
            # Nothing that only compares like a number: faces write them as JSON.
            assert {type(total) for total in unit.blocks.totals().values()} == {int}

        metadata.read(work)

    def test_a_damaged_block_is_nobodys_until_it_comes_again(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        ids = block_id(1), block_id(2), block_id(3)
        first, second = make_places(pack_id(1), [1, 2, 3]), make_places(pack_id(2), [2, 3, 4])
        places = {place.block_id: place for place in first}

        def add(unit: Unit) -> None:
            unit.blocks.add_pack(pack_id(1), 600, first)
            unit.blocks.hold(NAMESPACE, ids[:2], 50)
            unit.blocks.hold(OTHER, ids[2:], 50)

        def damage(unit: Unit) -> None:
            unit.blocks.mark(first[1:], is_damaged=True)
            unit.blocks.mark(first[1:], is_damaged=True)
            # Neither is where that block lies.
            unit.blocks.mark(make_places(pack_id(2), [1]), is_damaged=True)
            unit.blocks.mark(second[2:], is_damaged=True)

        def check_damaged(unit: Unit) -> None:
            assert unit.blocks.find_held(NAMESPACE, ids) == {ids[0]}
            assert unit.blocks.find_leases(NAMESPACE, ids) == {ids[0]: 50}
            assert unit.blocks.locate(ids) == {ids[0]: first[0]}
            assert unit.blocks.find_damaged(NAMESPACE, ids) == {ids[1]: first[1]}
            assert unit.blocks.find_damaged(OTHER, ids) == {ids[2]: first[2]}
            assert unit.blocks.find_damaged(NOWHERE, ids) == {}

        def check_whole(unit: Unit) -> None:
            assert unit.blocks.find_held(NAMESPACE, ids) == set(ids[:2])
            assert unit.blocks.locate(ids) == places
            assert unit.blocks.find_damaged(NAMESPACE, ids) == {}

        metadata.write(add)
        metadata.read(check_whole)
        metadata.write(damage)
        metadata.read(check_damaged)

        def mend(unit: Unit) -> None:
            unit.blocks.mark(first, is_damaged=False)

        metadata.write(mend)
        metadata.read(check_whole)

        metadata.write(damage)
        metadata.write(lambda unit: unit.blocks.add_pack(pack_id(2), 700, second))
        places.update({place.block_id: place for place in second[:2]})
        metadata.read(check_whole)

        # What is found out of the old place is late: the block lies elsewhere now.
        metadata.write(damage)
        metadata.read(check_whole)

    def test_marks_of_a_work_that_fails_are_undone(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        places = make_places(pack_id(1), [1])

        def fail(unit: Unit) -> None:
            unit.blocks.add_pack(pack_id(1), 9, places)
            unit.blocks.mark(places, is_damaged=True)
            raise ValueError("too late")

        metadata.write(lambda unit: unit.blocks.add_pack(pack_id(1), 9, places))
        with pytest.raises(ValueError, match="too late"):
            metadata.write(fail)

        assert metadata.read(lambda unit: unit.blocks.locate([block_id(1)])) != {}

    def test_an_empty_index_totals_nothing(self, metadata: Metadata) -> None:
        totals = metadata.read(lambda unit: unit.blocks.totals())

        assert set(totals.values()) == {0}

    def test_who_holds_a_block_is_told_apart(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        ids = [block_id(n) for n in range(3_000)]

        def add(unit: Unit) -> None:
            unit.blocks.add_pack(pack_id(1), 9, make_places(pack_id(1), range(3_000)))
            unit.blocks.hold(NAMESPACE, ids[:2_000], 50)
            unit.blocks.hold(OTHER, ids[1_999:], 50)
            unit.blocks.hold(OTHER, [], 50)

        metadata.write(add)

        def work(unit: Unit) -> None:
            assert unit.blocks.find_held(NAMESPACE, ids) == set(ids[:2_000])
            assert unit.blocks.find_held(OTHER, [*ids, *ids]) == set(ids[1_999:])
            assert unit.blocks.find_held(NAMESPACE, []) == set()
            assert unit.blocks.find_held(NAMESPACE, [BlockId(b"short")]) == set()

        metadata.read(work)

    def test_a_block_that_is_not_in_the_index_cannot_be_held(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        metadata.write(
            lambda unit: unit.blocks.add_pack(pack_id(1), 9, make_places(pack_id(1), [1]))
        )
        with pytest.raises(BlocksRemoved, match="1 blocks"):
            metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [block_id(1), block_id(2)], 5))
        with pytest.raises(AssertionError):
            metadata.write(lambda unit: unit.blocks.hold(NOWHERE, [block_id(1)], 5))

        held = metadata.read(lambda unit: unit.blocks.find_held(NAMESPACE, [block_id(1)]))
        assert held == set()

    def test_leases_grow_and_are_renewed_only_where_they_are_short(
        self, metadata: Metadata
    ) -> None:
        add_accounts(metadata)
        ids = short, long, none = block_id(1), block_id(2), block_id(3)

        def add(unit: Unit) -> None:
            unit.blocks.add_pack(pack_id(1), 9, make_places(pack_id(1), [1, 2, 3]))
            unit.blocks.hold(NAMESPACE, [short, long], 10)
            unit.blocks.hold(NAMESPACE, [long], 100)
            unit.blocks.hold(NAMESPACE, [long], 20)
            unit.blocks.hold(OTHER, [none], 10)

        def find() -> dict[BlockId, int]:
            return metadata.read(lambda unit: unit.blocks.find_leases(NAMESPACE, ids))

        metadata.write(add)
        assert find() == {short: 10, long: 100}
        metadata.write(lambda unit: unit.blocks.renew(NAMESPACE, ids, below_s=10, until_s=80))
        assert find() == {short: 10, long: 100}
        metadata.write(lambda unit: unit.blocks.renew(NAMESPACE, ids, below_s=11, until_s=80))
        assert find() == {short: 80, long: 100}
