# SPDX-License-Identifier: Apache-2.0
"""The bell: a WebSocket on which heads are told as they move. Nothing on it must arrive."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from drystone.core.ids import NamespaceId, parse_namespace_id
from drystone.server.faces.native.advice import advise_s
from drystone.server.service.actor import Actor
from drystone.server.service.identity.listeners import CloseReason
from drystone.server.service.service import Service
from drystone.server.service.trees.changes import Rings
from drystone.wire.codec import encode
from drystone.wire.messages import BellMessage

PATH: Final = "/v1/bell"

CLOSE_CODES: Final = {
    CloseReason.REVOKED: 4401,
    CloseReason.REPLACED: 4409,
    CloseReason.STOPPING: 1012,  # "Service Restart" of the IANA registry
}


async def listen(websocket: WebSocket, service: Service, actor: Actor) -> None:
    """Tells the head at once, then each time it moves, coalesced, until either side ends it.

    A close that the server decides on has a reason like ``retry_after_s=4.2``: when to come
    again, spread over the devices.
    """
    namespace_id = parse_namespace_id(websocket.query_params.get("namespace", ""))
    async with AsyncExitStack() as stack:
        # A span that lasted as long as the bell would be told after days, if ever.
        with service.tracing.span("bell.open", websocket.headers) as span:
            span.note({"http.route": PATH})
            rings = await stack.enter_async_context(service.changes.listen(actor, namespace_id))
            await websocket.accept()
        ringing = asyncio.ensure_future(_ring(websocket, namespace_id, rings))
        hanging_up = asyncio.ensure_future(_until_gone(websocket))
        closed = rings.listener.closed
        try:
            await asyncio.wait((ringing, hanging_up, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ringing.cancel()
            hanging_up.cancel()
            await asyncio.gather(ringing, hanging_up, return_exceptions=True)
        if closed.done() and not _is_over(hanging_up):
            reason = closed.result()
            again_s = advise_s(service.listeners.stopped_count)
            await websocket.close(CLOSE_CODES[reason], f"retry_after_s={again_s}")
            return
        for task in (ringing, hanging_up):
            if not task.cancelled():
                task.result()


async def _ring(websocket: WebSocket, namespace_id: NamespaceId, rings: Rings) -> None:
    try:
        await websocket.send_text(encode(BellMessage(namespace_id, rings.head)).decode())
        async for moved_id, head in rings.heads:
            await websocket.send_text(encode(BellMessage(moved_id, head)).decode())
    except WebSocketDisconnect:
        return


async def _until_gone(websocket: WebSocket) -> None:
    """Reads and forgets what the device says, until it hangs up."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def _is_over(task: "asyncio.Future[None]") -> bool:
    return task.done() and not task.cancelled()
