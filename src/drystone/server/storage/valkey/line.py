# SPDX-License-Identifier: Apache-2.0
"""A line over Valkey or Redis: one channel per namespace, one connection to hear and one to speak.

``drystone:<db>:bell:<namespace, hex>`` carries ``<worker> <head>``. (Channels are the same in all
databases of a server: hence the number.) A worker hears only of namespaces to which somebody
listens there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from drystone.core.ids import ID_BYTES, NamespaceId
from drystone.server.ports.brokers.lines import ANSWER_S, LineLost
from drystone.server.storage.valkey.address import ValkeyAddress

_CONNECT_S: Final = 2.0


class ValkeyLine:
    """Implements ``Line``.

    Args:
        address: Of the server.
        worker: Who this is: a text by chance without spaces.
    """

    def __init__(self, address: ValkeyAddress, worker: str) -> None:
        self._address = address
        self._channel = f"{address.prefix}bell:".encode("ascii")
        self._worker = worker.encode("ascii")
        self._ears: AbstractConnection | None = None
        self._mouth: AbstractConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._pongs: list[asyncio.Future[None]] = []
        self._turn = asyncio.Lock()
        self._hears_all = False

    @property
    def where(self) -> str:
        return self._address.where

    async def open(
        self, hear: Callable[[NamespaceId, int], None], lose: Callable[[str], None]
    ) -> None:
        assert self._reading is None, "the line is open already"
        self._hears_all = False
        async with _translated(_CONNECT_S):
            self._ears, self._mouth = self._connect(), self._connect()
            for connection in (self._ears, self._mouth):
                await connection.connect()  # type: ignore[no-untyped-call]
        self._reading = asyncio.create_task(self._read(self._ears, hear, lose))

    async def subscribe(self, namespace_ids: Collection[NamespaceId]) -> None:
        await self._tell(b"SUBSCRIBE", *map(self._name, namespace_ids))

    async def unsubscribe(self, namespace_ids: Collection[NamespaceId]) -> None:
        if namespace_ids:
            await self._tell(b"UNSUBSCRIBE", *map(self._name, namespace_ids))

    async def subscribe_all(self, *, is_wanted: bool) -> None:
        await self._tell(b"PSUBSCRIBE" if is_wanted else b"PUNSUBSCRIBE", self._channel + b"*")
        self._hears_all = is_wanted

    async def publish(self, rings: Sequence[tuple[NamespaceId, int]]) -> None:
        mouth = self._require(self._mouth)
        commands = [
            (b"PUBLISH", self._name(namespace_id), b"%s %d" % (self._worker, head))
            for namespace_id, head in rings
        ]
        async with _translated():
            await mouth.send_packed_command(mouth.pack_commands(commands))
            for _ in commands:
                await mouth.read_response()

    async def check(self) -> None:
        mouth = self._require(self._mouth)
        await self._tell()
        async with _translated():
            await mouth.send_packed_command(mouth.pack_command(b"PING"))
            await mouth.read_response()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        for connection in (self._ears, self._mouth):
            if connection is not None:
                with suppress(RedisError, OSError, TimeoutError):
                    await connection.disconnect(nowait=True)
        self._ears = self._mouth = None
        self._fail_pongs("the line was closed")

    def _connect(self) -> AbstractConnection:
        return self._address.make_connection(
            # Silence is no fault on this line; who waits for something has a time limit.
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_S,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
            client_name="drystone-bell",
        )

    def _name(self, namespace_id: NamespaceId) -> bytes:
        return self._channel + namespace_id.hex().encode("ascii")

    async def _tell(self, *command: bytes) -> None:
        """Sends a command on the hearing connection, and waits until it was carried out: answers
        come in order, so a PING behind it is answered after it.
        """
        ears = self._require(self._ears)
        commands: list[tuple[bytes, ...]] = [command, (b"PING",)] if command else [(b"PING",)]
        async with self._turn, _translated():
            pong = asyncio.get_running_loop().create_future()
            self._pongs.append(pong)
            await ears.send_packed_command(ears.pack_commands(commands))
            await pong

    async def _read(
        self,
        ears: AbstractConnection,
        hear: Callable[[NamespaceId, int], None],
        lose: Callable[[str], None],
    ) -> None:
        """Takes whatever comes on the hearing connection, until it ends."""
        why = "the connection ended"
        try:
            while True:
                self._take(await ears.read_response(disconnect_on_error=False), hear)
        except (RedisError, OSError, TimeoutError) as error:
            why = _describe(error)
        lose(why)
        self._fail_pongs(why)

    def _fail_pongs(self, why: str) -> None:
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(LineLost(why))
        self._pongs.clear()

    def _take(self, told: Any, hear: Callable[[NamespaceId, int], None]) -> None:
        """Takes one answer or message. What does not look like ours is somebody else's."""
        if told == b"PONG" or (isinstance(told, list) and told[0] == b"pong"):
            if self._pongs:
                pong = self._pongs.pop(0)
                if not pong.done():
                    pong.set_result(None)
            return
        if not isinstance(told, list) or told[0] != (
            b"pmessage" if self._hears_all else b"message"
        ):
            return
        channel, text = told[-2:]
        worker, _, head = bytes(text).partition(b" ")
        with suppress(ValueError):
            name = bytes.fromhex(channel[len(self._channel) :].decode("ascii"))
            if worker != self._worker and len(name) == ID_BYTES:
                hear(NamespaceId(name), int(head))

    @staticmethod
    def _require(connection: AbstractConnection | None) -> AbstractConnection:
        if connection is None:
            raise LineLost("the connection was closed")
        return connection


@asynccontextmanager
async def _translated(timeout_s: float = ANSWER_S) -> AsyncIterator[None]:
    """Turns what the library raises, and waiting too long, into ``LineLost``."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise LineLost(_describe(error)) from error


def _describe(error: BaseException) -> str:
    """Returns what happened. The library's texts name the server, never the password."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
