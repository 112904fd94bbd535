# SPDX-License-Identifier: Apache-2.0
"""Telling how far a long command has come: one line on a terminal, nothing elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from drystone.cli.output import Output, format_bytes

_LINES_PER_S: Final = 5


class Counts:
    """What was counted so far, shown on a terminal a few times a second at most.

    Args:
        out: Of the command; nothing is shown beside JSON.
    """

    def __init__(self, out: Output) -> None:
        self._is_shown = sys.stderr.isatty() and not out.as_json
        self._counts: dict[str, int] = {}
        self._next_s = 0.0

    def tell(self, what: str, count: int) -> None:
        """Takes how many of something are done; bytes are shown as such."""
        self._counts[what] = count
        now_s = time.monotonic()
        if self._is_shown and now_s >= self._next_s:
            self._next_s = now_s + 1 / _LINES_PER_S
            self._write(", ".join(_show(*item) for item in self._counts.items()))

    def clear(self) -> None:
        """Takes the line away."""
        if self._is_shown:
            self._write("")

    def _write(self, text: str) -> None:
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def counting(out: Output) -> Iterator[Counts]:
    """Yields counts whose line is gone at the end."""
    counts = Counts(out)
    try:
        yield counts
    finally:
        counts.clear()


def _show(what: str, count: int) -> str:
    return format_bytes(count) if what == "bytes" else f"{count:,} {what}"
