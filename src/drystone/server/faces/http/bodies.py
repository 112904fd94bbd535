# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests: read whole or in pieces, bounded, and never taken for complete when the
caller went away.

An aborted upload reaches an ASGI application as ``http.disconnect``, a message without
``more_body``: who only asks for that key takes what came so far for the whole.
Source: ASGI specification, HTTP, "Disconnect".
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from drystone.core.errors import Refused, Unavailable
from drystone.core.limits import BODY_STALL_S
from drystone.server.faces.http.counting import RECEIVED_KEY


class ConnectionBroken(Unavailable):
    """The caller went away, or fell silent, before the end of its request's body."""

    code = "connection-broken"


class BodyTooLarge(Refused):
    """A request's body is larger than this kind of request may have."""

    code = "body-too-large"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"the request's body is larger than {bytes_max:,} bytes",
            advice="Send less at once.",
        )


async def iter_body(request: Request, bytes_max: int) -> AsyncIterator[bytes]:
    """Yields a request's body as it comes, in pieces of any size, none empty.

    Nothing is read ahead: while the caller of this does not ask, the sender is held back.

    Raises:
        ConnectionBroken: The body did not come to its end.
        BodyTooLarge: It is, or says that it is, longer than ``bytes_max``.
    """
    if _announced_bytes(request) > bytes_max:
        raise BodyTooLarge(bytes_max)
    length_bytes = 0
    while True:
        try:
            async with asyncio.timeout(BODY_STALL_S):
                message = await request.receive()
        except TimeoutError as error:
            raise ConnectionBroken(
                f"the request's body stopped for {BODY_STALL_S} s after {length_bytes} bytes"
            ) from error
        if message["type"] != "http.request":
            raise ConnectionBroken(f"the connection broke after {length_bytes} bytes of the body")
        piece = message.get("body", b"")
        length_bytes += len(piece)
        request.scope[RECEIVED_KEY] = length_bytes
        if length_bytes > bytes_max:
            raise BodyTooLarge(bytes_max)
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Returns a request's whole body. Raises as ``iter_body``."""
    return b"".join([piece async for piece in iter_body(request, bytes_max)])


def _announced_bytes(request: Request) -> int:
    """Returns the length that the request announces; 0 if it announces none."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0
