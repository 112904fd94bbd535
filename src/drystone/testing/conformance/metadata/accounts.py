# SPDX-License-Identifier: Apache-2.0
"""What every engine does with accounts and devices."""

import pytest

from drystone.core.ids import (
    AccountId,
)
from drystone.server.ports.metadata import (
    AccountExists,
    Metadata,
    Unit,
)
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    BOB,
    LAPTOP,
    NAMESPACE,
    NOWHERE,
    PHONE,
    add_accounts,
)


class AccountsSuite:
    """Accounts and devices."""

    def test_an_account_is_found_by_name_and_by_id(self, metadata: Metadata) -> None:
        add_accounts(metadata)

        def work(unit: Unit) -> None:
            assert unit.accounts.find_account("Anna") == ANNA
            assert unit.accounts.find_account("aNNA") == ANNA
            assert unit.accounts.find_account("Ann") is None
            assert unit.accounts.get_account(BOB.account_id) == BOB
            assert unit.accounts.get_account(AccountId(b"?" * 16)) is None
            assert unit.accounts.list_accounts() == [ANNA, BOB]
            assert unit.tree.may_open(ANNA.account_id, NAMESPACE)
            assert not unit.tree.may_open(BOB.account_id, NAMESPACE)
            assert not unit.tree.may_open(BOB.account_id, NOWHERE)

        metadata.read(work)

    def test_a_name_is_given_once_in_whatever_case(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        twin = BOB._replace(account_id=AccountId(b"C" * 16), root_namespace_id=NOWHERE, name="ANNA")
        with pytest.raises(AccountExists):
            metadata.write(lambda unit: unit.accounts.add_account(twin))
        with pytest.raises(AccountExists):
            metadata.write(lambda unit: unit.accounts.save_account(BOB._replace(name="ANNA")))

        assert metadata.read(lambda unit: unit.accounts.list_accounts()) == [ANNA, BOB]
        assert not metadata.read(lambda unit: unit.tree.may_open(twin.account_id, NOWHERE))

    def test_an_account_is_saved_but_for_its_id_namespace_and_age(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        saved = ANNA._replace(name="ANNA", password_hash="other", disabled=True)  # noqa: S106
        asked = saved._replace(root_namespace_id=NOWHERE, created_ns=99)
        metadata.write(lambda unit: unit.accounts.save_account(asked))

        assert metadata.read(lambda unit: unit.accounts.find_account("anna")) == saved

    def test_devices_come_oldest_first_and_are_found_by_token(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        metadata.write(lambda unit: unit.accounts.add_device(PHONE))
        revoked = LAPTOP._replace(name="old", token_hash=b"v" * 32, seen_ns=9, revoked_ns=8)
        asked = revoked._replace(created_ns=77, account_id=BOB.account_id)
        metadata.write(lambda unit: unit.accounts.save_device(asked))

        def work(unit: Unit) -> None:
            assert unit.accounts.list_devices(ANNA.account_id) == [PHONE, revoked]
            assert unit.accounts.list_devices(BOB.account_id) == []
            assert unit.accounts.find_device_by_token(b"v" * 32) == revoked
            assert unit.accounts.find_device_by_token(LAPTOP.token_hash) is None

        metadata.read(work)
