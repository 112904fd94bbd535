# SPDX-License-Identifier: Apache-2.0
"""A bad network: a relay before a server that changes what passes, or cuts it off."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final, Self

from drystone.core.content.hashing import BUNDLE_TAG

_PIECE_BYTES: Final = 1 << 18
_CONNECT_S_MAX: Final = 10.0

Tamper = Callable[[bytes], bytes | None]
"""Gets each piece of a direction as it comes and returns what is passed on; None cuts the
connection there."""


def pass_on(piece: bytes) -> bytes:
    """Changes nothing."""
    return piece


class BadRelay:
    """Passes TCP connections on from a port of its own to a server on loopback.

    Args:
        server_port: Where the server listens on 127.0.0.1. May be changed.

    Attributes:
        up: What happens to bytes on their way to the server.
        down: What happens to bytes on their way to the device.
        url: What a device is told to be the server's.
    """

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.up: Tamper = pass_on
        self.down: Tamper = pass_on
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="bad-relay", daemon=True).start()

    def mend(self) -> None:
        """From now on nothing is changed."""
        self.up = self.down = pass_on

    def close(self) -> None:
        """Stops listening; connections end with those who opened them. Idempotent."""
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
                device, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(
                target=self._carry, args=(device,), name="bad-relay", daemon=True
            ).start()

    def _carry(self, device: socket.socket) -> None:
        with device, contextlib.suppress(OSError):
            address = ("127.0.0.1", self.server_port)
            with socket.create_connection(address, timeout=_CONNECT_S_MAX) as server:
                server.settimeout(None)
                for end in (device, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(
                    target=self._pump,
                    args=(server, device, self._change_down),
                    daemon=True,
                )
                back.start()
                self._pump(device, server, self._change_up)
                back.join()

    def _change_up(self, piece: bytes) -> bytes | None:
        return self.up(piece)

    def _change_down(self, piece: bytes) -> bytes | None:
        return self.down(piece)

    def _pump(self, source: socket.socket, target: socket.socket, tamper: Tamper) -> None:
        """Passes one direction on until its source ends, or it is cut."""
        try:
            while piece := source.recv(_PIECE_BYTES):
                changed = tamper(piece)
                if changed is None:
                    break
                target.sendall(changed)
            else:
                target.shutdown(socket.SHUT_WR)
                return
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class FlipInBundle:
    """A ``Tamper`` that inverts one byte of each bundle of blocks that passes.

    Args:
        offset_bytes: Which byte of the bundle. Its first frame's payload begins at 52.
        times: Bundles after which nothing is changed any more.

    Attributes:
        count: Bundles changed so far.
    """

    def __init__(self, offset_bytes: int, times: int = 1 << 30) -> None:
        self.count = 0
        self._offset_bytes = offset_bytes
        self._times = times

    def __call__(self, piece: bytes) -> bytes:
        start = piece.find(BUNDLE_TAG)
        at = start + self._offset_bytes
        if start < 0 or at >= len(piece) or self.count >= self._times:
            return piece
        self.count += 1
        return piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]


class CutInBundle:
    """A ``Tamper`` that cuts the connection once so much of a bundle of blocks has passed.

    Args:
        length_bytes: How much of a bundle passes.
        times: Bundles after which nothing is cut any more.

    Attributes:
        count: Bundles cut so far.
    """

    def __init__(self, length_bytes: int, times: int = 1 << 30) -> None:
        self.count = 0
        self._length_bytes = length_bytes
        self._times = times
        self._left_bytes = -1

    def __call__(self, piece: bytes) -> bytes | None:
        if self.count >= self._times:
            return piece
        if self._left_bytes < 0:
            start = piece.find(BUNDLE_TAG)
            if start < 0:
                return piece
            self._left_bytes = start + self._length_bytes
        if len(piece) <= self._left_bytes:
            self._left_bytes -= len(piece)
            return piece
        self._left_bytes = -1
        self.count += 1
        return None
