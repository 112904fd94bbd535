# SPDX-License-Identifier: Apache-2.0
"""What every engine promises about units of work."""

import threading
from collections.abc import Callable

import pytest

from drystone.core.ids import (
    ROOT_ID,
    AccountId,
    NamespaceId,
    Seq,
)
from drystone.core.journal.record import Action, Record
from drystone.server.ports.metadata import (
    Account,
    AccountExists,
    Metadata,
    Unit,
)
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    BOB,
    LAPTOP,
    NAMESPACE,
    PHONE,
    A,
    B,
    F,
    Journalist,
    add_accounts,
    block_id,
    file,
    folder,
    make_places,
    pack_id,
)
from drystone.testing.strategies import (
    make_file_id,
)


class TransactionsSuite:
    """Atomicity, groups, consistent reading, threads."""

    def test_a_work_that_raises_leaves_nothing(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        journalist = Journalist(metadata)
        journalist.create(folder(A, "a"), file(B, "b"))

        def work(unit: Unit) -> None:
            change_everything(unit, 3)
            raise LookupError("the work failed")

        before = metadata.read(describe)
        with pytest.raises(LookupError, match="the work failed"):
            metadata.write(work)

        assert metadata.read(describe) == before
        # What was given out in the work is given out again.
        metadata.write(lambda unit: change_everything(unit, 3))
        assert metadata.read(describe) != before

    def test_a_work_sees_what_it_has_written_and_returns_its_result(
        self, metadata: Metadata
    ) -> None:
        def work(unit: Unit) -> tuple[str, Account | None]:
            unit.accounts.add_account(ANNA)
            return "done", unit.accounts.find_account("anna")

        assert metadata.write(work) == ("done", ANNA)

    def test_in_a_group_only_what_raises_is_undone(self, metadata: Metadata) -> None:
        add_accounts(metadata)

        def fail(unit: Unit) -> None:
            change_everything(unit, 1)
            raise LookupError("the work failed")

        def refuse(unit: Unit) -> None:
            unit.accounts.add_account(BOB._replace(account_id=AccountId(b"C" * 16)))

        def succeed(unit: Unit) -> int:
            change_everything(unit, 1)
            return unit.tree.head(NAMESPACE)

        def look(unit: Unit) -> int:
            return unit.tree.head(NAMESPACE)

        results = metadata.write_group([look, fail, refuse, succeed, fail, look])

        assert [results[i] for i in (0, 3, 5)] == [0, 1, 1]
        # By the fifth work the account of the fourth is there.
        kinds = [type(results[i]) for i in (1, 2, 4)]
        assert kinds == [LookupError, AccountExists, AccountExists]
        assert metadata.read(look) == 1
        assert metadata.write_group([]) == []

    def test_a_group_in_which_all_raises_leaves_nothing(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        before = metadata.read(describe)

        def fail(unit: Unit) -> None:
            change_everything(unit, 1)
            raise LookupError("the work failed")

        assert len(metadata.write_group([fail, fail])) == 2
        assert metadata.read(describe) == before

    def test_what_interrupts_a_group_undoes_it_whole(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        before = metadata.read(describe)

        def interrupt(_: Unit) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            metadata.write_group([lambda unit: change_everything(unit, 1), interrupt])
        assert metadata.read(describe) == before

    def test_a_reading_work_must_not_write(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        before = metadata.read(describe)
        with pytest.raises(AssertionError):
            metadata.read(lambda unit: change_everything(unit, 1))

        assert metadata.read(describe) == before
        metadata.write(lambda unit: change_everything(unit, 1))

    def test_a_reading_work_may_raise(self, metadata: Metadata) -> None:
        def work(_: Unit) -> None:
            raise LookupError("the work failed")

        for _ in range(3):
            with pytest.raises(LookupError, match="the work failed"):
                metadata.read(work)
        assert metadata.read(lambda unit: unit.tree.head(NAMESPACE)) == 0

    def test_readers_see_all_of_a_work_or_nothing(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        rounds = 40
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(rounds):
                    metadata.write(lambda unit, n=number: append_pair(unit, n))  # type: ignore[misc]
            finally:
                done.set()

        def read() -> None:
            head = 0
            while head < 2 * rounds and not done.is_set():
                head = metadata.read(check_pairs)

        run_together([write, read, read])

        assert metadata.read(check_pairs) == 2 * rounds

    def test_works_of_many_threads_come_one_after_the_other(self, metadata: Metadata) -> None:
        add_accounts(metadata)

        def add_ten(start: int) -> None:
            for number in range(start, start + 10):
                metadata.write(lambda unit, n=number: append_pair(unit, n))  # type: ignore[misc]

        run_together([lambda s=start: add_ten(s) for start in range(0, 40, 10)])  # type: ignore[misc]

        assert metadata.read(check_pairs) == 80

    def test_closing_twice_is_no_error(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        metadata.close()
        metadata.close()


def change_everything(unit: Unit, seq: int) -> None:
    """Writes into every table there is; the next seq of the namespace is given."""
    unit.accounts.add_account(
        Account(AccountId(b"Z" * 16), "zoe", "hash", NamespaceId(b"z" * 16), 3)
    )
    unit.accounts.save_account(ANNA._replace(password_hash="changed"))  # noqa: S106
    unit.accounts.add_device(PHONE)
    unit.accounts.save_device(LAPTOP._replace(seen_ns=99))
    entry = file(F, "new")
    record = Record(Seq(seq), Action.CREATE, entry, BOB.account_id, PHONE.device_id, 1)
    unit.tree.append(NAMESPACE, [record])
    unit.tree.keep_idempotent(NAMESPACE, LAPTOP.device_id, "k", b"answer", 1)
    unit.tree.keep_manifest(NAMESPACE, block_id(1), 10, b"h" * 32, 3)
    unit.blocks.add_pack(pack_id(1), 9, make_places(pack_id(1), [1]))
    unit.blocks.hold(NAMESPACE, [block_id(1)], 5)
    unit.blocks.renew(NAMESPACE, [block_id(1)], 6, 7)


def describe(unit: Unit) -> tuple[object, ...]:
    """Returns all that ``change_everything`` can have changed."""
    return (
        unit.accounts.list_accounts(),
        unit.accounts.list_devices(ANNA.account_id),
        unit.tree.head(NAMESPACE),
        unit.tree.list_changes(NAMESPACE, Seq(0), 99),
        unit.tree.list_below(NAMESPACE, ROOT_ID, "", 99),
        unit.tree.list_revisions(NAMESPACE, F, 99),
        unit.tree.find_idempotent(NAMESPACE, LAPTOP.device_id, "k"),
        unit.tree.has_manifest(NAMESPACE, block_id(1)),
        unit.blocks.find_leases(NAMESPACE, [block_id(1)]),
        unit.blocks.locate([block_id(1)]),
        dict(unit.blocks.totals()),
        unit.tree.may_open(AccountId(b"Z" * 16), NamespaceId(b"z" * 16)),
    )


def append_pair(unit: Unit, number: int) -> None:
    """Appends two records, between which nobody may come."""
    for half in (0, 1):
        seq = Seq(unit.tree.head(NAMESPACE) + 1)
        entry = file(make_file_id(2 * number + half + 1), f"{number}-{half}")
        record = Record(seq, Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)
        unit.tree.append(NAMESPACE, [record])


def check_pairs(unit: Unit) -> int:
    """Asserts that there are only whole pairs, and returns the head."""
    head = unit.tree.head(NAMESPACE)
    changes = unit.tree.list_changes(NAMESPACE, Seq(0), 1_000)
    assert [stored.seq for stored in changes] == list(range(1, head + 1))
    names = [stored.entry.name for stored in changes]
    assert all(one[:-2] == two[:-2] for one, two in zip(names[::2], names[1::2], strict=True))
    return head


def run_together(works: list[Callable[[], None]]) -> None:
    """Runs each in a thread of its own and raises what the first of them raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
