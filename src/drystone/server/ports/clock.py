# SPDX-License-Identifier: Apache-2.0
"""Clock: the only way the server learns the time."""

from typing import Protocol


class Clock(Protocol):
    """Time, as a parameter."""

    def now_ns(self) -> int:
        """Returns UTC nanoseconds since 1970. May jump, also backwards."""
        ...
