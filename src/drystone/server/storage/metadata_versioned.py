# SPDX-License-Identifier: Apache-2.0
"""Metadata that a program of a later version may change while this one runs."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.shared import ProgramOutgrown, Versioned

T = TypeVar("T")


class VersionedMetadata:
    """Implements the port ``Metadata`` on an engine whose tables may be outgrown.

    As long as all statements still fit, work goes on. Where one does not, its work is undone as
    always, and told as ``ProgramOutgrown`` instead of as a mistake of ours.

    Args:
        metadata: The engine; must be ``Versioned`` to be found out, and is closed with this.

    Attributes:
        on_outgrown: Called each time that is found out, in the thread that did the work.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self.on_outgrown: Callable[[], None] = lambda: None

    @property
    def writes_at_once(self) -> int:
        return self._metadata.writes_at_once

    @property
    def has_copy(self) -> bool:
        return self._metadata.has_copy

    def write(self, work: Callable[[Unit], T]) -> T:
        try:
            return self._metadata.write(work)
        except AssertionError as error:
            raise self._explain(error) from error

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        try:
            results = self._metadata.write_group(works)
        except AssertionError as error:
            raise self._explain(error) from error
        return [self._explain(r) if isinstance(r, AssertionError) else r for r in results]

    def read(self, work: Callable[[Unit], T]) -> T:
        try:
            return self._metadata.read(work)
        except AssertionError as error:
            raise self._explain(error) from error

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        try:
            return self._metadata.read_copy(work)
        except AssertionError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        self._metadata.close()

    def _explain(self, error: AssertionError) -> Exception:
        """Returns what to tell of a broken invariant: that of another program, or of ours."""
        if not (isinstance(self._metadata, Versioned) and self._metadata.is_outgrown()):
            return error
        self.on_outgrown()
        return ProgramOutgrown()
