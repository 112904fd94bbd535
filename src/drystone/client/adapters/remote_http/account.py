# SPDX-License-Identifier: Apache-2.0
"""Signing in, and the devices of an account."""

from typing import NamedTuple

from drystone.client.adapters.remote_http.session import HttpSession
from drystone.core.errors import Refused
from drystone.core.ids import AccountId, DeviceId, NamespaceId, format_id
from drystone.wire.messages import (
    AccountView,
    AllowBurst,
    BrakeLine,
    BrakeLines,
    DeviceLine,
    Devices,
    Health,
    SignedIn,
    SignIn,
)


class SignedInDevice(NamedTuple):
    """A new device, and the token that is shown only once."""

    device_id: DeviceId
    token: str
    account_id: AccountId
    account: str
    namespace_id: NamespaceId


async def sign_in(
    session: HttpSession, account: str, password: str, device_name: str
) -> SignedInDevice:
    """Makes a new device of an account. Not repeated: each success makes another one."""
    message = SignIn(account, password, device_name)
    answer = await session.post_once(SignedIn, "/v1/devices", message)
    return SignedInDevice(
        DeviceId(answer.device_id),
        answer.token,
        AccountId(answer.account_id),
        answer.account,
        NamespaceId(answer.namespace_id),
    )


async def list_devices(session: HttpSession) -> list[DeviceLine]:
    """Returns the devices of the caller's account."""
    return (await session.get(Devices, "/v1/devices")).devices


async def revoke_device(session: HttpSession, device_id: DeviceId) -> None:
    """Ends a device's right to speak with the server, from the answer on."""
    await session.delete(f"/v1/devices/{format_id(device_id)}")


async def list_brakes(session: HttpSession, namespace_id: NamespaceId) -> list[BrakeLine]:
    """Returns the brakes of the account's devices in a namespace."""
    path = f"/v1/namespaces/{format_id(namespace_id)}/brakes"
    try:
        return (await session.get(BrakeLines, path)).brakes
    except Refused as error:
        if error.code != "unknown-route":
            raise
        return []  # A server of before there were brakes.


async def allow_burst(
    session: HttpSession,
    namespace_id: NamespaceId,
    device_id: DeviceId,
    entries_count: int,
    seconds: int,
    *,
    password: str = "",
) -> BrakeLine:
    """Lets a device delete or overwrite so many entries; for the caller's own with a password."""
    path = f"/v1/namespaces/{format_id(namespace_id)}/brakes/{format_id(device_id)}"
    message = AllowBurst(entries_count, seconds, password)
    return await session.post_once(BrakeLine, path, message)


async def read_account(session: HttpSession) -> AccountView:
    """Returns who the caller is to the server."""
    return await session.get(AccountView, "/v1/account")


async def ask_health(session: HttpSession) -> Health:
    """Returns what answers; whoever asks need not be signed in."""
    return await session.get(Health, "/v1/health")
