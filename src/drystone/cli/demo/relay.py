# SPDX-License-Identifier: Apache-2.0
"""A relay between one device and the server: counts every byte that passes, and can be cut.

It stands in for the network: what is told as "on the wire" is what really passed, counted by
neither of the two that speak. Two threads per connection; they sleep in the kernel.
"""

import contextlib
import socket
import threading
from typing import Final, NamedTuple

_PIECE_BYTES: Final = 1 << 18
_CONNECT_S_MAX: Final = 10.0


class Traffic(NamedTuple):
    """Bytes that have passed, as TCP delivered them (without packet headers)."""

    up_bytes: int
    down_bytes: int

    @property
    def total_bytes(self) -> int:
        """Both directions together."""
        return self.up_bytes + self.down_bytes

    def since(self, before: "Traffic") -> "Traffic":
        """Returns what passed after ``before``."""
        return Traffic(self.up_bytes - before.up_bytes, self.down_bytes - before.down_bytes)


class Relay:
    """Passes TCP connections on from a port of its own to a server on loopback.

    Args:
        server_port: Where the server listens on 127.0.0.1.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._is_cut = False
        self._is_closed = False
        self._up_bytes = self._down_bytes = 0
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    @property
    def traffic(self) -> Traffic:
        """What has passed so far."""
        with self._lock:
            return Traffic(self._up_bytes, self._down_bytes)

    def cut(self) -> None:
        """Cuts every connection and lets no new one through: the device is offline."""
        with self._lock:
            self._is_cut = True
            connections = list(self._connections)
        for connection in connections:
            # Wakes the thread that sleeps in recv; closing alone would not.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Lets connections through again."""
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        """Ends all connections and stops listening. Idempotent."""
        self._is_closed = True
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._carry, args=(device,), name="relay", daemon=True).start()

    def _carry(self, device: socket.socket) -> None:
        """Passes one connection on until both sides have ended, then closes it."""
        with device, contextlib.suppress(OSError):
            with self._lock:
                if self._is_cut:
                    return
            address = ("127.0.0.1", self._server_port)
            with socket.create_connection(address, timeout=_CONNECT_S_MAX) as server:
                server.settimeout(None)
                for end in (device, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._connections |= {device, server}
                back = threading.Thread(
                    target=self._pump, args=(server, device), kwargs={"is_up": False}, daemon=True
                )
                back.start()
                self._pump(device, server, is_up=True)
                back.join()
                with self._lock:
                    self._connections -= {device, server}

    def _pump(self, source: socket.socket, target: socket.socket, *, is_up: bool) -> None:
        """Passes one direction on until its source ends or either side breaks off."""
        buffer = memoryview(bytearray(_PIECE_BYTES))
        try:
            while count := source.recv_into(buffer):
                with self._lock:
                    if is_up:
                        self._up_bytes += count
                    else:
                        self._down_bytes += count
                target.sendall(buffer[:count])
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
