# SPDX-License-Identifier: Apache-2.0
"""Notices: how a sync tells how it goes."""

from typing import Protocol

from drystone.client.ports.state import ProblemRow
from drystone.core.planning.plan import Conflict


class Notices(Protocol):
    """Tells whoever watches how a sync goes. Called from any thread, at most once per batch.

    Nothing depends on it: an implementation returns at once and raises nothing.
    """

    def phase(self, name: str) -> None:
        """A stage begins: ``connect``, ``scan``, ``transfer``, ``settle``, ``idle``; several
        rounds of a sync go through them again.
        """
        ...

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        """Says how far a kind of work has come since the sync began; sums, not differences.

        Args:
            kind: ``scan`` (entries seen), ``upload`` (files committed, content bytes),
                ``download`` (files put in place, content bytes), or ``verify`` (files whose
                content was read back, on the server or here, and its bytes).
            files_done: Entries finished so far.
            files_total: How many there are as far as is known; None while nothing is known.
                It may grow.
            bytes_done: Content bytes finished so far, before compression and deltas.
            bytes_total: As ``files_total``.
        """
        ...

    def problem(self, row: ProblemRow) -> None:
        """There is trouble with one path; other paths go on."""
        ...

    def conflict(self, conflict: Conflict, path: str) -> None:
        """Both sides changed the entry at ``path``; it was settled as ``conflict`` says."""
        ...

    def message(self, text: str) -> None:
        """One sentence worth showing: the server is away, a folder waits for permission."""
        ...
