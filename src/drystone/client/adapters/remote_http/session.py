# SPDX-License-Identifier: Apache-2.0
"""One HTTP session with one server: requests, their trouble, and what they cost."""

import asyncio
import math
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp

from drystone.client.ports import Traffic
from drystone.core.errors import DrystoneError, Misconfigured, Refused, Unavailable
from drystone.core.limits import REQUEST_JSON_BYTES_MAX
from drystone.wire.codec import (
    JSON_MEDIA_TYPE,
    ZSTD_ENCODING,
    decode_body,
    encode_body,
)
from drystone.wire.messages import Message, Problem
from drystone.wire.problem import PROBLEM_MEDIA_TYPE, error_from_problem
from drystone.wire.version import DIRECT, PROTOCOL, PROTOCOL_HEADER, TRANSFER_HEADER

M = TypeVar("M", bound=Message)
T = TypeVar("T")

CONNECTIONS_MAX: Final = 6
_CONNECT_S_MAX: Final = 15.0
_SILENCE_S_MAX: Final = 120.0
"""A server that syncs a large pack to a slow disk may say nothing for a while."""
_READ_BUFFER_BYTES: Final = 1 << 20
_ATTEMPTS_MAX: Final = 3
_RETRY_DELAY_S: Final = 0.3
_RETRY_DELAY_S_MAX: Final = 5.0
_ERROR_BODY_BYTES_MAX: Final = 1 << 20
_NOT_IN_URL: Final = frozenset("@?# \\")
"""A user's name, a query or a fragment would be taken for ours, or left out silently."""
_GATEWAY_STATUSES: Final = frozenset({502, 503, 504})


class ServerAway(Unavailable):
    """The server cannot be reached, or the connection to it broke."""

    code = "server-away"


class TlsFailed(Misconfigured):
    """The server's certificate is not trusted, or TLS cannot be spoken with it."""

    code = "tls-failed"


class NotDrystone(Misconfigured):
    """Something answers at the URL, but it is no Drystone server."""

    code = "not-a-drystone-server"


class BadServerUrl(Refused):
    """A text is not the URL of a server."""

    code = "bad-server-url"


