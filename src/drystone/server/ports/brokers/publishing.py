# SPDX-License-Identifier: Apache-2.0
"""Publishing: messages handed to a stream from which other systems read them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from drystone.core.errors import Unavailable


class OutletAway(Unavailable):
    """The stream into which journals are published does not take them now; they are kept."""

    code = "outlet-away"


class Message(NamedTuple):
    """One message.

    Attributes:
        topic: What it is about; ASCII without dots or blanks. Those of one topic keep their order.
        message_id: The same whenever the same message comes again; ASCII.
        body: JSON.
    """

    topic: str
    message_id: str
    body: bytes


class Publishing(Protocol):
    """A stream. Lives on the event loop."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the stream has all of these, durably, in their order. If it raises, it may
        have the first few.

        Raises:
            OutletAway: It does not answer, or refuses. Try again later.
        """
        ...

    async def close(self) -> None:
        """Ends the connection if there is one. Never raises."""
        ...
