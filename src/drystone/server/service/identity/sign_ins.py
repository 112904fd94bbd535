# SPDX-License-Identifier: Apache-2.0
"""Sign-ins: how often somebody may guess a password.

Counted in memory: a restart forgets, which costs an attacker a restart he cannot cause.
Failures count per account name *and* address, so that nobody can lock the owner out from
elsewhere, and per address over all names, so that one guesser cannot try them all.
"""

from collections import deque
from typing import Final

from drystone.core import limits
from drystone.core.errors import Unavailable
from drystone.core.instant import NS_PER_S

_WINDOW_NS: Final = limits.SIGN_IN_WINDOW_S * NS_PER_S


class TooManyTries(Unavailable):
    """Too many failed sign-ins from here: wait."""

    code = "too-many-tries"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            "too many failed sign-ins from this address",
            advice=f"Wait {retry_after_s:.0f} s, then try again.",
            retry_after_s=retry_after_s,
        )


class SignIns:
    """Recent failures. Not for several threads: lives on the event loop."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], deque[int]] = {}

    def begin(self, name: str, address: str, now_ns: int) -> None:
        """Counts an attempt as failed before it is checked, so that a volley of attempts at
        once is limited too. ``succeed`` takes it back.

        Raises:
            TooManyTries: There were too many; this one is not counted.
        """
        keys = _keys(name, address)
        waits = [self._wait_ns(key, bound, now_ns) for key, bound in keys]
        if wait_ns := max(waits):
            raise TooManyTries(max(1.0, wait_ns / NS_PER_S))
        for key, _ in keys:
            self._failures.setdefault(key, deque()).append(now_ns)
        self._forget_oldest()

    def succeed(self, name: str, address: str) -> None:
        """Forgets the failures of this name from this address, and this attempt."""
        (own, _), (whole, _) = _keys(name, address)
        self._failures.pop(own, None)
        if attempts := self._failures.get(whole):
            attempts.pop()

    def _wait_ns(self, key: tuple[str, str], bound: int, now_ns: int) -> int:
        """Returns how long until one more attempt under ``key`` is allowed; 0 for now."""
        attempts = self._failures.get(key)
        if attempts is None:
            return 0
        # A clock set back makes attempts of the future: they are dropped as well.
        while attempts and not 0 <= now_ns - attempts[0] < _WINDOW_NS:
            attempts.popleft()
        if not attempts:
            del self._failures[key]
            return 0
        return _WINDOW_NS - (now_ns - attempts[0]) if len(attempts) >= bound else 0

    def _forget_oldest(self) -> None:
        """Keeps the table bounded: keys stand in the order of their first failure."""
        while len(self._failures) > limits.SIGN_IN_TRACKED_MAX:
            del self._failures[next(iter(self._failures))]


def _keys(name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
    """Returns what an attempt counts under, each with its bound."""
    return (
        (("=" + name.casefold(), address), limits.SIGN_IN_FAILURES_MAX),
        (("", address), limits.SIGN_IN_FAILURES_PER_ADDRESS_MAX),
    )
