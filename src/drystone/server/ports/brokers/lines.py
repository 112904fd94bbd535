# SPDX-License-Identifier: Apache-2.0
"""Lines: what carries rings between workers on different machines, and may be lost at any time."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from drystone.core.ids import NamespaceId

ANSWER_S: Final = 1.0
"""How long the line gets for anything: then it is lost, and nobody waits for it any more."""


class LineLost(Exception):
    """The line is gone or does not answer. The text says why and holds no secret."""


class Line(Protocol):
    """One connection to a server that carries rings. Any method but ``close`` raises ``LineLost``
    when it cannot do what it should, within ``ANSWER_S``; then it is closed and opened anew.
    """

    @property
    def where(self) -> str:
        """The server's address, as it may be shown to anybody."""
        ...

    async def open(
        self, hear: Callable[[NamespaceId, int], None], lose: Callable[[str], None]
    ) -> None:
        """Connects. From then on ``hear`` is told of each ring of another worker that arrives, and
        ``lose`` when the connection ends by itself, and why. No subscription is left from before.
        """
        ...

    async def subscribe(self, namespace_ids: Collection[NamespaceId]) -> None:
        """Returns once every later ring for these arrives here."""
        ...

    async def unsubscribe(self, namespace_ids: Collection[NamespaceId]) -> None:
        """Lets the server know that rings for these are not wanted any more."""
        ...

    async def subscribe_all(self, *, is_wanted: bool) -> None:
        """Begins or ends that every ring arrives here, each once."""
        ...

    async def publish(self, rings: Sequence[tuple[NamespaceId, int]]) -> None:
        """Hands rings to the server, which has them when this returns."""
        ...

    async def check(self) -> None:
        """Returns if the server answers."""
        ...

    async def close(self) -> None:
        """Ends the connection if there is one. Never raises, never waits for the server."""
        ...
