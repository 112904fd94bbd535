# SPDX-License-Identifier: Apache-2.0
"""Listening: sockets that are bound before anything else begins, and uvicorn on top of them."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from drystone.core.errors import Misconfigured


class CannotListen(Misconfigured):
    """The address is taken, not of this machine, or not to be used by this user."""

    code = "cannot-listen"


def bind_to(host: str, port: int, advice: str) -> socket.socket:
    """Returns a bound socket; uvicorn listens on it once the app is ready.

    Args:
        host: An address, or a name of this machine.
        port: 0 for any that is free.
        advice: What to do if that cannot be.

    Raises:
        CannotListen: Says why, in the operating system's words.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host} port {port}: {error.strerror or error}", advice=advice
        ) from error
    listening.setblocking(False)  # noqa: FBT003
    return listening


class QuietUvicorn(uvicorn.Server):
    """A uvicorn that says when it listens, and leaves signals to us.

    Its own way of stopping ends the process by the signal.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells that it listens once it does."""
        await super().startup(sockets)
        self.listens.set()

    def stop_listening(self) -> None:
        """From now on new connections are for others who listen on the same socket."""
        for server in self.servers:
            server.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield
