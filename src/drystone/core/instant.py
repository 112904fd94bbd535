# SPDX-License-Identifier: Apache-2.0
"""Instants: UTC nanoseconds since 1970 as plain integers, and their RFC 3339 text."""

from datetime import UTC, datetime
from typing import Final, NewType

Instant = NewType("Instant", int)
"""Nanoseconds since 1970-01-01T00:00:00Z. May be negative."""

NS_PER_S: Final = 1_000_000_000


def format_instant(instant: int) -> str:
    """Returns ``instant`` as RFC 3339 text in UTC with milliseconds.

    Instants outside the years 1 to 9999 are shown as a number of seconds.
    """
    try:
        moment = datetime.fromtimestamp(instant // NS_PER_S, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{instant // NS_PER_S}s"
    milliseconds = instant % NS_PER_S // 1_000_000
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
