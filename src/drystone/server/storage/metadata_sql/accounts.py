# SPDX-License-Identifier: Apache-2.0
"""Accounts and devices in SQL, and the brakes of devices."""

from typing import Final

from drystone.core.ids import AccountId, DeviceId, NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.core.names.folding import fold_name
from drystone.server.ports.metadata import Account, AccountExists, Brake, Destroyed, Device
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.rows import LOCKED, Row
from drystone.server.storage.metadata_sql.session import Session

_MINUTE_NS: Final = 60 * NS_PER_S


class SqlAccounts:
    """Implements the port ``AccountsUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_account(self, account: Account) -> None:
        if self.find_account(account.name) is not None:
            raise AccountExists(account.name)
        self._session.execute(_ADD_ACCOUNT, _account_values(account))
        values = {"namespace_id": account.root_namespace_id, "account_id": account.account_id}
        (ns,) = self._session.execute(_ADD_NAMESPACE, values).fetchone()
        self._session.execute(_ADD_JOURNAL, {"ns": ns})

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


class SqlBrakes:
    """Implements the port ``BrakesUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def count_destroyed(
        self, namespace_id: NamespaceId, device_id: DeviceId, since_ns: int
    ) -> Destroyed:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "device_id": device_id,
            "since": since_ns // _MINUTE_NS,
        }
        deleted, overwritten = self._session.execute(_COUNT_BURST, values).fetchone()
        return Destroyed(int(deleted), int(overwritten))

    def note_destroyed(
        self,
        namespace_id: NamespaceId,
        device_id: DeviceId,
        destroyed: Destroyed,
        at_ns: int,
        since_ns: int,
    ) -> None:
        values = {
            "ns": self._numbers.get_ns(namespace_id),
            "device_id": device_id,
            "minute": at_ns // _MINUTE_NS,
            **destroyed._asdict(),
            "since": since_ns // _MINUTE_NS,
        }
        self._session.execute(_DROP_BURST, values)
        self._session.execute(_ADD_BURST, values)

    def find_brake(self, namespace_id: NamespaceId, device_id: DeviceId) -> Brake | None:
        values = {"ns": self._numbers.find_ns(namespace_id), "device_id": device_id}
        row = self._session.execute(_FIND_BRAKE, values).fetchone()
        return None if row is None else Brake(*row)

    def list_brakes(self, namespace_id: NamespaceId) -> list[Brake]:
        values = {"ns": self._numbers.find_ns(namespace_id)}
        return [Brake(*row) for row in self._session.execute(_LIST_BRAKES, values)]

    def save_brake(self, namespace_id: NamespaceId, brake: Brake) -> None:
        values = {"ns": self._numbers.get_ns(namespace_id), **brake._asdict()}
        self._session.execute(_SAVE_BRAKE, values)


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
    RETURNING ns
"""

_ADD_JOURNAL: Final = "INSERT INTO journal (ns, head) VALUES (:ns, 0)"

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

_COUNT_BURST: Final = """
    SELECT coalesce(sum(deleted), 0), coalesce(sum(overwritten), 0) FROM burst
    WHERE ns = :ns AND device_id = :device_id AND minute >= :since
"""

_DROP_BURST: Final = """
    DELETE FROM burst WHERE ns = :ns AND device_id = :device_id AND minute < :since
"""

_ADD_BURST: Final = """
    INSERT INTO burst (ns, device_id, minute, deleted, overwritten)
    VALUES (:ns, :device_id, :minute, :deleted, :overwritten)
    ON CONFLICT (ns, device_id, minute) DO UPDATE SET
        deleted = burst.deleted + excluded.deleted,
        overwritten = burst.overwritten + excluded.overwritten
"""

_BRAKE_COLUMNS: Final = "device_id, held_ns, held_count, allowed_count, allowed_until_ns"

_FIND_BRAKE: Final = f"SELECT {_BRAKE_COLUMNS} FROM brake WHERE ns = :ns AND device_id = :device_id"

_LIST_BRAKES: Final = f"SELECT {_BRAKE_COLUMNS} FROM brake WHERE ns = :ns ORDER BY device_id"

_SAVE_BRAKE: Final = """
    INSERT INTO brake (ns, device_id, held_ns, held_count, allowed_count, allowed_until_ns)
    VALUES (:ns, :device_id, :held_ns, :held_count, :allowed_count, :allowed_until_ns)
    ON CONFLICT (ns, device_id) DO UPDATE SET
        held_ns = excluded.held_ns, held_count = excluded.held_count,
        allowed_count = excluded.allowed_count, allowed_until_ns = excluded.allowed_until_ns
"""
