# SPDX-License-Identifier: Apache-2.0
"""Health: for supervisors and load balancers, and for whoever asks whether this is Drystone."""

from typing import Final

from starlette.responses import Response

from drystone import __version__
from drystone.server.faces.native.call import Call, Operation
from drystone.wire.messages import Health
from drystone.wire.version import PROTOCOL


async def tell_health(call: Call) -> Response:
    """``GET /v1/health``: the process answers. Asks nobody else, and holds while it stops."""
    return call.answer(Health("ok", __version__, PROTOCOL))


async def tell_ready(call: Call) -> Response:
    """``GET /v1/ready``: requests can be served, since all that they need is well."""
    parts = await call.service.readiness.require()
    return call.answer(Health("ready", __version__, PROTOCOL, parts))


LIVE_PATH: Final = "/v1/health"

OPERATIONS: Final = (
    Operation(
        "GET",
        LIVE_PATH,
        tell_health,
        "Tell that the server lives.",
        answer=Health,
        needs_actor=False,
    ),
    Operation(
        "GET",
        "/v1/ready",
        tell_ready,
        "Tell that the server can serve requests; a problem if it cannot, or is stopping.",
        answer=Health,
        needs_actor=False,
    ),
)
