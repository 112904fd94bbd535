# SPDX-License-Identifier: Apache-2.0
"""The system's clocks, and ids made with them."""

import os
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
    now_ns: Callable[[], int], chance: Callable[[int], bytes] = os.urandom
) -> Callable[[], FileId]:
    """Returns a maker of file ids: UUIDv7, each greater than the one before. Thread-safe.

    Source: RFC 9562, 5.7 and 6.2 (method 1: a counter in the 12 bits after the time).
    """
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
        tail = _VARIANT | (int.from_bytes(chance(8), "big") >> 2)
        return FileId((head | tail).to_bytes(16, "big"))

    return make
