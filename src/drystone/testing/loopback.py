# SPDX-License-Identifier: Apache-2.0
"""The server's app on a port of the loopback, on the event loop of a test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from drystone.server.faces.native.app import NativeApp
from drystone.server.service.service import Service


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[str]:
    """Yields the URL at which a service answers while the context lasts."""
    app = NativeApp(service)
    config = uvicorn.Config(
        app, http="httptools", ws="websockets-sansio", lifespan="off", log_config=None,
        access_log=False,
    )  # fmt: skip
    server = _Quiet(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.listens.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            app.begin_stop()
            server.should_exit = server.force_exit = True
            await serving


class _Quiet(uvicorn.Server):
    """A uvicorn that says when it listens, and leaves signals to the test."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
