# SPDX-License-Identifier: Apache-2.0
"""Projections: how far each projector has carried each journal to where it carries it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from drystone.core.ids import NamespaceId, Seq


class Behind(NamedTuple):
    """A journal that has more than a projector has carried over.

    Attributes:
        namespace_id: Whose journal.
        seq: Up to which the projector has carried it.
        head: Its last seq.
    """

    namespace_id: NamespaceId
    seq: Seq
    head: Seq


class Lag(NamedTuple):
    """How far a projector is behind, over all journals."""

    namespaces: int
    records: int


class ProjectionsUnit(Protocol):
    """Positions of projectors, inside one unit of work."""

    def add_projector(self, projector: str) -> None:
        """Makes a projector known: it is behind in every journal from now on. Idempotent.

        Its own unit of work, done before ``begin``.
        """
        ...

    def begin(self, projector: str) -> None:
        """Gives a known projector a position, 0, in each namespace in which it has none.
        Idempotent; namespaces made later get theirs with their first records. Cost: O(namespaces).
        """
        ...

    def remove_projector(self, projector: str) -> None:
        """Forgets a projector and its positions: commits no longer pay for it. Idempotent."""
        ...

    def list_projectors(self) -> list[str]:
        """Returns the known ones, by name."""
        ...

    def list_behind(
        self, projector: str, after: NamespaceId | None, limit: int
    ) -> Sequence[Behind]:
        """Returns a page of the journals in which the projector is behind, in an order that
        stays; ``after`` is the last one of the page before. Cost: index walk, O(page), however
        many journals there are in which it is not.
        """
        ...

    def find_position(self, projector: str, namespace_id: NamespaceId) -> Seq:
        """Returns up to which seq a projector has carried a journal; 0 if it has not begun."""
        ...

    def move(self, projector: str, namespace_id: NamespaceId, seq: Seq) -> None:
        """Notes that a known projector has carried a journal up to there. Never backwards."""
        ...

    def measure(self, projector: str) -> Lag:
        """Returns how far a projector is behind. Cost: O(journals in which it is)."""
        ...
