# SPDX-License-Identifier: Apache-2.0
"""Bits: a set of small numbers, one bit each: 12 MB for a hundred million blocks."""

from collections.abc import Iterable, Iterator


class Bits:
    """A set of numbers from 0 on. Grows with the largest."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, number: int) -> bool:
        """Adds a number; returns True if it is new."""
        at, bit = number >> 3, 1 << (number & 7)
        if at >= len(self._bytes):
            # Half as much again: growing costs no more than what is there.
            self._bytes.extend(bytes(at + 1 - len(self._bytes) + len(self._bytes) // 2))
        is_new = not self._bytes[at] & bit
        self._bytes[at] |= bit
        return is_new

    def update(self, numbers: Iterable[int]) -> None:
        """Adds all of these."""
        for number in numbers:
            self.add(number)

    def __iter__(self) -> Iterator[int]:
        """Yields the numbers, smallest first. Cost: a look at each byte."""
        for at, byte in enumerate(self._bytes):
            if byte:
                yield from ((at << 3) + bit for bit in range(8) if byte & 1 << bit)

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return 0 <= at < len(self._bytes) and bool(self._bytes[at] & 1 << (number & 7))
