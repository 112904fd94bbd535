# SPDX-License-Identifier: Apache-2.0
"""A clock that stands until it is moved."""

from typing import Final

from drystone.core.instant import NS_PER_S

SOME_DAY_NS: Final = 1_700_000_000 * NS_PER_S
"""2023-11-14, in the afternoon."""


class ManualClock:
    """Implements the clocks of server and client."""

    def __init__(self, now_ns: int = SOME_DAY_NS) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def date_text(self) -> str:
        return "2023-11-14"

    def monotonic_s(self) -> float:
        return self._now_ns / NS_PER_S

    def advance(self, seconds: float) -> None:
        """Moves it; backwards too, as real clocks do."""
        self._now_ns += round(seconds * NS_PER_S)
