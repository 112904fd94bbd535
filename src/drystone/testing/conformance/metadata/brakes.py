# SPDX-License-Identifier: Apache-2.0
"""What every engine does with what devices destroy, and with their brakes."""

from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal.record import Action
from drystone.server.ports.metadata import Brake, Destroyed, Metadata, TreeUnit, Unit
from drystone.testing.conformance.metadata.samples import (
    LAPTOP,
    NAMESPACE,
    NOWHERE,
    OTHER,
    PHONE,
    A,
    B,
    C,
    D,
    E,
    F,
    Journalist,
    add_accounts,
    file,
    folder,
)

_MINUTE_NS = 60 * NS_PER_S


class BrakesSuite:
    """Sums of what was destroyed; brakes; how many entries there are."""

    def test_sums_are_per_namespace_device_and_time(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        laptop, phone = LAPTOP.device_id, PHONE.device_id

        def work(unit: Unit) -> None:
            brakes = unit.brakes
            brakes.note_destroyed(NAMESPACE, laptop, Destroyed(3, 2), 5 * _MINUTE_NS, 0)
            brakes.note_destroyed(NAMESPACE, laptop, Destroyed(4, 2), 5 * _MINUTE_NS + 1, 0)
            brakes.note_destroyed(NAMESPACE, laptop, Destroyed(10, 2), 9 * _MINUTE_NS, 0)
            brakes.note_destroyed(NAMESPACE, phone, Destroyed(100, 2), 5 * _MINUTE_NS, 0)
            brakes.note_destroyed(OTHER, laptop, Destroyed(1_000, 2), 5 * _MINUTE_NS, 0)

        metadata.write(work)

        def count(since_ns: int) -> tuple[int, int]:
            return metadata.read(
                lambda unit: unit.brakes.count_destroyed(NAMESPACE, laptop, since_ns)
            )

        sums = [count(m * _MINUTE_NS) for m in (0, 5, 6, 9, 10)]
        assert sums == [(17, 6), (17, 6), (10, 2), (10, 2), (0, 0)]
        assert not any(metadata.read(lambda u: u.brakes.count_destroyed(NOWHERE, laptop, 0)))

    def test_what_is_too_old_is_forgotten(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        device = LAPTOP.device_id

        def work(unit: Unit) -> list[Destroyed]:
            unit.brakes.note_destroyed(NAMESPACE, device, Destroyed(3, 2), _MINUTE_NS, 0)
            unit.brakes.note_destroyed(NAMESPACE, PHONE.device_id, Destroyed(5, 2), _MINUTE_NS, 0)
            unit.brakes.note_destroyed(
                NAMESPACE, device, Destroyed(4, 2), 9 * _MINUTE_NS, 8 * _MINUTE_NS
            )
            devices = (device, PHONE.device_id)
            return [unit.brakes.count_destroyed(NAMESPACE, d, 0) for d in devices]

        assert metadata.write(work) == [(4, 2), (5, 2)]

    def test_brakes_are_kept_and_replaced(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        brake = Brake(LAPTOP.device_id, 7, 8, 9, 10)
        other = Brake(PHONE.device_id, 1 << 62, 2, 3, 1 << 62)

        def save(unit: Unit) -> None:
            unit.brakes.save_brake(NAMESPACE, Brake(LAPTOP.device_id, 1, 2, 3, 4))
            unit.brakes.save_brake(NAMESPACE, brake)
            unit.brakes.save_brake(NAMESPACE, other)

        metadata.write(save)

        def look(unit: Unit) -> None:
            assert unit.brakes.find_brake(NAMESPACE, LAPTOP.device_id) == brake
            assert unit.brakes.find_brake(OTHER, LAPTOP.device_id) is None
            assert unit.brakes.find_brake(NOWHERE, LAPTOP.device_id) is None
            assert unit.brakes.list_brakes(NAMESPACE) == [brake, other]
            assert unit.brakes.list_brakes(OTHER) == []

        metadata.read(look)

    def test_entries_are_counted_everywhere_and_below(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(
            folder(A, "a"), folder(B, "b", A), file(C, "c", B), file(D, "d", A), file(E, "e")
        )
        late = file(F, "f", B)._replace(rev=Rev(9))
        journalist.create(late)
        journalist.append((Action.DELETE, file(D, "d", A)))

        def look(unit: Unit) -> None:
            tree = unit.tree
            limits = [tree.count_below(NAMESPACE, ROOT_ID, Seq(9), n) for n in (1, 5, 9)]
            assert limits == [1, 5, 5]
            for nothing in (OTHER, NOWHERE):
                assert not tree.count_below(nothing, ROOT_ID, Seq(9), 9)
            assert [count(tree, i, 9) for i in (A, B, C, ROOT_ID)] == [3, 2, 0, 5]
            assert [count(tree, i, 8) for i in (A, B, C, ROOT_ID)] == [2, 1, 0, 4]

        def count(tree: TreeUnit, folder_id: FileId, upto: int) -> int:
            return tree.count_below(NAMESPACE, folder_id, Seq(upto), 99)

        metadata.read(look)
        journalist.append((Action.DELETE, folder(A, "a")))
        # What is in a deleted folder is not marked.
        assert metadata.read(lambda unit: unit.tree.count_below(NAMESPACE, A, Seq(9), 9)) == 3
