# SPDX-License-Identifier: Apache-2.0
"""Where a NATS is, how to connect to it, and how to say so without secrets."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError

from drystone.core.errors import Misconfigured

CONNECT_S: Final = 2
CLOSE_S: Final = 0.2

_SUBJECT: Final = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")


class NatsUnusable(Misconfigured):
    """The settings name a NATS in a way that nobody can use."""

    code = "nats-unusable"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the address of the NATS that the settings name cannot be used: {what}",
            advice="It looks like nats://user:password@host:4222?subject=drystone; with TLS tls://.",
        )


class NatsAddress(NamedTuple):
    """A parsed address.

    Attributes:
        where: It, without user and password, for people and logs.
        subject: What every subject begins with that we use there.
        options: What the library connects with. Holds the password.
    """

    where: str
    subject: str
    options: dict[str, Any]

    async def connect(self, closed: Callable[[], Awaitable[None]]) -> Client:
        """Returns a connection that does not reconnect by itself.

        Args:
            closed: Told when it has ended, for whatever reason; not if it never began.

        Raises whatever the library does, ``OSError`` and ``TimeoutError``.
        """

        async def ignore(_: Exception) -> None:
            """What goes wrong is told to whoever waits for it."""

        has_begun = False

        async def end() -> None:
            if has_begun:
                await closed()

        client = TLSClient() if "tls" in self.options else Client()
        try:
            await client.connect(
                **self.options,
                name="drystone",
                allow_reconnect=False,
                max_reconnect_attempts=0,
                connect_timeout=CONNECT_S,
                error_cb=ignore,
                closed_cb=end,
            )
        except BaseException:
            # The library leaves the socket of a try that failed open. It waits for the other side
            # to end, which one with whom TLS failed may never do.
            with suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await client.close()
            raise
        has_begun = True
        return client


class TLSClient(Client):
    """A client that says nothing, its password least of all, before TLS stands.

    The library asks for TLS if the server says that it has to be; if it does not, the library
    goes on without, whatever was asked for.
    """

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise NatsError("the server does not ask for TLS, and the address does")
        return super()._connect_command()


def parse_address(url: str) -> NatsAddress:
    """Reads ``nats://user:password@host:port?subject=prefix``, or ``nats://token@host``. ``tls://``
    is with TLS, where ``ca=FILE`` names the authorities to trust.

    Raises:
        NatsUnusable: Says what is wrong, without the password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 4222
    except ValueError as error:
        raise NatsUnusable("host or port cannot be read") from error
    if parts.scheme not in ("nats", "tls"):
        raise NatsUnusable(f"{parts.scheme}:// is neither nats:// nor tls://")
    if not host:
        raise NatsUnusable("no host is named")
    more = dict(parse_qsl(parts.query, keep_blank_values=True))
    subject = more.pop("subject", "drystone")
    authorities = more.pop("ca", None)
    if more or parts.fragment or parts.path.strip("/"):
        raise NatsUnusable("after the port may only stand ?subject=PREFIX and &ca=FILE")
    if not _SUBJECT.fullmatch(subject):
        raise NatsUnusable("the subject is not made of words with dots between")
    shown = f"[{host}]" if ":" in host else host
    where = f"{parts.scheme}://{shown}:{port}"
    options: dict[str, Any] = {"servers": [where]}
    if parts.password is not None:
        options |= {"user": unquote(parts.username or ""), "password": unquote(parts.password)}
    elif parts.username:
        options["token"] = unquote(parts.username)
    if authorities is not None and parts.scheme != "tls":
        raise NatsUnusable("ca=FILE stands there, and it is an address without TLS")
    if parts.scheme == "tls":
        try:
            options["tls"] = context = ssl.create_default_context()
            if authorities is not None:
                context.load_verify_locations(authorities)
        except OSError as error:
            raise NatsUnusable(f"the authorities in {authorities} cannot be read") from error
    return NatsAddress(f"{where}?subject={subject}", subject, options)
