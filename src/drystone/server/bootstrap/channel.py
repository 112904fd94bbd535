# SPDX-License-Identifier: Apache-2.0
"""Channel: what the supervisor and one of its workers tell each other.

A pair of sockets that keep messages apart. Each side reads the end of the other: a worker whose
supervisor is gone stops. Rings that the other side is too busy to take are coalesced, one per
namespace, and sent when it takes them: none gets lost while both live.
"""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any, Final

from drystone.core.ids import NamespaceId

MESSAGE_BYTES_MAX: Final = 64 * 1024

_RING: Final = b"R"
_RING_BODY: Final = Struct("<16sQ")
_NOTE: Final = b"N"


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Returns both ends of a new channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def receive_note(end: socket.socket) -> dict[str, Any]:
    """Waits for the first note on a channel; blocks. Empty if the other side has gone."""
    message = end.recv(MESSAGE_BYTES_MAX)
    return dict(json.loads(message[1:])) if message else {}


class Channel:
    """One end of a channel, on the running event loop. Closed by whoever made it.

    Args:
        end: The socket.
        on_ring: Called with each ring that comes.
        on_note: Called with each note that comes.
        on_end: Called once when the other side has gone.
    """

    def __init__(
        self,
        end: socket.socket,
        *,
        on_ring: Callable[[NamespaceId, int], None],
        on_note: Callable[[Mapping[str, Any]], None] = lambda _: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        end.setblocking(False)  # noqa: FBT003
        self._end = end
        self._on_ring = on_ring
        self._on_note = on_note
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._rings: dict[NamespaceId, int] = {}
        self._notes: deque[bytes] = deque()
        self._is_closed = False
        self._loop.add_reader(end, self._read)

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        """Tells the other side that a head has moved. Never blocks, never raises."""
        self._rings[namespace_id] = max(head, self._rings.get(namespace_id, 0))
        self._flush()

    def note(self, told: Mapping[str, Any]) -> None:
        """Tells the other side a few values, as JSON. Never blocks, never raises."""
        self._notes.append(_NOTE + json.dumps(told).encode())
        self._flush()

    def close(self) -> None:
        """Ends it; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()

    def _read(self) -> None:
        """Takes all that has come, so that a burst is one turn of the loop."""
        while not self._is_closed:
            try:
                message = self._end.recv(MESSAGE_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:  # It was killed with something unread.
                message = b""
            if not message:
                self.close()
                self._on_end()
            elif message[:1] == _RING:
                namespace_id, head = _RING_BODY.unpack(message[1:])
                self._on_ring(NamespaceId(namespace_id), head)
            else:
                self._on_note(json.loads(message[1:]))

    def _flush(self) -> None:
        if self._is_closed:
            return
        self._loop.remove_writer(self._end)
        # That it has gone is read, too.
        with suppress(ConnectionError, BrokenPipeError):
            try:
                while self._notes:
                    self._end.send(self._notes[0])
                    self._notes.popleft()
                while self._rings:
                    namespace_id, head = next(iter(self._rings.items()))
                    self._end.send(_RING + _RING_BODY.pack(namespace_id, head))
                    del self._rings[namespace_id]
            except BlockingIOError:
                self._loop.add_writer(self._end, self._flush)
