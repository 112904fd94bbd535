# SPDX-License-Identifier: Apache-2.0
"""Clock: the only way the client learns the time."""

from typing import Protocol


class Clock(Protocol):
    """Time, as a parameter."""

    def now_ns(self) -> int:
        """Returns UTC nanoseconds since 1970. May jump, also backwards."""
        ...

    def date_text(self) -> str:
        """Returns today's local date as YYYY-MM-DD, for the names of conflicted copies."""
        ...

    def monotonic_s(self) -> float:
        """Returns seconds since some moment; never goes backwards."""
        ...
