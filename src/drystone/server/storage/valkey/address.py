# SPDX-License-Identifier: Apache-2.0
"""Where a Valkey or Redis is, how to connect to it, and how to say so without secrets."""

import ssl
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from redis import connection as blocking
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url

from drystone.core.errors import Misconfigured

SCHEMES: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "redis": "redis",
    "rediss": "rediss",
}
"""What may be written, and what the library calls it. The ``s`` is TLS."""


class ValkeyUnusable(Misconfigured):
    """The settings name a Valkey in a way that nobody can use."""

    code = "valkey-unusable"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the address of the Valkey that the settings name cannot be used: {what}",
            advice="It looks like valkey://:password@host:6379/0; with TLS valkeys://.",
        )


class ValkeyAddress:
    """A parsed address.

    Attributes:
        where: It, without user and password, for people and logs.
        prefix: Of every name that we use there: it holds the number of the database, because
            channels are the same in all of them.
    """

    def __init__(self, where: str, options: dict[str, Any]) -> None:
        self.where = where
        self.prefix = f"drystone:{options['db']}:"
        self._kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        self._options = options

    def make_connection(self, **options: Any) -> AbstractConnection:
        """Returns a connection that is not opened yet."""
        return self._kind(**{**self._options, **options})

    def make_blocking_connection(self, **options: Any) -> blocking.AbstractConnection:
        """Returns a connection for a thread that waits; it is not opened yet."""
        has_tls = issubclass(self._kind, SSLConnection)
        kind = blocking.SSLConnection if has_tls else blocking.Connection
        return kind(**{**self._options, **options})

    @property
    def kind(self) -> type[AbstractConnection]:
        """The library's class of connections to it."""
        return self._kind

    @property
    def options(self) -> dict[str, Any]:
        """What a connection is made with. Holds the password."""
        return dict(self._options)


def parse_address(url: str) -> ValkeyAddress:
    """Reads ``valkey://user:password@host:port/database``. ``redis://`` is the same; ``valkeys://``
    and ``rediss://`` are with TLS, where ``?ca=FILE`` names the authorities to trust.

    Raises:
        ValkeyUnusable: Says what is wrong, without the password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6379
    except ValueError as error:
        raise ValkeyUnusable("host or port cannot be read") from error
    if parts.scheme not in SCHEMES:
        raise ValkeyUnusable(f"{parts.scheme}:// is none of {', '.join(SCHEMES)}")
    if not host:
        raise ValkeyUnusable("no host is named")
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdecimal()):
        raise ValkeyUnusable("the database is not a number")
    more = dict(parse_qsl(parts.query, keep_blank_values=True))
    authorities = more.pop("ca", None)
    if more or parts.fragment:
        raise ValkeyUnusable("after the database may only stand ?ca=FILE")
    if authorities is not None:
        _check_authorities(authorities, has_tls=SCHEMES[parts.scheme] == "rediss")
    plain = parts._replace(scheme=SCHEMES[parts.scheme], query="", fragment="")
    options = dict(parse_url(urlunsplit(plain)))
    options |= {"host": host, "port": port, "db": int(database)}
    if SCHEMES[parts.scheme] == "rediss":
        options["connection_class"] = SSLConnection
        if authorities:
            options["ssl_ca_certs"] = authorities
    shown = f"[{host}]" if ":" in host else host
    return ValkeyAddress(f"{parts.scheme}://{shown}:{port}/{database}", options)


def _check_authorities(path: str, *, has_tls: bool) -> None:
    """Refuses what the library would meet with each connection anew, or pass over."""
    if not has_tls:
        raise ValkeyUnusable("ca=FILE stands there, and it is an address without TLS")
    try:
        ssl.create_default_context().load_verify_locations(path)
    except OSError as error:
        raise ValkeyUnusable(f"the authorities in {path} cannot be read") from error
