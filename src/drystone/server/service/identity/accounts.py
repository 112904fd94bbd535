# SPDX-License-Identifier: Apache-2.0
"""Accounts: signing in, and the rules of names."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from drystone.core import limits
from drystone.core.errors import Refused
from drystone.core.ids import ID_BYTES, DeviceId
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Account, Device, Unit
from drystone.server.service.actor import Actor
from drystone.server.service.identity.devices import hash_token, make_actor, make_token
from drystone.server.service.identity.passwords import Passwords
from drystone.server.service.identity.sign_ins import SignIns
from drystone.server.service.writer import Writer

T = TypeVar("T")

PASSWORD_THREADS = 2
"""Checks at once: each takes a core for 45 ms and 19 MiB."""


class SignInFailed(Refused):
    """No account with this name and password. Does not tell which of the two is wrong."""

    code = "sign-in-failed"

    def __init__(self) -> None:
        super().__init__(
            "the account name or the password is wrong",
            advice="Check both; the operator can set a new password with "
            "`drystone admin set-password NAME`.",
        )


class AccountDisabled(Refused):
    """Name and password are right, but the operator disabled the account."""

    code = "account-disabled"

    def __init__(self, name: str) -> None:
        super().__init__(f"the account {name!r} is disabled", advice="Ask the server's operator.")


class UnfitName(Refused):
    """A name of an account or device that could not be shown, typed or told apart."""

    code = "unfit-name"


class TooManyDevices(Refused):
    """The account has as many devices as it may."""

    code = "too-many-devices"

    def __init__(self) -> None:
        super().__init__(
            f"the account has {limits.DEVICES_PER_ACCOUNT_MAX} signed-in devices, the most allowed",
            advice="Revoke those that are no longer used.",
        )


class SignedIn(NamedTuple):
    """A new device and, this once, its token."""

    actor: Actor
    token: str

    def __repr__(self) -> str:
        return f"SignedIn(actor={self.actor!r}, token=<secret>)"


def normalize_account_name(name: str) -> str:
    """Returns the name as it is kept: NFC, without space at its ends.

    Raises:
        UnfitName: It is empty, too long, or holds characters that do not print.
    """
    return _normalize_name(name, "account", limits.ACCOUNT_NAME_CHARS_MAX)


def normalize_device_name(name: str) -> str:
    """Returns the name as it is kept; see ``normalize_account_name``."""
    return _normalize_name(name, "device", limits.DEVICE_NAME_CHARS_MAX)


class Accounts:
    """Signs devices in. Lives on the event loop; passwords are checked in threads."""

    def __init__(self, writer: Writer, clock: Clock, passwords: Passwords) -> None:
        self._writer = writer
        self._clock = clock
        self._passwords = passwords
        self._sign_ins = SignIns()
        self._threads = ThreadPoolExecutor(PASSWORD_THREADS, thread_name_prefix="password")

    async def sign_in(self, name: str, password: str, device_name: str, address: str) -> SignedIn:
        """Adds a device to an account.

        Args:
            name: Of the account, in any case.
            password: Of the account.
            device_name: Shown in lists, histories and names of conflicted copies.
            address: Where the caller is, for the limit of guesses.

        Raises:
            UnfitName: The device name does not do.
            TooManyTries: Too many failures lately; the password was not looked at.
            SignInFailed: Name or password is wrong.
            AccountDisabled: Both are right.
            TooManyDevices: ``DEVICES_PER_ACCOUNT_MAX`` is reached.
        """
        device_name = normalize_device_name(device_name)
        name = unicodedata.normalize("NFC", name).strip()[: limits.ACCOUNT_NAME_CHARS_MAX + 1]
        self._sign_ins.begin(name, address, self._clock.now_ns())
        account = await self._writer.read(lambda unit: unit.accounts.find_account(name))
        kept_hash = account.password_hash if account else None
        is_right = await self._in_thread(lambda: self._passwords.is_right(password, kept_hash))
        if account is None or not is_right:
            raise SignInFailed
        self._sign_ins.succeed(name, address)
        if account.disabled:
            raise AccountDisabled(account.name)
        fresh_hash = None
        if self._passwords.is_outdated(account.password_hash):
            fresh_hash = await self._in_thread(lambda: self._passwords.hash(password))
        return await self._add_device(account, device_name, fresh_hash)

    async def check_password(self, actor: Actor, password: str, address: str) -> None:
        """Returns if this is the password of the actor's account.

        Raises:
            TooManyTries: Too many failures lately; the password was not looked at.
            SignInFailed: It is not.
        """
        name = actor.account_name
        self._sign_ins.begin(name, address, self._clock.now_ns())
        account = await self._writer.read(lambda unit: unit.accounts.find_account(name))
        kept_hash = account.password_hash if account else None
        if not await self._in_thread(lambda: self._passwords.is_right(password, kept_hash)):
            raise SignInFailed
        self._sign_ins.succeed(name, address)

    def close(self) -> None:
        """Ends the threads. Idempotent."""
        self._threads.shutdown(wait=True)

    async def _add_device(
        self, checked: Account, device_name: str, fresh_hash: str | None
    ) -> SignedIn:
        token = make_token()
        now_ns = self._clock.now_ns()
        device = Device(
            DeviceId(secrets.token_bytes(ID_BYTES)),
            checked.account_id,
            device_name,
            hash_token(token),
            now_ns,
            now_ns,
        )

        def work(unit: Unit) -> Account:
            account = unit.accounts.get_account(checked.account_id)
            # Password changed or account disabled while the old password was being checked.
            if account is None or account.password_hash != checked.password_hash:
                raise SignInFailed
            if account.disabled:
                raise AccountDisabled(account.name)
            devices = unit.accounts.list_devices(account.account_id)
            if sum(not d.revoked_ns for d in devices) >= limits.DEVICES_PER_ACCOUNT_MAX:
                raise TooManyDevices
            if fresh_hash is not None:
                unit.accounts.save_account(account._replace(password_hash=fresh_hash))
            unit.accounts.add_device(device)
            return account

        account = await self._writer.write(work)
        return SignedIn(make_actor(account, device), token)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


def _normalize_name(name: str, what: str, chars_max: int) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= chars_max:
        raise UnfitName(f"the {what} name must have 1 to {chars_max} characters")
    if not name.isprintable():
        raise UnfitName(f"the {what} name {name!r} holds characters that do not print")
    return name
