# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, and the devices of an account."""

import asyncio
from typing import NamedTuple

from drystone.client.adapters.credentials import (
    Credential,
    drop_credential,
    find_credential,
    save_credential,
)
from drystone.client.adapters.remote_http import (
    HttpSession,
    allow_burst,
    ask_health,
    list_brakes,
    sign_in,
)
from drystone.client.adapters.remote_http import list_devices as ask_devices
from drystone.client.adapters.remote_http import revoke_device as ask_revocation
from drystone.client.settings import ClientSettings, check_device_name
from drystone.core.ids import DeviceId, NamespaceId, format_id, parse_device_id


class LoggedIn(NamedTuple):
    """A device that is signed in now."""

    url: str
    account: str
    device_name: str
    device_id: str


class DeviceView(NamedTuple):
    """One device of the account, for people."""

    device_id: str
    name: str
    created_ns: int
    seen_ns: int
    is_revoked: bool
    is_current: bool
    held_count: int = 0
    """Entries that the server keeps this device from deleting or overwriting."""


def check_server(url: str) -> str:
    """Returns the URL of a server that answers, as we write it; before anybody is asked for a
    password.

    Raises:
        BadServerUrl, ServerAway, NotDrystone, TlsFailed: No such server.
    """

    async def run() -> str:
        session = HttpSession(url)
        try:
            await ask_health(session)
            return session.url
        finally:
            await session.close()

    return asyncio.run(run())


def login(
    settings: ClientSettings, url: str, account: str, password: str, device_name: str = ""
) -> LoggedIn:
    """Signs this device in and keeps its credential.

    Raises:
        BadServerUrl, ServerAway, NotDrystone, TlsFailed: No such server.
        Refused: Wrong name or password, or too many tries.
    """
    name = check_device_name(device_name) if device_name else settings.device_name

    async def run() -> Credential:
        session = HttpSession(url)
        try:
            device = await sign_in(session, account, password, name)
            return Credential(
                url=session.url,
                account=device.account,
                account_id=device.account_id,
                device_id=device.device_id,
                device_name=name,
                namespace_id=device.namespace_id,
                token=device.token,
            )
        finally:
            await session.close()

    credential = asyncio.run(run())
    save_credential(settings.credentials_path, credential)
    return LoggedIn(
        credential.url, credential.account, credential.device_name, format_id(credential.device_id)
    )


def logout(settings: ClientSettings, url: str | None = None) -> str:
    """Ends this device's right to speak with a server and forgets the credential.

    Returns the server's URL. The credential is forgotten even if the server is away.
    """
    credential = find_credential(settings.credentials_path, url)
    try:
        revoke_device(settings, format_id(credential.device_id), credential.url)
    finally:
        drop_credential(settings.credentials_path, credential.url)
    return credential.url


def list_devices(settings: ClientSettings, url: str | None = None) -> list[DeviceView]:
    """Returns the account's devices."""
    credential = find_credential(settings.credentials_path, url)

    async def run() -> list[DeviceView]:
        session = HttpSession(credential.url, credential.token)
        try:
            lines = await ask_devices(session)
            brakes = await list_brakes(session, NamespaceId(credential.namespace_id))
        finally:
            await session.close()
        held = {line.device_id: line.held_count for line in brakes}
        return [
            DeviceView(
                format_id(line.device_id), line.name, line.created_ns, line.seen_ns,
                line.revoked, line.current, held.get(line.device_id, 0),
            )
            for line in lines
        ]  # fmt: skip

    return asyncio.run(run())


def revoke_device(settings: ClientSettings, device_id: str, url: str | None = None) -> None:
    """Ends another device's right to speak with the server, from now on."""
    credential = find_credential(settings.credentials_path, url)
    wanted: DeviceId = parse_device_id(device_id)

    async def run() -> None:
        session = HttpSession(credential.url, credential.token)
        try:
            await ask_revocation(session, wanted)
        finally:
            await session.close()

    asyncio.run(run())


def allow_device(
    settings: ClientSettings,
    device_id: str,
    entries_count: int,
    seconds: int,
    url: str | None = None,
    *,
    password: str = "",
) -> int:
    """Lets a device delete or overwrite what the server keeps it from; returns how many entries.

    Args:
        settings: Of this device.
        device_id: Whose brake it is; ``""``: this device's, which takes the password.
        entries_count: How many; 0: as many as were held last.
        seconds: For how long.
        url: Of the server; the last one by default.
        password: Of the account.

    Raises:
        Refused: It is this device, and the password is missing or wrong; or there is no such one.
    """
    credential = find_credential(settings.credentials_path, url)
    wanted = parse_device_id(device_id) if device_id else DeviceId(credential.device_id)

    async def run() -> int:
        session = HttpSession(credential.url, credential.token)
        try:
            line = await allow_burst(
                session,
                NamespaceId(credential.namespace_id),
                wanted,
                entries_count,
                seconds,
                password=password,
            )
            return line.allowed_count
        finally:
            await session.close()

    return asyncio.run(run())
