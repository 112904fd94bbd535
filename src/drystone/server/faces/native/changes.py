# SPDX-License-Identifier: Apache-2.0
"""Changes: pages of what is new, and a long poll for when there is more."""

import asyncio
import math
from typing import Final

from starlette.responses import Response

from drystone.core.ids import parse_file_id
from drystone.core.limits import LONG_POLL_S_MAX
from drystone.server.faces.native.advice import advise_s
from drystone.server.faces.native.call import BadParameter, Call, Operation, Parameter
from drystone.server.service.identity.devices import DeviceRevoked
from drystone.server.service.identity.listeners import CloseReason
from drystone.wire.entries import stored_to_wire
from drystone.wire.messages import ChangesPage, WaitAnswer


async def read_changes(call: Call) -> Response:
    """``GET /v1/changes``."""
    under = call.query("under")
    namespace_id = call.namespace_id()
    page = await call.service.changes.read_page(
        call.actor, namespace_id, call.query("cursor"), parse_file_id(under) if under else None
    )

    def make() -> ChangesPage:
        return ChangesPage(
            [stored_to_wire(stored) for stored in page.entries],
            page.cursor,
            page.head,
            page.has_more,
            page.reset,
            list(page.gone),
            namespace_id,
            page.rewound_to,
        )

    return await call.answer_many(len(page.entries), make)


async def wait_for_changes(call: Call) -> Response:
    """``GET /v1/changes/wait``."""
    text = call.query("timeout_s") or str(LONG_POLL_S_MAX)
    try:
        timeout_s = min(max(float(text), 0.0), float(LONG_POLL_S_MAX))
    except ValueError:
        timeout_s = math.nan
    if math.isnan(timeout_s):
        raise BadParameter(f"timeout_s is {text[:20]!r}, not a number of seconds")
    waiting = asyncio.ensure_future(
        call.service.changes.wait(call.actor, call.namespace_id(), call.query("cursor"), timeout_s)
    )
    # Whoever hangs up no longer waits: else abandoned polls pile up until they time out.
    hanging_up = asyncio.ensure_future(call.request.receive())
    try:
        while not waiting.done():
            await asyncio.wait((waiting, hanging_up), return_when=asyncio.FIRST_COMPLETED)
            if hanging_up.done():
                if hanging_up.result()["type"] == "http.disconnect":
                    break
                hanging_up = asyncio.ensure_future(call.request.receive())
        if not waiting.done():
            return Response(status_code=204)
        match waiting.result():
            case CloseReason.REVOKED:
                raise DeviceRevoked
            case CloseReason():
                backoff_s = advise_s(call.service.listeners.stopped_count)
                return call.answer(WaitAnswer(changed=False, backoff_s=backoff_s))
            case changed:
                return call.answer(WaitAnswer(changed))
    finally:
        waiting.cancel()
        hanging_up.cancel()


_CURSOR: Final = Parameter(
    "cursor", "That of the page before; left out to read from the beginning."
)
_NAMESPACE: Final = Parameter("namespace", "Id of the namespace.", required=True)

OPERATIONS: Final = (
    Operation(
        "GET",
        "/v1/changes",
        read_changes,
        "Read the entries that changed after a cursor, each once, in the order of their last"
        " records, tombstones included. `reset`: forget what is known and read from no cursor.",
        answer=ChangesPage,
        query=(
            _NAMESPACE,
            _CURSOR,
            Parameter("under", "Id of a folder: only what lies below it is told in full."),
        ),
    ),
    Operation(
        "GET",
        "/v1/changes/wait",
        wait_for_changes,
        "Wait until there is more to read than a cursor has.",
        answer=WaitAnswer,
        query=(
            _NAMESPACE,
            _CURSOR,
            Parameter("timeout_s", f"Seconds to wait, {LONG_POLL_S_MAX} at most."),
        ),
    ),
)
