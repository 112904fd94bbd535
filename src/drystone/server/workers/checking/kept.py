# SPDX-License-Identifier: Apache-2.0
"""Kept: the stretches of journals in the store against the journals themselves."""

from collections.abc import Iterator

from drystone.core.ids import Seq
from drystone.core.journal.eras import make_mark
from drystone.core.journal.segment import SEGMENT_RECORDS_MAX, CorruptSegment
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.objects import Objects
from drystone.server.ports.survey import NamespaceLine, survey_of
from drystone.server.workers.checking.findings import Finding, make_finding
from drystone.server.workers.journals.names import (
    StretchName,
    journal_prefix,
    parse_stretch_name,
)
from drystone.server.workers.journals.reading import read_segment


def iter_kept_findings(
    metadata: Metadata, objects: Objects, line: NamespaceLine, *, is_deep: bool
) -> Iterator[Finding]:
    """Yields stretches of a journal that are missing in the store; if it is to be deep, also those
    that are damaged or say something else than the journal.

    What was not written yet is not missing: only what stands before the last one is asked for.
    """
    covered = Seq(0)
    for stretch in sorted(_iter_own(metadata, objects, line), key=lambda s: s.first_seq):
        while covered + 1 < stretch.first_seq:
            upto = min(covered - covered % SEGMENT_RECORDS_MAX + SEGMENT_RECORDS_MAX,
                       stretch.first_seq - 1)  # fmt: skip
            what = f"the records {covered + 1:,} to {upto:,} are not beside the packs"
            yield make_finding("journal-copy-missing", what, stretch.name.rpartition("/")[0])
            covered = Seq(upto)
        covered = max(covered, stretch.last_seq)
        if is_deep:
            yield from _iter_differences(metadata, objects, stretch)


def _iter_own(metadata: Metadata, objects: Objects, line: NamespaceLine) -> Iterator[StretchName]:
    """Yields the stretches of this life of the journal: those whose last record is in it."""
    for stat in objects.iter_names(journal_prefix(line.namespace_id)):
        stretch = parse_stretch_name(stat.name)
        if stretch is None:
            continue
        record = metadata.read(
            lambda unit, s=stretch: unit.tree.find_record(s.namespace_id, s.last_seq)  # type: ignore[misc]
        )
        if record is not None and make_mark(record) == stretch.last_mark:
            yield stretch


def _iter_differences(
    metadata: Metadata, objects: Objects, stretch: StretchName
) -> Iterator[Finding]:
    try:
        segment = read_segment(objects, stretch.name)
    except CorruptSegment as error:
        yield make_finding("journal-copy-damaged", error.message, stretch.name)
        return

    def work(unit: Unit) -> bool:
        first, last = stretch.first_seq, stretch.last_seq
        records = survey_of(unit).list_records(
            stretch.namespace_id, Seq(first - 1), last - first + 1
        )
        return tuple(records) == segment.records

    if not metadata.read(work):
        what = "a stretch of a journal says something else than the journal"
        yield make_finding("journal-copy-damaged", what, stretch.name)
