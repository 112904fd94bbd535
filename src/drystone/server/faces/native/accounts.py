# SPDX-License-Identifier: Apache-2.0
"""Accounts and devices: signing in, who the caller is, which devices there are."""

from typing import Final

from starlette.responses import Response

from drystone import __version__
from drystone.core.ids import parse_device_id
from drystone.core.limits import KIB
from drystone.server.faces.http.auth import address_of
from drystone.server.faces.native.call import Call, Operation
from drystone.wire.messages import AccountView, DeviceLine, Devices, SignedIn, SignIn
from drystone.wire.version import PROTOCOL

_SIGN_IN_BYTES_MAX: Final = 16 * KIB
"""Of a body that anybody may send."""


async def sign_in(call: Call) -> Response:
    """``POST /v1/devices``."""
    message = await call.read(SignIn, _SIGN_IN_BYTES_MAX)
    actor, token = await call.service.accounts.sign_in(
        message.account, message.password, message.device_name, address_of(call.request)
    )
    answer = SignedIn(
        actor.device_id, token, actor.account_id, actor.account_name, actor.root_namespace_id
    )
    return call.answer(answer, 201)


async def list_devices(call: Call) -> Response:
    """``GET /v1/devices``."""
    found = await call.service.devices.list_devices(call.actor)
    lines = [
        DeviceLine(
            device.device_id,
            device.name,
            device.created_ns,
            device.seen_ns,
            device.revoked_ns > 0,
            device.device_id == call.actor.device_id,
        )
        for device in found
    ]
    return call.answer(Devices(lines))


async def revoke_device(call: Call) -> Response:
    """``DELETE /v1/devices/{device}``."""
    device_id = parse_device_id(call.request.path_params["device"])
    await call.service.devices.revoke(call.actor, device_id)
    return Response(status_code=204)


async def view_account(call: Call) -> Response:
    """``GET /v1/account``."""
    actor = call.actor
    answer = AccountView(
        actor.account_id,
        actor.account_name,
        actor.device_id,
        actor.device_name,
        actor.root_namespace_id,
        __version__,
        PROTOCOL,
    )
    return call.answer(answer)


OPERATIONS: Final = (
    Operation(
        "POST",
        "/v1/devices",
        sign_in,
        "Sign a new device in to an account; the only time its token is shown.",
        SignIn,
        SignedIn,
        needs_actor=False,
        status=201,
    ),
    Operation(
        "GET",
        "/v1/devices",
        list_devices,
        "List the devices of the caller's account, revoked ones too, oldest first.",
        answer=Devices,
    ),
    Operation(
        "DELETE",
        "/v1/devices/{device}",
        revoke_device,
        "Revoke a device: its token ends for every new request, its open bells are closed.",
        status=204,
    ),
    Operation(
        "GET",
        "/v1/account",
        view_account,
        "Tell who the caller is, and what this server is.",
        answer=AccountView,
    ),
)
