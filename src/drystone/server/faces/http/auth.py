# SPDX-License-Identifier: Apache-2.0
"""Who calls: the bearer token and the address of a request."""

import ipaddress
from typing import Final

from starlette.requests import HTTPConnection

_SCHEME: Final = "bearer "


def find_bearer_token(connection: HTTPConnection) -> str | None:
    """Returns the token of ``Authorization: Bearer TOKEN``; None without one.

    Source: RFC 6750 section 2.1.
    """
    header = connection.headers.get("authorization", "")
    if header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header[len(_SCHEME) :].strip() or None


def address_of(connection: HTTPConnection) -> str:
    """Returns what guesses of passwords are counted under: the caller's address.

    Of IPv6 only the network of 64 bits counts: its owner has as many addresses as he likes.
    """
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
