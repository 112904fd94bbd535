# SPDX-License-Identifier: Apache-2.0
"""Listening for the bell: a WebSocket, else a long poll, for ever."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

import aiohttp

from drystone.client.adapters.remote_http.session import HttpSession, NotDrystone
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.ids import NamespaceId, Seq, format_id
from drystone.wire.codec import MalformedMessage, decode
from drystone.wire.messages import BellMessage, Problem, WaitAnswer
from drystone.wire.problem import error_from_problem

_HEARTBEAT_S: Final = 55.0
"""An idle client wakes at most every 30 s; most proxies keep a silent connection for 60 s."""
_POLL_S: Final = 60
_DELAY_S: Final = 0.5
_DELAY_S_MAX: Final = 60.0
_REVOKED_CLOSE_CODE: Final = 4401
_ADVICE: Final = re.compile(r"retry_after_s=(\d{1,9}(?:\.\d{1,9})?)")
_ADVICE_S_MAX: Final = 300.0
"""Longer than this a device does not stay without a bell, whatever it is told."""
_OVER: Final = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)


class Bell:
    """Yields heads as they move. One at a time per namespace is enough.

    Args:
        session: To the server.
        namespace_id: Which namespace's head.
        cursor: Gives the cursor read last, for the long poll.
    """

    def __init__(
        self, session: HttpSession, namespace_id: NamespaceId, cursor: Callable[[], str]
    ) -> None:
        self._session = session
        self._namespace = format_id(namespace_id)
        self._cursor = cursor
        self._advised_s = 0.0
        """When to come again, if the server said so as it closed the socket."""

    async def listen(self) -> AsyncIterator[Seq]:
        """See ``Remote.listen``. Raises ``Refused`` when the device may not listen."""
        delay_s = _DELAY_S
        has_sockets = True
        while True:
            heads = self._ring() if has_sockets else self._poll()
            wait_s = 0.0
            try:
                async for head in heads:
                    delay_s = _DELAY_S
                    yield head
            except NotDrystone:
                has_sockets = False
            except Unavailable as error:
                wait_s = error.retry_after_s
            finally:
                await heads.aclose()
            wait_s, self._advised_s = max(wait_s, self._advised_s), 0.0
            wait_s = max(wait_s, delay_s * (0.5 + self._session.chance()))
            await asyncio.sleep(wait_s)
            delay_s = min(delay_s * 2, _DELAY_S_MAX)

    async def _ring(self) -> AsyncGenerator[Seq, None]:
        socket = await self._session.open_socket(
            "/v1/bell", {"namespace": self._namespace}, _HEARTBEAT_S
        )
        self._session.open_bells_count += 1
        try:
            yield Seq(0)
            while (message := await socket.receive()).type not in _OVER:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                try:
                    yield Seq(decode(BellMessage, message.data.encode()).head)
                except MalformedMessage:
                    yield Seq(0)
            if message.type is aiohttp.WSMsgType.CLOSE:
                self._advised_s = _find_advice(str(message.extra or ""))
            if socket.close_code == _REVOKED_CLOSE_CODE:
                raise _revoked()
        finally:
            self._session.open_bells_count -= 1
            await socket.close()

    async def _poll(self) -> AsyncGenerator[Seq, None]:
        while True:
            query = {"namespace": self._namespace, "timeout_s": str(_POLL_S)}
            if cursor := self._cursor():
                query["cursor"] = cursor
            async with self._session.request(
                "GET", "/v1/changes/wait", query=query, silence_s_max=_POLL_S * 2
            ) as response:
                answer = await self._session.read_message(WaitAnswer, response)
            if answer.changed:
                yield Seq(0)
            # The reader needs a moment to move its cursor on.
            await asyncio.sleep(max(answer.backoff_s, _DELAY_S))


def _find_advice(reason: str) -> float:
    """Returns the seconds in a reason like ``retry_after_s=4.2``; 0 if there are none."""
    match = _ADVICE.fullmatch(reason)
    return min(float(match[1]), _ADVICE_S_MAX) if match else 0.0


def _revoked() -> DrystoneError:
    problem = Problem(
        type="urn:drystone:problem:device-revoked",
        title="Refused",
        status=401,
        code="device-revoked",
        detail="this device was revoked on the server",
        advice="Sign in again with: drystone login URL",
    )
    return error_from_problem(problem)
