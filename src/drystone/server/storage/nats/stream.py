# SPDX-License-Identifier: Apache-2.0
"""A stream of JetStream: ``<prefix>.journal.<topic>`` for each message, acknowledged one by one.

One by one, because a stream that takes the third message and not the second would turn their order
round. The stream is made with the first message if no stream has the subject yet, so that an
operator who wants limits or replicas makes it beforehand.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import Header, StorageType, StreamConfig
from nats.js.errors import NotFoundError, ServiceUnavailableError

from drystone.server.ports.brokers.publishing import Message, OutletAway
from drystone.server.storage.nats.address import NatsAddress

ACKNOWLEDGED_S: Final = 5.0
"""How long the stream gets to make one message durable."""


class NatsStream:
    """Implements ``Publishing``. Connects with the first message, and anew after trouble."""

    def __init__(self, address: NatsAddress) -> None:
        self._address = address
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None

    async def publish(self, messages: Sequence[Message]) -> None:
        try:
            stream = self._stream or await self._open()
            for message in messages:
                async with asyncio.timeout(ACKNOWLEDGED_S):
                    await stream.publish(
                        f"{self._address.subject}.journal.{message.topic}",
                        message.body,
                        timeout=ACKNOWLEDGED_S,
                        headers={Header.MSG_ID.value: message.message_id},
                    )
        except (NatsError, OSError, TimeoutError) as error:
            await self.close()
            what = str(error) or type(error).__name__
            if isinstance(error, ServiceUnavailableError | NoRespondersError):
                what = "it has no JetStream, or that is not ready"
            raise OutletAway(
                f"the stream at {self._address.where} does not take journals: {what}",
                advice="Look at NATS: whether it runs, has JetStream, and lets this user publish.",
            ) from error

    async def close(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            with suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await client.close()

    async def _open(self) -> JetStreamContext:
        async def end() -> None:
            """Whoever publishes next is told."""

        self._client = await self._address.connect(end)
        stream = self._client.jetstream()
        subject = f"{self._address.subject}.journal.*"
        try:
            await stream.find_stream_name_by_subject(subject)
        except NotFoundError:
            name = self._address.subject.replace(".", "-")
            config = StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE)
            await stream.add_stream(config)
        self._stream = stream
        return stream
