# SPDX-License-Identifier: Apache-2.0
"""Answers that are made while they are sent, with memory bounded by what is under way.

Made by hand: Starlette's own costs a task group and an encode per piece, and goes on making
what nobody reads any more.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drystone.core.errors import DrystoneError
from drystone.core.limits import BODY_STALL_S

log = structlog.get_logger()


class StreamedResponse(Response):
    """Sends pieces as they are made; each waits until the one before has left.

    The first piece is made before the status is sent, so that an error there is still told as
    one. After that the status cannot be taken back: if making fails, the body just ends, and
    whatever it is must tell its own end (a bundle does). Once the caller is gone, or has
    taken nothing for ``BODY_STALL_S``, nothing more is made.

    Args:
        pieces: Of any size, none empty. Closed in any case.
        media_type: Of the whole.
        headers: More of them.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._pieces = pieces
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer."""
        gone = asyncio.create_task(_wait_until_gone(receive))
        try:
            await self._send_pieces(send, gone)
        finally:
            gone.cancel()
            await self._pieces.aclose()

    async def _send_pieces(self, send: Send, gone: "asyncio.Task[None]") -> None:
        piece = await anext(self._pieces, b"")
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        while piece:
            try:
                async with asyncio.timeout(BODY_STALL_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                log.info("answer.not-taken", stall_s=BODY_STALL_S)
                return
            if gone.done():
                return
            try:
                piece = await anext(self._pieces, b"")
            except DrystoneError as error:
                log.warning("answer.broke-off", code=error.code, reason=error.message)
                break
        await send({"type": "http.response.body", "body": b""})


async def _wait_until_gone(receive: Receive) -> None:
    """Returns once the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
