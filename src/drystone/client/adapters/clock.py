# SPDX-License-Identifier: Apache-2.0
"""The system's clocks, and ids made with them."""

import random
import threading
import time
from collections.abc import Callable
from typing import Final

from drystone.core.ids import FileId

_VERSION_7: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_COUNTER_MAX: Final = 0xFFF


class SystemClock:
    """The machine's clocks. The only place of the client that reads them."""

    def now_ns(self) -> int:
        return time.time_ns()  # noqa: TID251 (the one adapter)

    def date_text(self) -> str:
        return time.strftime("%Y-%m-%d")

    def monotonic_s(self) -> float:
        return time.monotonic()


def make_file_ids(
    now_ns: Callable[[], int], chance: random.Random | None = None
) -> Callable[[], FileId]:
    """Returns a maker of file ids: UUIDv7, each greater than the one before. Thread-safe.

    They need to differ, not to be secret: asking the system for chance takes ten times as long
    as all the rest. Source: RFC 9562, 5.7 and 6.2 (method 1: a counter after the time).
    """
    source = random.Random() if chance is None else chance
    lock = threading.Lock()
    last_ms, counter = 0, 0

    def make() -> FileId:
        nonlocal last_ms, counter
        with lock:
            now_ms = now_ns() // 1_000_000
            if now_ms > last_ms:
                last_ms, counter = now_ms, 0
            elif counter < _COUNTER_MAX:
                counter += 1
            else:
                last_ms, counter = last_ms + 1, 0
            head = (last_ms << 80) | _VERSION_7 | (counter << 64)
            return FileId((head | _VARIANT | source.getrandbits(62)).to_bytes(16, "big"))

    return make
