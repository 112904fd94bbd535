# SPDX-License-Identifier: Apache-2.0
"""What every engine does with what devices destroy, and with their brakes."""

from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal.record import Action
from drystone.server.ports.metadata import Brake, Metadata, TreeUnit, Unit
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
            brakes.note_destroyed(NAMESPACE, laptop, 3, 5 * _MINUTE_NS, 0)
            brakes.note_destroyed(NAMESPACE, laptop, 4, 5 * _MINUTE_NS + 1, 0)
            brakes.note_destroyed(NAMESPACE, laptop, 10, 9 * _MINUTE_NS, 0)
            brakes.note_destroyed(NAMESPACE, phone, 100, 5 * _MINUTE_NS, 0)
            brakes.note_destroyed(OTHER, laptop, 1_000, 5 * _MINUTE_NS, 0)

        metadata.write(work)

        def count(since_ns: int) -> int:
            return metadata.read(
                lambda unit: unit.brakes.count_destroyed(NAMESPACE, laptop, since_ns)
            )

        assert [count(m * _MINUTE_NS) for m in (0, 5, 6, 9, 10)] == [17, 17, 10, 10, 0]
        assert not metadata.read(lambda u: u.brakes.count_destroyed(NOWHERE, laptop, 0))

    def test_what_is_too_old_is_forgotten(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        device = LAPTOP.device_id

        def work(unit: Unit) -> list[int]:
            unit.brakes.note_destroyed(NAMESPACE, device, 3, _MINUTE_NS, 0)
            unit.brakes.note_destroyed(NAMESPACE, PHONE.device_id, 5, _MINUTE_NS, 0)
            unit.brakes.note_destroyed(NAMESPACE, device, 4, 9 * _MINUTE_NS, 8 * _MINUTE_NS)
            devices = (device, PHONE.device_id)
            return [unit.brakes.count_destroyed(NAMESPACE, d, 0) for d in devices]

        assert metadata.write(work) == [4, 5]

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
            assert [tree.count_entries(NAMESPACE, limit) for limit in (1, 5, 9)] == [1, 5, 5]
            assert tree.count_entries(OTHER, 9) == tree.count_entries(NOWHERE, 9) == 0
            assert [count(tree, i, 9) for i in (A, B, C, ROOT_ID)] == [3, 2, 0, 5]
            assert [count(tree, i, 8) for i in (A, B, C, ROOT_ID)] == [2, 1, 0, 4]

        def count(tree: TreeUnit, folder_id: FileId, upto: int) -> int:
            return tree.count_below(NAMESPACE, folder_id, Seq(upto))

        metadata.read(look)
        journalist.append((Action.DELETE, folder(A, "a")))
        # What is in a deleted folder is not marked.
        assert metadata.read(lambda unit: unit.tree.count_below(NAMESPACE, A, Seq(9))) == 3
