# SPDX-License-Identifier: Apache-2.0
"""A line over NATS: a subject per namespace, one subscription for all of them.

``<prefix>.bell.<namespace, hex>`` carries ``<worker> <head>``, as plain messages: a ring that
nobody hears is not worth a place in a stream. Each worker hears all rings, and drops those that
nobody waits for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from drystone.core.ids import ID_BYTES, NamespaceId
from drystone.server.ports.brokers.lines import ANSWER_S, LineLost
from drystone.server.storage.nats.address import CONNECT_S, NatsAddress


class NatsLine:
    """Implements ``Line``.

    Args:
        address: Of the server.
        worker: Who this is: a text by chance without spaces.
    """

    def __init__(self, address: NatsAddress, worker: str) -> None:
        self._address = address
        self._worker = worker.encode("ascii")
        self._client: Client | None = None

    @property
    def where(self) -> str:
        return self._address.where

    async def open(
        self, hear: Callable[[NamespaceId, int], None], lose: Callable[[str], None]
    ) -> None:
        assert self._client is None, "the line is open already"

        async def end() -> None:
            lose("the connection ended")

        async def take(message: Msg) -> None:
            worker, _, head = message.data.partition(b" ")
            with suppress(ValueError):
                name = bytes.fromhex(message.subject.rpartition(".")[2])
                if worker != self._worker and len(name) == ID_BYTES:
                    hear(NamespaceId(name), int(head))

        async with _translated(2 * CONNECT_S):
            self._client = client = await self._address.connect(end)
            await client.subscribe(f"{self._address.subject}.bell.*", cb=take)
            await client.flush()

    async def subscribe(self, namespace_ids: Collection[NamespaceId]) -> None:
        self._require()

    async def unsubscribe(self, namespace_ids: Collection[NamespaceId]) -> None:
        self._require()

    async def subscribe_all(self, *, is_wanted: bool) -> None:
        self._require()

    async def publish(self, rings: Sequence[tuple[NamespaceId, int]]) -> None:
        client = self._require()
        async with _translated():
            for namespace_id, head in rings:
                subject = f"{self._address.subject}.bell.{namespace_id.hex()}"
                await client.publish(subject, b"%s %d" % (self._worker, head))
            await client.flush()

    async def check(self) -> None:
        client = self._require()
        async with _translated():
            await client.flush()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    await client.close()

    def _require(self) -> Client:
        if self._client is None:
            raise LineLost("the connection was closed")
        return self._client


@asynccontextmanager
async def _translated(timeout_s: float = ANSWER_S) -> AsyncIterator[None]:
    """Turns what the library raises, and waiting too long, into ``LineLost``."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise LineLost("no answer in time") from error
    except (NatsError, OSError) as error:
        raise LineLost(str(error) or type(error).__name__) from error
