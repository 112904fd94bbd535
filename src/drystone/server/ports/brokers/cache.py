# SPDX-License-Identifier: Apache-2.0
"""Cache: answers kept for a while beside the database. Losing it costs speed, never truth."""

from typing import Final, Protocol

VALUE_BYTES_MAX: Final = 2 << 20
"""Larger values are not kept: a page of entries with the longest names would hold up everybody."""


class Cache(Protocol):
    """Keeps values under names, for whoever would have to read much otherwise.

    What comes back is a claim: it may be gone at any time, and somebody else may have written it.
    Safe to call from several threads. Nothing here raises, and nothing waits for long: an engine
    that does not answer is left alone for some seconds.
    """

    def get(self, names: list[bytes]) -> list[bytes | None]:
        """Returns the values of these names, in their order; None for each that is not there.
        One round trip.
        """
        ...

    def put(self, name: bytes, value: bytes, lasts_s: int) -> None:
        """Keeps a value for so many seconds at most, or not at all: also if it is longer than
        ``VALUE_BYTES_MAX``.
        """
        ...

    def close(self) -> None:
        """Ends all connections. Idempotent; afterwards nothing is found."""
        ...
