# SPDX-License-Identifier: Apache-2.0
"""Listeners: who is waiting for the bell, and how they are told to stop waiting.

An open bell outlives the request that opened it, so that it must be found and closed when its
device is revoked, when the device opens too many, and when the server stops.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from drystone.core import limits
from drystone.core.ids import DeviceId
from drystone.server.service.actor import Actor


class CloseReason(Enum):
    """Why a listener must end."""

    REVOKED = "revoked"
    REPLACED = "replaced"
    STOPPING = "stopping"


class Listener:
    """One open bell or long poll."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.closed: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        """Done once the listener must end."""

    def close(self, reason: CloseReason) -> None:
        """Tells the listener to end. The first reason stands."""
        if not self.closed.done():
            self.closed.set_result(reason)


class Listeners:
    """All open listeners of this process. Lives on the event loop."""

    def __init__(self) -> None:
        self._open: dict[DeviceId, list[Listener]] = {}
        self._is_stopping = False
        self.stopped_count = 0
        """How many were open when the server began to stop; 0 before."""

    @contextmanager
    def open(self, actor: Actor) -> Iterator[Listener]:
        """Counts a listener while the context lasts.

        If its device has ``BELL_CONNECTIONS_PER_DEVICE_MAX`` open already, the oldest of them
        is told to end: a client that lost a connection without knowing gets in again. Once
        the server is stopping, a new listener is closed from the start.
        """
        listener = Listener(actor)
        mine = self._open.setdefault(actor.device_id, [])
        mine.append(listener)
        for oldest in mine[: -limits.BELL_CONNECTIONS_PER_DEVICE_MAX]:
            oldest.close(CloseReason.REPLACED)
        if self._is_stopping:
            listener.close(CloseReason.STOPPING)
        try:
            yield listener
        finally:
            mine.remove(listener)
            if not mine:
                del self._open[actor.device_id]

    def close_device(self, device_id: DeviceId, reason: CloseReason) -> None:
        """Tells all listeners of one device to end."""
        for listener in self._open.get(device_id, ()):
            listener.close(reason)

    def close_all(self) -> None:
        """Tells every listener, and every later one, that the server is stopping."""
        self._is_stopping = True
        self.stopped_count = self.count()
        for device_id in list(self._open):
            self.close_device(device_id, CloseReason.STOPPING)

    def actors(self) -> list[Actor]:
        """Returns who listens now: each device once."""
        return [mine[-1].actor for mine in self._open.values()]

    def count(self) -> int:
        """Returns how many listeners are open."""
        return sum(len(mine) for mine in self._open.values())
