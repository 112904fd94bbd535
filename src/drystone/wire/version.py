# SPDX-License-Identifier: Apache-2.0
"""Versions of the native protocol, and the names of its headers.

A version is a number. Additions (new fields, new routes) do not change it: either side
ignores fields it does not know. The client names the version it speaks in each request; a
server that does not speak it refuses, and tells which versions it does speak.
"""

from typing import Final

from drystone.core.errors import Refused

PROTOCOL: Final = 1
SPOKEN: Final = frozenset({PROTOCOL})
"""Versions that this program speaks."""

PROTOCOL_HEADER: Final = "Drystone-Protocol"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
REQUEST_ID_HEADER: Final = "Request-Id"
TRANSFER_HEADER: Final = "Drystone-Transfer"
"""In every answer of a server that gives tickets to its object store: ``direct``."""
DIRECT: Final = "direct"


class ProtocolUnknown(Refused):
    """The other side speaks no version of the protocol that this one speaks."""

    code = "protocol-unknown"


def check_protocol(header: str | None) -> int:
    """Returns the version named by a request's ``PROTOCOL_HEADER``; none means version 1.

    Raises:
        ProtocolUnknown: This program does not speak it.
    """
    if header is None:
        return PROTOCOL
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) in SPOKEN:
        return int(text)
    raise ProtocolUnknown(
        f"protocol {text[:20]!r} is not spoken here, only {format_spoken()}",
        advice="Upgrade the older of client and server.",
    )


def format_spoken() -> str:
    """Returns the versions spoken here as text, as a refusal tells them."""
    return ", ".join(str(version) for version in sorted(SPOKEN))
