# SPDX-License-Identifier: Apache-2.0
"""A false server: something that listens where a client expects ours, and answers anything."""

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import Final, Self

_HEAD_BYTES_MAX: Final = 1 << 16
_SILENCE_S_MAX: Final = 10.0


class FalseServer:
    """Answers every request alike, on a free port of the loopback.

    Attributes:
        port: Where it listens.
        url: The same, for a client.
        requests_count: Connections on which something was asked.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests_count = 0
        self._answer = b""
        self._is_eager = False
        threading.Thread(target=self._accept, name="false-server", daemon=True).start()

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answers this from now on, and closes the connection."""
        told = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in told.items())]
        self._answer = "\r\n".join([*lines, "", ""]).encode() + body
        self._is_eager = False

    def say_at_once(self, words: bytes) -> None:
        """From now on says this to whoever comes, before anything is asked."""
        self._answer = words
        self._is_eager = True

    def close(self) -> None:
        """Stops listening. Idempotent."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(_SILENCE_S_MAX)
            if not self._is_eager:
                _read_request(client)
            self.requests_count += 1
            client.sendall(self._answer)


def _read_request(client: socket.socket) -> None:
    """Reads a request with the body that it announces: else the answer would be reset."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES_MAX:
        piece = client.recv(_HEAD_BYTES_MAX)
        if not piece:
            return
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = client.recv(_HEAD_BYTES_MAX)
        if not piece:
            return
        body += piece
