# SPDX-License-Identifier: Apache-2.0
"""Devices: who holds which token, and whether it still counts.

A token is 256 random bits, shown once and kept as its SHA-256: it needs no slow hash, since it
cannot be guessed. Recognised tokens are cached; the cache is believed only while nothing that
could end a token has happened since, in this process or in another one.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

import structlog

from drystone.core import limits
from drystone.core.errors import DrystoneError, Refused
from drystone.core.ids import DeviceId, NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Account, Device, Unit
from drystone.server.service.actor import Actor
from drystone.server.service.identity.listeners import CloseReason, Listeners
from drystone.server.service.identity.stamps import Stamp
from drystone.server.service.writer import Writer

log = structlog.get_logger()

TOKEN_PREFIX: Final = "ds_"  # noqa: S105  says what follows, is no secret
"""Lets a person, or a scanner of leaked secrets, see what such a text is."""

SEEN_AGAIN_NS: Final = 3600 * NS_PER_S
"""A device's last sign of life is written at most this often: reading must not write."""


_ACTORS_AT_ONCE: Final = 200
"""So many listeners are looked at in one reading."""


class SignInRequired(Refused):
    """No token came with the request, or none that anybody ever got."""

    code = "sign-in-required"

    def __init__(self) -> None:
        super().__init__(
            "the request carries no token of a signed-in device",
            advice="Sign in with `drystone login URL`.",
        )


class DeviceRevoked(Refused):
    """The token was good once: its device was revoked, or its account disabled."""

    code = "device-revoked"

    def __init__(self) -> None:
        super().__init__(
            "this device was signed out from elsewhere; nothing on it was changed",
            advice="Sign in again with `drystone login URL` if that is not what you wanted.",
        )


class DeviceNotFound(Refused):
    """No such device of the caller's account."""

    code = "device-not-found"

    def __init__(self, device_id: DeviceId) -> None:
        super().__init__(
            f"your account has no device {device_id.hex()}",
            advice="`drystone devices` lists those it has.",
        )


class _Known(NamedTuple):
    """What a recognised token means, while ``stamp`` is still the present one."""

    actor: Actor
    seen_ns: int
    stamp: Hashable


def make_token() -> str:
    """Returns a new token: 256 random bits as URL-safe text."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """Returns what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def make_actor(account: Account, device: Device) -> Actor:
    """Returns the actor that this device of this account is."""
    return Actor(
        account.account_id,
        account.name,
        device.device_id,
        device.name,
        NamespaceId(account.root_namespace_id),
    )


