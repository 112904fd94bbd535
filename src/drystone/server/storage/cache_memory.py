# SPDX-License-Identifier: Apache-2.0
"""A cache in memory: the reference engine."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from drystone.server.ports.brokers.cache import VALUE_BYTES_MAX

_SIZE_BYTES_MAX: Final = 64 << 20


class MemoryCache:
    """Implements the port ``Cache``; drops what was not asked for longest.

    Args:
        size_bytes_max: Of all values together.
        now_s: A clock that never goes back.
    """

    def __init__(
        self,
        *,
        size_bytes_max: int = _SIZE_BYTES_MAX,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size_max = size_bytes_max
        self._now_s = now_s
        self._values: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def get(self, names: list[bytes]) -> list[bytes | None]:
        with self._lock:
            return [self._find(name) for name in names]

    def put(self, name: bytes, value: bytes, lasts_s: int) -> None:
        if len(value) > VALUE_BYTES_MAX:
            return
        with self._lock:
            self._drop(name)
            self._values[name] = (value, self._now_s() + lasts_s)
            self._size_bytes += len(value)
            while self._size_bytes > self._size_max:
                self._drop(next(iter(self._values)))

    def close(self) -> None:
        with self._lock:
            self._values.clear()
            self._size_bytes = 0

    def _find(self, name: bytes) -> bytes | None:
        value, until_s = self._values.get(name, (b"", 0.0))
        if until_s <= self._now_s():
            self._drop(name)
            return None
        self._values.move_to_end(name)
        return value

    def _drop(self, name: bytes) -> None:
        value, _ = self._values.pop(name, (b"", 0.0))
        self._size_bytes -= len(value)
