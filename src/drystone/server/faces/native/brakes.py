# SPDX-License-Identifier: Apache-2.0
"""Brakes: what one device destroys in a burst, and what a human allows it."""

from typing import Final

from starlette.responses import Response

from drystone.core.ids import parse_device_id
from drystone.core.limits import KIB
from drystone.server.faces.http.auth import address_of
from drystone.server.faces.native.call import Call, Operation
from drystone.server.service.trees import brakes
from drystone.wire.messages import AllowBurst, BrakeLine, BrakeLines

_ALLOW_BYTES_MAX: Final = 16 * KIB


async def list_brakes(call: Call) -> Response:
    """``GET /v1/namespaces/{namespace}/brakes``."""
    found = await call.service.brakes.list_brakes(call.actor, call.namespace_id())
    return call.answer(BrakeLines([_tell(line) for line in found]))


async def allow_burst(call: Call) -> Response:
    """``POST /v1/namespaces/{namespace}/brakes/{device}``."""
    device_id = parse_device_id(call.request.path_params["device"])
    message = await call.read(AllowBurst, _ALLOW_BYTES_MAX)
    line = await call.service.brakes.allow(
        call.actor,
        call.namespace_id(),
        device_id,
        message.entries,
        message.seconds,
        password=message.password,
        address=address_of(call.request),
    )
    return call.answer(_tell(line))


def _tell(line: brakes.BrakeLine) -> BrakeLine:
    _, held_ns, held_count, allowed_count, allowed_until_ns = line.brake
    device = line.device
    return BrakeLine(
        device.device_id, device.name, held_ns, held_count, allowed_count, allowed_until_ns
    )


OPERATIONS: Final = (
    Operation(
        "GET",
        "/v1/namespaces/{namespace}/brakes",
        list_brakes,
        "List the devices of the caller's account whose commits were held because they would have"
        " destroyed too much in a short time, and what they are allowed.",
        answer=BrakeLines,
    ),
    Operation(
        "POST",
        "/v1/namespaces/{namespace}/brakes/{device}",
        allow_burst,
        "Allow a device to destroy so many entries for so many seconds. For the caller's own device"
        " that takes the account's password.",
        AllowBurst,
        BrakeLine,
    ),
)