class Devices:
    """Recognises, lists and revokes devices. Lives on the event loop.

    Args:
        writer: The door to metadata.
        clock: The server's time.
        listeners: Closed at once when their device is revoked.
        stamp: Differs once anybody (another worker, an admin command) has ended a token.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        listeners: Listeners,
        stamp: Stamp,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._listeners = listeners
        self._stamp = stamp
        self._generation = 0
        self._known: dict[bytes, _Known] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def authenticate(self, token: str) -> Actor:
        """Returns whose token this is.

        Raises:
            SignInRequired: Nobody's.
            DeviceRevoked: It was somebody's.

        Cost: a hash, a look-up and a look at the stamp; a read of the database the first time.
        """
        token_hash = hash_token(token)
        now_ns = self._clock.now_ns()
        # Taken before reading: what changes while we read makes the answer stale at once.
        stamp = (self._generation, await self._stamp.find())
        known = self._known.get(token_hash)
        if known is None or known.stamp != stamp:
            found = await self._writer.read(lambda unit: _find_by_token(unit, token_hash))
            known = self._recognize(token_hash, found, stamp)
        if now_ns - known.seen_ns >= SEEN_AGAIN_NS:
            self._known[token_hash] = known._replace(seen_ns=now_ns)
            self._note_seen(token_hash, now_ns)
        return known.actor

    async def list_devices(self, actor: Actor) -> list[Device]:
        """Returns the devices of the actor's account, revoked ones too, oldest first."""
        return await self._writer.read(lambda unit: unit.accounts.list_devices(actor.account_id))

    async def revoke(self, actor: Actor, device_id: DeviceId) -> None:
        """Ends a device's token for every new request, to whichever worker, and closes its open
        bells: at once in this worker, soon in others.

        Revoking a revoked device changes nothing.

        Raises:
            DeviceNotFound: It is not a device of the actor's account.
        """
        now_ns = self._clock.now_ns()
        troubles: list[DrystoneError] = []

        def work(unit: Unit) -> None:
            unit.shared.move_stamp()
            for device in unit.accounts.list_devices(actor.account_id):
                if device.device_id == device_id:
                    if not device.revoked_ns:
                        unit.accounts.save_device(device._replace(revoked_ns=now_ns))
                    return
            raise DeviceNotFound(device_id)

        def tell(_: None) -> None:
            self._forget(device_id)
            try:
                self._stamp.move()
            except DrystoneError as error:
                troubles.append(error)

        # Told even if the caller went away meanwhile.
        await self._writer.write(work, then=tell)
        for error in troubles:
            raise error

    async def close_ended(self) -> None:
        """Closes the bells of devices that another process revoked or disabled."""
        listening = self._listeners.actors()
        for start in range(0, len(listening), _ACTORS_AT_ONCE):
            asked = listening[start : start + _ACTORS_AT_ONCE]
            ended = await self._writer.read(lambda unit, asked=asked: _find_ended(unit, asked))  # type: ignore[misc]
            for device_id in ended:
                self._listeners.close_device(device_id, CloseReason.REVOKED)

    async def watch_stamp(self, interval_s: float) -> None:
        """Closes bells within ``interval_s`` after another process ended their devices.

        Runs until cancelled. Trouble with the database is logged and met again.
        """
        seen: Hashable = None
        while True:
            try:
                if (stamp := await self._stamp.find()) != seen:
                    await self.close_ended()
                    seen = stamp
            except DrystoneError as error:
                log.warning("devices.check-failed", code=error.code)
            await asyncio.sleep(interval_s)

    def _recognize(
        self, token_hash: bytes, found: tuple[Account, Device] | None, stamp: Hashable
    ) -> _Known:
        if found is None:
            raise SignInRequired
        account, device = found
        if device.revoked_ns or account.disabled:
            raise DeviceRevoked
        known = _Known(make_actor(account, device), device.seen_ns, stamp)
        self._known.pop(token_hash, None)
        self._known[token_hash] = known
        while len(self._known) > limits.DEVICES_CACHED_MAX:
            del self._known[next(iter(self._known))]
        return known

    def _forget(self, device_id: DeviceId) -> None:
        self._generation += 1
        self._listeners.close_device(device_id, CloseReason.REVOKED)

    def _note_seen(self, token_hash: bytes, now_ns: int) -> None:
        """Writes a sign of life beside the request: nobody waits for it."""
        task = asyncio.get_running_loop().create_task(self._write_seen(token_hash, now_ns))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _write_seen(self, token_hash: bytes, now_ns: int) -> None:
        def work(unit: Unit) -> None:
            # Read again: the device may have been revoked since, and must stay so.
            if device := unit.accounts.find_device_by_token(token_hash):
                unit.accounts.save_device(device._replace(seen_ns=now_ns))

        try:
            await self._writer.write(work)
        except DrystoneError as error:
            log.warning("devices.seen-not-written", code=error.code)


def _find_ended(unit: Unit, actors: Sequence[Actor]) -> list[DeviceId]:
    """Returns the devices among these that were revoked, or whose account was disabled."""
    live: set[DeviceId] = set()
    for account_id in {actor.account_id for actor in actors}:
        account = unit.accounts.get_account(account_id)
        if account is not None and not account.disabled:
            devices = unit.accounts.list_devices(account_id)
            live.update(device.device_id for device in devices if not device.revoked_ns)
    return [actor.device_id for actor in actors if actor.device_id not in live]


def _find_by_token(unit: Unit, token_hash: bytes) -> tuple[Account, Device] | None:
    device = unit.accounts.find_device_by_token(token_hash)
    account = device and unit.accounts.get_account(device.account_id)
    return (account, device) if account and device else None
