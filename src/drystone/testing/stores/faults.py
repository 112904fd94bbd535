# SPDX-License-Identifier: Apache-2.0
"""A bad object store: a proxy in front of a real one that breaks what it is told to break."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self
from urllib.parse import urlsplit

_HOP: Final = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length"})
"""Headers about one connection, or told anew."""

_PIECES: Final = 8


@dataclass(frozen=True)
class Says:
    """The store answers so; unless ``after``, it does nothing else."""

    status: int
    word: str = "InternalError"
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False


@dataclass(frozen=True)
class Resets:
    """The connection breaks, before the store has done anything or after it has done all."""

    after: bool = False


@dataclass(frozen=True)
class Truncates:
    """The answer's body ends after so many bytes, in front of its announced end."""

    length_bytes: int


@dataclass(frozen=True)
class Slows:
    """The answer comes in pieces, with so many seconds in front of each."""

    piece_s: float


@dataclass(frozen=True)
class Forgets:
    """The answer comes without these headers (names in small letters)."""

    headers: frozenset[str]


Fault = Says | Resets | Truncates | Slows | Forgets

SLOW_DOWN: Final = Says(503, "SlowDown")
STORE_FULL: Final = Says(507, "XMinioStorageFull")
QUOTA_EXCEEDED: Final = Says(403, "QuotaExceeded")
WRONG_CREDENTIALS: Final = Says(403, "InvalidAccessKeyId")
NO_BUCKET: Final = Says(404, "NoSuchBucket")

Chooser = Callable[[str, str], Fault | None]
"""Gets method and path of a request; returns what goes wrong with it, if anything."""


class StoreFaults:
    """Passes requests on to a store on loopback; as a context manager, closed at its end.

    Args:
        endpoint: Of the store, ``http://127.0.0.1:PORT``.
        retry_s: How long whoever uses its addresses tries again.

    Attributes:
        endpoint: Where the proxy answers.
        asked: Method and path of each request that came, in order.
        broken_count: Requests that something went wrong with.
    """

    def __init__(self, endpoint: str, *, retry_s: float = 1) -> None:
        self._retry_s = retry_s
        self.asked: list[tuple[str, str]] = []
        self.broken_count = 0
        self._lock = threading.Lock()
        self._choose: Chooser = lambda _method, _path: None
        port = urlsplit(endpoint).port
        assert port is not None
        connection = type("Connection", (_Connection,), {"faults": self, "port": port})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), connection)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="faults", daemon=True).start()

    def url(self, bucket: str, folder: str = "") -> str:
        """Returns the address of a place in the store, by way of the proxy."""
        options = f"endpoint={self.endpoint}&allow_http=true&retry_s={self._retry_s}"
        return f"s3://{bucket}/{folder}?{options}"

    def breaks(
        self, fault: Fault, *, methods: str = "", within: str = "", skip: int = 0, times: int = -1
    ) -> None:
        """Breaks requests from now on, in place of what was broken before.

        Args:
            fault: What goes wrong.
            methods: With these methods only ("PUT GET"); all if empty.
            within: With paths only that hold this.
            skip: So many such requests pass at first.
            times: So many are broken, then none; all if negative.
        """
        left = [skip, times]

        def choose(method: str, path: str) -> Fault | None:
            if (methods and method not in methods.split()) or within not in path:
                return None
            if left[0] > 0:
                left[0] -= 1
                return None
            if left[1] == 0:
                return None
            left[1] -= 1
            return fault

        self._choose = choose

    def mend(self) -> None:
        """From now on nothing is broken."""
        self._choose = lambda _method, _path: None

    def choose(self, method: str, path: str) -> Fault | None:
        """Notes a request and returns what goes wrong with it."""
        with self._lock:
            self.asked.append((method, path))
            fault = self._choose(method, path)
            self.broken_count += fault is not None
            return fault

    def close(self) -> None:
        """Stops answering; idempotent."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Connection(BaseHTTPRequestHandler):
    """One connection from whoever uses the store."""

    protocol_version = "HTTP/1.1"
    faults: StoreFaults
    port: int

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.faults.choose(self.command, self.path)
        if isinstance(fault, Says | Resets) and not fault.after:
            self._break(fault)
            return
        status, headers, answer = self._ask(body)
        if isinstance(fault, Says | Resets):
            self._break(fault)
            return
        with contextlib.suppress(OSError):
            self._pass_on(status, headers, answer, fault)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve  # noqa: N815  the class's names

    def _ask(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Returns the store's answer: status, headers with names in small letters, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
            connection.request(self.command, self.path, body or None, headers)
            found = connection.getresponse()
            told = {k.lower(): v for k, v in found.getheaders()}
            return found.status, told, found.read()
        finally:
            connection.close()

    def _break(self, fault: Says | Resets) -> None:
        if isinstance(fault, Resets):
            self._end(is_reset=True)
            return
        body = f"<Error><Code>{fault.word}</Code><Message>told so</Message></Error>".encode()
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(
        self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault | None
    ) -> None:
        forgotten = fault.headers if isinstance(fault, Forgets) else frozenset()
        self.send_response_only(status)
        for name, value in headers.items():
            if name not in _HOP and name not in forgotten:
                self.send_header(name, value)
        if status != 204:
            is_head = self.command == "HEAD"
            length = headers.get("content-length", "0") if is_head else str(len(body))
            self.send_header("content-length", length)
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(fault, Truncates):
            self.wfile.write(body[: fault.length_bytes])
            self._end(is_reset=False)
            return
        pieces_count = _PIECES if isinstance(fault, Slows) else 1
        step = max(len(body) // pieces_count, 1)
        for start in range(0, len(body), step):
            time.sleep(fault.piece_s if isinstance(fault, Slows) else 0)
            self.wfile.write(body[start : start + step])

    def _end(self, *, is_reset: bool) -> None:
        """Ends the connection: with a reset, or in the middle of what was announced."""
        self.close_connection = True
        self.wfile.flush()
        if is_reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the class's name
        """Says nothing."""
