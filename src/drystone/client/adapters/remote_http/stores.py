# SPDX-License-Identifier: Apache-2.0
"""Requests straight to an object store, by tickets that the server gave: sent, and tried again.

The store knows nothing of Drystone: it answers with a status, and any trouble with it is one of
three. The ticket does not count (any more): another one may. The store is busy or the connection
broke: the same again, a little later. Or it will not do at all: then the server relays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Final, TypeVar

import aiohttp
from yarl import URL  # what aiohttp takes addresses as

from drystone.core.errors import Refused, Unavailable
from drystone.core.limits import TICKET_S
from drystone.wire.messages import Ticket

T = TypeVar("T")

ATTEMPTS_MAX: Final = 5
"""Tries of one request while the store is busy or connections break."""

UNREACHED_ATTEMPTS_MAX: Final = 2
"""Tries of one request while no connection comes about: most likely, no way leads there."""

_DELAY_S: Final = 0.3
_DELAY_S_MAX: Final = 10.0
_CONNECT_S_MAX: Final = 10.0
_SILENCE_S_MAX: Final = 60.0
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PUT: Final = frozenset({200, 201, 204})
_TAKEN: Final = frozenset({409, 412})
_NOT_OURS: Final = ("User-Agent", "Content-Type", "Accept")
"""What the library would add by itself, and nobody signed."""


class TicketVoid(Refused):
    """The store does not accept a ticket: it has expired, or clocks differ. Ask for another one."""

    code = "ticket-void"

    def __init__(self, status: int) -> None:
        super().__init__(
            f"the object store refuses what the server signed ({status})",
            advice="Compare the clocks of server and store, and look at the server's credentials.",
        )
        self.status = status


class StoreAway(Unavailable):
    """The object store cannot be used from this device; the server is not concerned."""

    code = "object-store-away"


class StoreSession:
    """Sends tickets to whatever store they are for. Made inside a running loop.

    Args:
        needs_tls: Tickets without TLS are refused: the server itself is spoken to with TLS.
        chance: Gives the jitter of delays, 0 to 1.
        connections_max: At once.
    """

    def __init__(
        self, *, needs_tls: bool, chance: Callable[[], float], connections_max: int
    ) -> None:
        self._needs_tls = needs_tls
        self._chance = chance
        # Nothing of what the server is told goes to the store: not the token either.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections_max, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(
                total=TICKET_S,
                # Not ``connect``: it counts the wait for a connection that others are using, too.
                sock_connect=_CONNECT_S_MAX,
                sock_read=_SILENCE_S_MAX,
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_OURS,
        )

    async def put(self, ticket: Ticket, body: bytes) -> None:
        """Puts a body. One that is there already is as good: nobody else knows the place.

        Raises:
            TicketVoid, StoreAway: As their names say.
        """

        async def once() -> None:
            async with self._request(ticket, body) as response:
                if response.status in _PUT or response.status in _TAKEN:
                    await response.read()
                    return
                raise _trouble(response)

        await self._trying(once)

    async def read(self, ticket: Ticket, length_bytes: int) -> bytes:
        """Returns the range that a ticket is for.

        Raises:
            TicketVoid, StoreAway: As their names say. An answer of another length is one of a store
                that will not do.
        """

        async def once() -> bytes:
            async with self._request(ticket, None) as response:
                if response.status == 404:  # It was moved since the ticket was given.
                    raise TicketVoid(response.status)
                if response.status not in (200, 206):
                    raise _trouble(response)
                content = bytearray()
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) > length_bytes:
                        break
                if len(content) == length_bytes:
                    return bytes(content)
                if len(content) > length_bytes:
                    response.close()
                    raise StoreAway("the object store does not keep to the range asked for")
                raise _Broken("its answer was cut off")

        return await self._trying(once)

    async def close(self) -> None:
        """Ends all connections. Idempotent."""
        await self._session.close()

    def _request(
        self, ticket: Ticket, body: bytes | None
    ) -> "aiohttp.client._RequestContextManager":
        url = _parse(ticket.url)
        is_allowed = url.scheme == "https" or (url.scheme == "http" and not self._needs_tls)
        if not is_allowed:
            raise StoreAway(
                "the server's object store is not spoken to with TLS, as the server is",
                advice="The server's operator can give the store an address with https.",
            )
        if ticket.method != ("GET" if body is None else "PUT"):
            raise StoreAway("the server gave a ticket for something else")
        headers = dict(ticket.headers)
        # As a file, so that it is written in pieces and others go on meanwhile.
        data = None if body is None else BytesIO(body)
        return self._session.request(
            ticket.method, url, data=data, headers=headers, allow_redirects=False
        )

    async def _trying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        delay_s = _DELAY_S
        unreached_count = 0
        reason = ""
        for number in range(1, ATTEMPTS_MAX + 1):
            wait_s = 0.0
            try:
                return await attempt()
            except _Broken as error:
                reason, wait_s = error.reason, error.retry_after_s
            except aiohttp.InvalidURL as error:
                raise StoreAway("the server gave a ticket for an address that is none") from error
            except aiohttp.ClientSSLError as error:
                raise StoreAway(f"the object store cannot be used: {error}") from error
            except aiohttp.ClientResponseError as error:
                # As a text it holds the address, and so the signature.
                reason = f"its answer is none of HTTP ({error.status})"
            except aiohttp.ClientConnectorError as error:
                unreached_count += 1
                reason = f"it cannot be reached: {error.strerror or error}"
            except aiohttp.ConnectionTimeoutError:
                unreached_count += 1
                reason = "it cannot be reached: no answer"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = f"the connection broke: {error or type(error).__name__}"
            if number == ATTEMPTS_MAX or unreached_count == UNREACHED_ATTEMPTS_MAX:
                break
            wait_s = max(wait_s, min(delay_s, _DELAY_S_MAX) * (0.5 + self._chance()))
            await asyncio.sleep(min(wait_s, _DELAY_S_MAX))
            delay_s *= 3
        raise StoreAway(f"the object store does not do what the server signed: {reason}")


def _parse(text: str) -> URL:
    """Returns the address of a ticket, as it is written: that is signed, and not to be quoted."""
    try:
        url = URL(text, encoded=True)
        if url.host and url.port:
            return url
    except ValueError:
        pass  # What it says may hold the address.
    raise StoreAway("the server gave a ticket for an address that is none")


class _Broken(Exception):
    """The same once more may do."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


def _trouble(response: aiohttp.ClientResponse) -> Exception:
    """Returns what a status means that is no success."""
    status = response.status
    if status in _BUSY:
        text = response.headers.get("Retry-After", "")
        return _Broken(f"it answers {status}", float(text) if text.isdigit() else 0.0)
    if status in (400, 401, 403):
        return TicketVoid(status)
    return StoreAway(f"the object store answers {status} to what the server signed")
