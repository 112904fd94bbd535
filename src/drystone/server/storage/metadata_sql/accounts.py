# SPDX-License-Identifier: Apache-2.0
"""Accounts and devices in SQL."""

from typing import Final

from drystone.core.ids import AccountId
from drystone.core.names.folding import fold_name
from drystone.server.ports.metadata import Account, AccountExists, Device
from drystone.server.storage.metadata_sql.rows import LOCKED, Row
from drystone.server.storage.metadata_sql.session import Session


class SqlAccounts:
    """Implements the port ``AccountsUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_account(self, account: Account) -> None:
        if self.find_account(account.name) is not None:
            raise AccountExists(account.name)
        self._session.execute(_ADD_ACCOUNT, _account_values(account))
        self._session.execute(
            _ADD_NAMESPACE,
            {
                "namespace_id": account.root_namespace_id,
                "account_id": account.account_id,
            },
        )

    def find_account(self, name: str) -> Account | None:
        return self._find(f"{_ACCOUNTS} WHERE folded = :key {LOCKED}", fold_name(name))

    def get_account(self, account_id: AccountId) -> Account | None:
        return self._find(f"{_ACCOUNTS} WHERE account_id = :key {LOCKED}", account_id)

    def list_accounts(self) -> list[Account]:
        rows = self._session.execute(f"{_ACCOUNTS} ORDER BY name")
        return [_parse_account(row) for row in rows]

    def save_account(self, account: Account) -> None:
        occupant = self.find_account(account.name)
        if occupant is not None and occupant.account_id != account.account_id:
            raise AccountExists(account.name)
        saved = self._session.execute(_SAVE_ACCOUNT, _account_values(account))
        assert saved.rowcount == 1, "there is no such account to save"

    def add_device(self, device: Device) -> None:
        self._session.execute(_ADD_DEVICE, device._asdict())

    def find_device_by_token(self, token_hash: bytes) -> Device | None:
        found = self._session.execute(_FIND_DEVICE, {"key": token_hash})
        row = found.fetchone()
        return None if row is None else Device(*row)

    def list_devices(self, account_id: AccountId) -> list[Device]:
        rows = self._session.execute(
            f"{_DEVICES} WHERE account_id = :key ORDER BY created_ns, device_id {LOCKED}",
            {"key": account_id},
        )
        return [Device(*row) for row in rows]

    def save_device(self, device: Device) -> None:
        saved = self._session.execute(_SAVE_DEVICE, device._asdict())
        assert saved.rowcount == 1, "there is no such device to save"

    def _find(self, statement: str, key: str | bytes) -> Account | None:
        row = self._session.execute(statement, {"key": key}).fetchone()
        return None if row is None else _parse_account(row)


def _account_values(account: Account) -> dict[str, object]:
    values: dict[str, object] = account._asdict()
    return values | {"folded": fold_name(account.name), "disabled": int(account.disabled)}


def _parse_account(row: Row) -> Account:
    account = Account(*row)
    return account._replace(disabled=bool(account.disabled))


_ACCOUNTS: Final = (
    "SELECT account_id, name, password_hash, root_namespace_id, created_ns, disabled FROM account"
)

_ADD_ACCOUNT: Final = """
    INSERT INTO account
        (account_id, name, folded, password_hash, root_namespace_id, created_ns, disabled)
    VALUES
        (:account_id, :name, :folded, :password_hash, :root_namespace_id, :created_ns, :disabled)
"""

_ADD_NAMESPACE: Final = """
    INSERT INTO namespace (namespace_id, account_id) VALUES (:namespace_id, :account_id)
"""

_SAVE_ACCOUNT: Final = """
    UPDATE account
    SET name = :name, folded = :folded, password_hash = :password_hash, disabled = :disabled
    WHERE account_id = :account_id
"""

_DEVICES: Final = (
    "SELECT device_id, account_id, name, token_hash, created_ns, seen_ns, revoked_ns FROM device"
)

_FIND_DEVICE: Final = f"{_DEVICES} WHERE token_hash = :key {LOCKED}"

_ADD_DEVICE: Final = """
    INSERT INTO device (device_id, account_id, name, token_hash, created_ns, seen_ns, revoked_ns)
    VALUES (:device_id, :account_id, :name, :token_hash, :created_ns, :seen_ns, :revoked_ns)
"""

_SAVE_DEVICE: Final = """
    UPDATE device
    SET name = :name, token_hash = :token_hash, seen_ns = :seen_ns, revoked_ns = :revoked_ns
    WHERE device_id = :device_id
"""
