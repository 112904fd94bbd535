# SPDX-License-Identifier: Apache-2.0
"""Check: all parts one after the other."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from drystone.core.errors import Corrupt
from drystone.core.ids import Seq
from drystone.server.ports.blocks import Packs
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.ports.survey import Examined, NamespaceLine, survey_of
from drystone.server.workers.checking.contents import ContentCheck
from drystone.server.workers.checking.findings import Finding, make_finding
from drystone.server.workers.checking.kept import iter_kept_findings
from drystone.server.workers.checking.packs import iter_object_findings, iter_place_findings
from drystone.server.workers.checking.trees import (
    PAGE_RECORDS,
    iter_end_findings,
    iter_entry_findings,
    iter_journal_findings,
)

LISTED_MAX: Final = 1_000
"""Findings of one code that are told; the rest are counted."""

Tell = Callable[[str, int], None]
"""Is told how far something has come: what, and how many of it were looked at."""


class Checked(NamedTuple):
    """What was looked at, and how much was found.

    Attributes:
        counts: Namespaces, records, packs, blocks that were looked at.
        found: How often each code was found, also beyond ``LISTED_MAX``.
        is_sound: True if nothing was found that is not harmless.
    """

    counts: dict[str, int]
    found: dict[str, int]
    is_sound: bool


class Check:
    """One check.

    Args:
        metadata: What is checked.
        objects: Where packs and journals lie.
        packs: The packs there.
        now_ns: The time.
        is_deep: Whether every block is read and compared with its name.
        tell: Is told of progress.
    """

    def __init__(
        self,
        metadata: Metadata,
        objects: Objects,
        packs: Packs,
        now_ns: int,
        *,
        is_deep: bool,
        tell: Tell = lambda _what, _count: None,
    ) -> None:
        self._metadata = metadata
        self._objects = objects
        self._packs = packs
        self._now_ns = now_ns
        self._is_deep = is_deep
        self._tell = tell
        self._found: Counter[str] = Counter()
        self._counts: Counter[str] = Counter(namespaces=0, records=0, packs=0, blocks=0)
        self._is_sound = True

    def iter_findings(self) -> Iterator[Finding]:
        """Yields what is found, at most ``LISTED_MAX`` of each kind.

        Raises:
            Unavailable: The database or the store cannot be read now; nothing can be said.
        """
        for finding in self._iter_all():
            self._found[finding.code] += 1
            self._is_sound &= finding.is_harmless
            if self._found[finding.code] <= LISTED_MAX:
                yield finding

    def sum_up(self) -> Checked:
        """Returns what the check came to, once all was yielded."""
        return Checked(dict(self._counts), dict(self._found), self._is_sound)

    def _iter_all(self) -> Iterator[Finding]:
        try:
            if isinstance(self._metadata, Examined):
                for line in self._metadata.examine(is_deep=self._is_deep):
                    yield make_finding("database-damaged", line, "the database")
            for namespace in self._iter_namespaces():
                yield from self._iter_of_namespace(namespace)
            yield from iter_place_findings(
                self._metadata, self._packs, self._counter("blocks"), is_deep=self._is_deep
            )
            yield from iter_object_findings(
                self._metadata, self._objects, self._now_ns, self._counter("packs")
            )
        except Corrupt as error:
            yield make_finding("database-damaged", error.message, "the database")

    def _iter_of_namespace(self, line: NamespaceLine) -> Iterator[Finding]:
        contents = ContentCheck(self._metadata, self._packs, line)
        after = Seq(0)
        while records := self._metadata.read(
            lambda unit, after=after: survey_of(unit).list_records(  # type: ignore[misc]
                line.namespace_id, after, PAGE_RECORDS
            )
        ):
            yield from iter_journal_findings(self._metadata, line, records, after)
            yield from contents.iter_findings(records)
            after = records[-1].seq
            self._count("records", len(records))
        yield from iter_end_findings(self._metadata, line, after)
        yield from iter_entry_findings(self._metadata, line)
        yield from iter_kept_findings(self._metadata, self._objects, line, is_deep=self._is_deep)
        self._count("namespaces", 1)

    def _iter_namespaces(self) -> Iterator[NamespaceLine]:
        after = b""
        while lines := self._metadata.read(
            lambda unit, after=after: survey_of(unit).list_namespaces(after, 1_000)  # type: ignore[misc]
        ):
            yield from lines
            after = lines[-1].namespace_id

    def _count(self, what: str, more: int) -> None:
        self._counts[what] += more
        self._tell(what, self._counts[what])

    def _counter(self, what: str) -> Callable[[int], None]:
        def count(number: int) -> None:
            self._counts[what] = number
            self._tell(what, number)

        return count
