# SPDX-License-Identifier: Apache-2.0
"""Admin: what the operator does to accounts, from a command beside a running server."""

import secrets
import unicodedata
from collections.abc import Callable, Mapping
from typing import NamedTuple

from drystone.core.errors import Refused
from drystone.core.ids import ID_BYTES, AccountId, NamespaceId
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Account, Metadata, Unit
from drystone.server.service.identity.accounts import normalize_account_name
from drystone.server.service.identity.passwords import Passwords, require_fit_password


class AccountNotFound(Refused):
    """An admin command named an account that there is not."""

    code = "account-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no account {name!r}",
            advice="`drystone admin list-accounts` shows all accounts.",
        )


class AccountLine(NamedTuple):
    """One account, as an operator sees it."""

    name: str
    account_id: AccountId
    created_ns: int
    disabled: bool
    devices_count: int
    """Signed in now."""


class Admin:
    """What the operator does to accounts. Blocking; one call, one unit of work.

    Args:
        metadata: The accounts, beside a running server or not.
        clock: The time to stamp new accounts with.
        passwords: How passwords are hashed.
        tell_server: Called after each change that may end somebody's token, so that a running
            server that does not look into the metadata no longer believes what it has cached.
    """

    def __init__(
        self,
        metadata: Metadata,
        clock: Clock,
        passwords: Passwords,
        tell_server: Callable[[], None] = lambda: None,
    ) -> None:
        self._metadata = metadata
        self._clock = clock
        self._passwords = passwords
        self._tell_server = tell_server

    def add_account(self, name: str, password: str) -> AccountLine:
        """Adds an account with an empty root namespace.

        Raises:
            UnfitName, UnfitPassword: Name or password does not keep the rules.
            AccountExists: There is one with this name, in whatever case.
        """
        name = normalize_account_name(name)
        require_fit_password(password)
        account = Account(
            AccountId(secrets.token_bytes(ID_BYTES)),
            name,
            self._passwords.hash(password),
            NamespaceId(secrets.token_bytes(ID_BYTES)),
            self._clock.now_ns(),
        )
        self._metadata.write(lambda unit: unit.accounts.add_account(account))
        return AccountLine(name, account.account_id, account.created_ns, False, 0)  # noqa: FBT003

    def list_accounts(self) -> list[AccountLine]:
        """Returns all accounts, by name."""

        def work(unit: Unit) -> list[AccountLine]:
            lines = []
            for account in unit.accounts.list_accounts():
                devices = unit.accounts.list_devices(account.account_id)
                live = sum(not device.revoked_ns for device in devices)
                lines.append(
                    AccountLine(
                        account.name,
                        account.account_id,
                        account.created_ns,
                        account.disabled,
                        live,
                    )
                )
            return lines

        return self._metadata.read(work)

    def measure_storage(self) -> Mapping[str, int]:
        """Returns what the server keeps: ``packs``, ``pack_bytes``, ``blocks``, ``plain_bytes``
        (each block once) and ``stored_bytes`` (compressed). Cost: two sums over the index.
        """
        return self._metadata.read(lambda unit: unit.blocks.totals())

    def set_password(self, name: str, password: str, *, sign_out: bool = False) -> None:
        """Gives an account a new password.

        Devices stay signed in, since they hold tokens of their own, unless ``sign_out``.

        Raises:
            AccountNotFound: There is no such account.
            UnfitPassword: The password does not keep the rules.
        """
        require_fit_password(password)
        password_hash = self._passwords.hash(password)
        now_ns = self._clock.now_ns()

        def change(unit: Unit, account: Account) -> None:
            unit.accounts.save_account(account._replace(password_hash=password_hash))
            for device in unit.accounts.list_devices(account.account_id) if sign_out else ():
                if not device.revoked_ns:
                    unit.accounts.save_device(device._replace(revoked_ns=now_ns))

        self._change(name, change)

    def disable(self, name: str) -> None:
        """Ends every use of an account, at once, until it is enabled again; keeps its files.

        Raises:
            AccountNotFound: There is no such account.
        """
        self._change(
            name, lambda u, account: u.accounts.save_account(account._replace(disabled=True))
        )

    def enable(self, name: str) -> None:
        """Undoes ``disable``: the devices that were signed in are so again.

        Raises:
            AccountNotFound: There is no such account.
        """
        self._change(
            name, lambda u, account: u.accounts.save_account(account._replace(disabled=False))
        )

    def _change(self, name: str, change: Callable[[Unit, Account], None]) -> None:
        def work(unit: Unit) -> None:
            account = unit.accounts.find_account(unicodedata.normalize("NFC", name).strip())
            if account is None:
                raise AccountNotFound(name)
            change(unit, account)
            unit.shared.move_stamp()

        self._metadata.write(work)
        self._tell_server()
