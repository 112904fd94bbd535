# SPDX-License-Identifier: Apache-2.0
"""A cache in Valkey or Redis: ``drystone:<db>:cache:<name, hex>``, each with an end."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from drystone.server.ports.brokers.cache import VALUE_BYTES_MAX
from drystone.server.storage.valkey.address import ValkeyAddress

log = structlog.get_logger()

WAIT_S: Final = 0.05
"""For each step of an answer. Longer than that, and the database would have been as quick."""

REST_S: Final = 5.0
"""After a failure nobody asks for so long; then one does, and the others once it was answered."""


class ValkeyCache:
    """Implements the port ``Cache``. Each thread that asks has a connection while it does.

    Args:
        address: Of the server.
        wait_s: Longest wait for a connection, and for an answer.
        rest_s: How long it is left alone after a failure.
        now_s: A clock that never goes back.

    Attributes:
        failures: How many times somebody waited in vain, or was refused.
    """

    def __init__(
        self,
        address: ValkeyAddress,
        *,
        wait_s: float = WAIT_S,
        rest_s: float = REST_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._prefix = f"{address.prefix}cache:".encode("ascii")
        self._wait_s = wait_s
        self._rest_s = rest_s
        self._now_s = now_s
        self._idle: list[AbstractConnection] = []
        self._lock = threading.Lock()
        self._rests_until_s: float | None = None
        self._is_closed = False
        self.failures = 0

    def get(self, names: list[bytes]) -> list[bytes | None]:
        if names:
            values = self._ask(b"MGET", *map(self._name, names))
            if isinstance(values, list) and len(values) == len(names):
                return values
        return [None] * len(names)

    def put(self, name: bytes, value: bytes, lasts_s: int) -> None:
        if len(value) <= VALUE_BYTES_MAX:
            self._ask(b"SET", self._name(name), value, b"EX", b"%d" % lasts_s)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            _end(connection)

    def _name(self, name: bytes) -> bytes:
        return self._prefix + name.hex().encode("ascii")

    def _ask(self, *command: bytes) -> Any:
        """Returns the answer to a command; None if there was none in time."""
        if not self._may_ask():
            return None
        connection = None
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect()
            packed = connection.pack_command(*command)  # type: ignore[no-untyped-call]
            connection.send_packed_command(packed)  # type: ignore[no-untyped-call]
            answer = connection.read_response()
        except (RedisError, OSError, ValueError) as error:
            if connection is not None:
                _end(connection)
            self._begin_rest(error)
            return None
        self._end_rest(connection)
        return answer

    def _may_ask(self) -> bool:
        """Tells whether to ask at all: after a failure, one at a time tries."""
        with self._lock:
            if self._is_closed:
                return False
            if self._rests_until_s is None:
                return True
            now_s = self._now_s()
            if now_s < self._rests_until_s:
                return False
            self._rests_until_s = now_s + self._rest_s
            return True

    def _begin_rest(self, error: Exception) -> None:
        with self._lock:
            is_news = self._rests_until_s is None
            self._rests_until_s = self._now_s() + self._rest_s
            self.failures += 1
            # Others were opened to the same server.
            idle, self._idle = self._idle, []
        for connection in idle:
            _end(connection)
        if is_news:
            why = str(error) or type(error).__name__
            log.warning("cache.lost", where=self._address.where, why=why)

    def _end_rest(self, connection: AbstractConnection) -> None:
        with self._lock:
            was_lost, self._rests_until_s = self._rests_until_s is not None, None
            is_kept = not self._is_closed
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            _end(connection)
        if was_lost:
            log.info("cache.up", where=self._address.where)

    def _connect(self) -> AbstractConnection:
        connection = self._address.make_blocking_connection(
            socket_timeout=self._wait_s,
            socket_connect_timeout=self._wait_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
            client_name="drystone-cache",
        )
        connection.connect()  # type: ignore[no-untyped-call]
        return connection


def _end(connection: AbstractConnection) -> None:
    with suppress(RedisError, OSError):
        connection.disconnect()  # type: ignore[no-untyped-call]
