# SPDX-License-Identifier: Apache-2.0
"""Plans that delete most of what is synced ask first."""

import pytest

from drystone.core import limits
from drystone.core.planning import guards
from drystone.core.planning.guards import Halt, find_halt
from drystone.core.planning.plan import Plan
from drystone.core.planning.policy import Permission
from drystone.core.tree.entry import Kind
from tests.unit.core.planning.trees import View, file, folder, plan


def make_tree(files_count: int, elsewhere_count: int = 0) -> list:
    """Returns a folder 1 full of files, and files beside it."""
    full = [file(number, f"{number}", 1) for number in range(2, 2 + files_count)]
    beside = [file(number, f"{number}") for number in range(50_000, 50_000 + elsewhere_count)]
    return [folder(1, "full"), *full, *beside]


def asked(synced: list, found: Plan, permissions: tuple[Permission, ...] = ()) -> Halt | None:
    view = View(synced)

    def count_below(folder_id: bytes) -> int:
        inside = view.children(folder_id).values()
        below = sum(count_below(e.file_id) for e in inside if e.kind == Kind.FOLDER)
        return below + len(inside)

    return find_halt(found, view, len(synced), count_below, permissions)


def test_folder_emptied_on_the_disk_halts() -> None:
    synced = make_tree(20)

    halt = asked(synced, plan(synced, local=[]))

    assert halt is not None
    assert (halt.code, halt.entries_count, halt.synced_count) == (guards.LOCAL_EMPTIED, 21, 21)
    assert "21 entries" in halt.message


def test_folder_emptied_on_the_server_halts() -> None:
    synced = make_tree(20)

    halt = asked(synced, plan(synced, remote=[]))

    assert halt is not None
    assert halt.code == guards.REMOTE_EMPTIED


def test_a_few_files_may_all_go() -> None:
    synced = make_tree(limits.EMPTIED_ENTRIES_MIN - 2)

    assert asked(synced, plan(synced, local=[])) is None


@pytest.mark.parametrize("side", ["local", "remote"])
def test_mass_deletion_halts(side: str) -> None:
    synced = make_tree(limits.MASS_DELETION_ENTRIES_MIN, 20)

    halt = asked(synced, plan(synced, **{side: synced[-20:]}))

    assert halt is not None
    assert halt.code == f"{side}-mass-deletion"
    assert halt.entries_count == limits.MASS_DELETION_ENTRIES_MIN + 1
    assert f"{halt.entries_count:,} of {halt.synced_count:,}" in halt.message


def test_half_of_what_is_synced_may_go() -> None:
    synced = make_tree(99, 100)

    assert asked(synced, plan(synced, local=synced[-100:])) is None


def test_what_moves_out_of_a_deleted_folder_does_not_count() -> None:
    synced = [
        *make_tree(80, 5),
        folder(90_000, "sub", 1),
        file(90_001, "deep", 90_000),
        folder(90_002, "other", 1),
        file(90_003, "deeper", 90_002),
    ]
    moved = [e._replace(parent_id=bytes(16), name=f"moved {e.name}") for e in synced[1:81]]
    sub = folder(90_000, "sub")
    deeper = file(90_003, "deeper")
    renamed = synced[81]._replace(name="renamed")
    after = [*moved, renamed, *synced[82:86], sub, synced[87], deeper]

    for side in ("local", "remote"):
        found = plan(synced, **{side: after})
        assert any("Delete" in repr(step) or "Discard" in repr(step) for step in found.steps)
        assert asked(synced, found) is None


def test_permission_covers_its_code_up_to_its_count() -> None:
    synced = make_tree(20)
    found = plan(synced, local=[])

    def is_halted(code: str, count: int) -> bool:
        return asked(synced, found, (Permission(code, count),)) is not None

    assert not is_halted(guards.LOCAL_EMPTIED, 21)
    assert is_halted(guards.LOCAL_EMPTIED, 20)
    assert is_halted(guards.REMOTE_EMPTIED, 21)


def test_plan_without_deletions_counts_nothing() -> None:
    def refuse(folder_id: bytes) -> int:
        raise AssertionError("nothing to count")

    found = plan([], local=make_tree(100))
    assert find_halt(found, View([]), 0, refuse) is None


def test_unknown_entry_counts_as_one() -> None:
    synced = make_tree(30)
    found = plan(synced, local=[])

    halt = find_halt(found, View([]), 1, lambda _: 0)

    assert halt is None