def check_url(text: str) -> str:
    """Returns a server's URL in the one way we write it: without a slash at its end.

    Raises:
        BadServerUrl: It is not ``http://HOST[:PORT]`` or ``https://HOST[:PORT]``; a path may
            follow, if a proxy serves more than one thing.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise _bad_url(text) from error
    is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    if not is_usable or not text.isprintable() or _NOT_IN_URL.intersection(text):
        # Without the whole text: a name and a password in it are nobody's business.
        raise _bad_url(text.rpartition("@")[2])
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _bad_url(text: str) -> BadServerUrl:
    return BadServerUrl(
        f"{text[:200]!r} is not the URL of a server",
        advice="Write it like https://sync.example.org or http://127.0.0.1:8440.",
    )


class HttpSession:
    """Connections to one server, kept open and shared. Made inside a running loop.

    Args:
        url: As ``check_url`` takes it.
        token: The device's; empty before signing in.
        chance: Gives the jitter of delays, 0 to 1.
    """

    def __init__(
        self, url: str, token: str = "", chance: Callable[[], float] = random.random
    ) -> None:
        self.url = check_url(url)
        self.chance = chance
        headers = {PROTOCOL_HEADER: str(PROTOCOL), "Accept-Encoding": ZSTD_ENCODING}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # What aiohttp adds by itself (host, content type and length), and the request line.
        self._head_bytes = sum(len(k) + len(v) + 4 for k, v in headers.items()) + 150
        self.offers_direct = False
        """Whether the server gave out, in its last answer, that it gives tickets to its store."""
        self.open_bells_count = 0
        """Bells that are open now; whoever opens one counts it."""
        self._loop = asyncio.get_running_loop()
        self._heard_s: float | None = None
        self._requests_count = 0
        self._sent_bytes = 0
        self._received_bytes = 0
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=_CONNECT_S_MAX,
                sock_connect=_CONNECT_S_MAX,
                sock_read=_SILENCE_S_MAX,
            ),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
        )

    def silent_s(self) -> float:
        """See ``Remote.silent_s``."""
        if self.open_bells_count:
            return 0.0
        return math.inf if self._heard_s is None else self._loop.time() - self._heard_s

    def traffic(self) -> Traffic:
        """Returns what went over the wire so far."""
        return Traffic(self._requests_count, self._sent_bytes, self._received_bytes)

    def count(self, *, sent_bytes: int = 0, received_bytes: int = 0) -> None:
        """Adds body bytes that are streamed."""
        self._sent_bytes += sent_bytes
        self._received_bytes += received_bytes

    async def get(self, answer: type[M], path: str, query: Mapping[str, str] | None = None) -> M:
        """Asks for a message; repeated while the server is away."""
        return await self.retrying(lambda: self._exchange(answer, "GET", path, query=query))

    async def post(
        self,
        answer: type[M],
        path: str,
        message: Message,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """Sends a message and returns the answer. Only for what may be repeated safely."""
        body, encoding = encode_body(message, accept_zstd=True)
        told = {"Content-Type": JSON_MEDIA_TYPE, **(headers or {})}
        if encoding:
            told["Content-Encoding"] = encoding
        return await self.retrying(
            lambda: self._exchange(answer, "POST", path, body=body, headers=told)
        )

    async def post_once(self, answer: type[M], path: str, message: Message) -> M:
        """Sends a message that must not be repeated, and returns the answer."""
        body, _ = encode_body(message, accept_zstd=False)
        headers = {"Content-Type": JSON_MEDIA_TYPE}
        return await self._exchange(answer, "POST", path, body=body, headers=headers)

    async def delete(self, path: str) -> None:
        """Removes what is at a path."""

        async def once() -> None:
            async with self.request("DELETE", path):
                pass

        await self.retrying(once)

    async def retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Runs an attempt again, a few times, while it raises ``Unavailable``."""
        delay_s = _RETRY_DELAY_S
        for _ in range(_ATTEMPTS_MAX - 1):
            try:
                return await attempt()
            except Unavailable as error:
                wait_s = max(error.retry_after_s, delay_s * (0.5 + self.chance()))
                if wait_s > _RETRY_DELAY_S_MAX:
                    raise
                delay_s *= 3
            await asyncio.sleep(wait_s)
        return await attempt()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s_max: float = _SILENCE_S_MAX,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Sends one request and lends its successful response, to be read inside.

        Raises:
            ServerAway: No connection, or it broke, also while the response is read.
            NotDrystone: The answer is not of a Drystone server.
            DrystoneError: What the server's problem details say.
        """
        self._requests_count += 1
        self._sent_bytes += self._head_bytes + len(path)
        if isinstance(body, bytes):
            self._sent_bytes += len(body)
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=_CONNECT_S_MAX,
            sock_connect=_CONNECT_S_MAX,
            sock_read=silence_s_max,
        )
        try:
            async with self._session.request(
                method, self.url + path, params=query, data=body, headers=headers,
                timeout=timeout, allow_redirects=False,
            ) as response:  # fmt: skip
                self._heard_s = self._loop.time()
                self.offers_direct = response.headers.get(TRANSFER_HEADER) == DIRECT
                heads = response.raw_headers
                self._received_bytes += 17 + sum(len(k) + len(v) + 4 for k, v in heads)
                if response.status >= 300:
                    raise await self._trouble(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate(error, self.url) from error

    async def open_socket(
        self, path: str, query: Mapping[str, str], heartbeat_s: float
    ) -> aiohttp.ClientWebSocketResponse:
        """Opens a WebSocket. Raises as ``request`` does."""
        self._requests_count += 1
        self._sent_bytes += self._head_bytes + len(path)
        try:
            return await self._session.ws_connect(
                self.url + path, params=query, heartbeat=heartbeat_s, max_msg_size=1 << 16
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate(error, self.url) from error

    async def close(self) -> None:
        """Ends all connections. Idempotent."""
        await self._session.close()

    async def _exchange(
        self,
        answer: type[M],
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        async with self.request(method, path, query=query, body=body, headers=headers) as response:
            return await self.read_message(answer, response)

    async def read_message(self, answer: type[M], response: aiohttp.ClientResponse) -> M:
        """Reads a response that holds one message, at most ``REQUEST_JSON_BYTES_MAX``."""
        if not response.headers.get("Content-Type", "").startswith(JSON_MEDIA_TYPE):
            raise not_drystone(self.url)
        content = await self._read_bounded(response, REQUEST_JSON_BYTES_MAX)
        try:
            return decode_body(answer, content, response.headers.get("Content-Encoding"))
        except Refused as error:
            raise not_drystone(self.url) from error

    async def _read_bounded(self, response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
        content = bytearray()
        async for piece in response.content.iter_any():
            content += piece
            if len(content) > bytes_max:
                raise not_drystone(self.url)
        self._received_bytes += len(content)
        return bytes(content)

    async def _trouble(self, response: aiohttp.ClientResponse) -> DrystoneError:
        """Returns what an unsuccessful response means."""
        if response.headers.get("Content-Type", "").startswith(PROBLEM_MEDIA_TYPE):
            content = await self._read_bounded(response, _ERROR_BODY_BYTES_MAX)
            try:
                problem = decode_body(Problem, content, response.headers.get("Content-Encoding"))
            except Refused:
                return not_drystone(self.url)
            return error_from_problem(problem)
        # A proxy in front of a server that is being started anew speaks for itself.
        if response.status in _GATEWAY_STATUSES:
            return ServerAway(
                f"{self.url} answers that the server behind it is away ({response.status})",
                advice="Try again in a moment.",
            )
        return not_drystone(self.url)


def not_drystone(url: str) -> NotDrystone:
    """Returns the error for an answer that no Drystone server gives."""
    return NotDrystone(
        f"{url} answers, but not as a Drystone server does",
        advice="Check the URL, with its port: it is what `drystone serve` printed at its start.",
    )


def translate(error: Any, url: str) -> DrystoneError:
    """Returns our error for one of aiohttp's."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return TlsFailed(
                f"no trusted connection to {url}: {error}",
                advice="Check the server's certificate, or whether it speaks TLS at this port.",
            )
        case aiohttp.InvalidURL():
            return BadServerUrl(f"{url!r} is not the URL of a server")
        case aiohttp.WSServerHandshakeError():
            return NotDrystone(f"{url} does not open a bell ({error.status})")
        case aiohttp.ClientResponseError():
            return not_drystone(url)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            # asyncio puts its own words in place of the system's "connection refused".
            if cause.errno and not isinstance(cause, socket.gaierror):
                reason = os.strerror(cause.errno)
            else:
                reason = cause.strerror or str(cause)
            return ServerAway(
                f"the server at {url} cannot be reached: {reason.lower()}",
                advice="Check that it runs and that the URL is right, then try again.",
            )
        case TimeoutError():
            return ServerAway(
                f"the server at {url} does not answer in time", advice="Try again in a moment."
            )
        case _:
            return ServerAway(
                f"the connection to {url} broke: {error or type(error).__name__}",
                advice="Try again in a moment.",
            )
