# SPDX-License-Identifier: Apache-2.0
"""Trees: journals against entries. The tree is the fold of its journal: each entry is as its last
record left it, and that is what is compared, without a tree in memory.
"""

from collections.abc import Iterator
from typing import Final

from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.journal.record import Action, Record
from drystone.core.limits import DEPTH_MAX
from drystone.core.names.folding import fold_name
from drystone.core.tree.entry import Kind
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.survey import EntryRow, NamespaceLine, survey_of
from drystone.server.workers.checking.findings import Finding, make_finding

PAGE_RECORDS: Final = 4_096
_ALL: Final = 1 << 30


def iter_journal_findings(
    metadata: Metadata, line: NamespaceLine, records: list[Record], after: Seq
) -> Iterator[Finding]:
    """Yields what is wrong with a page of records: gaps, and entries that do not know of them.

    Args:
        metadata: What is checked.
        line: The namespace.
        records: The page.
        after: The seq of the last record before it.
    """
    for record in records:
        if record.seq != after + 1:
            what = f"the records {after + 1:,} to {record.seq - 1:,} of the journal are missing"
            yield make_finding("seq-gap", what, _where(line, Seq(after + 1)))
        after = record.seq
    last = {record.entry.file_id: record.seq for record in records}
    rows = metadata.read(
        lambda unit: survey_of(unit).find_entry_rows(line.namespace_id, last.keys())
    )
    for file_id, seq in last.items():
        row = rows.get(file_id)
        if row is None:
            what = f"the entry {file_id.hex()} has a record and is not in the tree"
            yield make_finding("entry-missing", what, _where(line, seq))
        elif row.seq < seq:
            what = f"the entry {file_id.hex()} is in the tree as it was at seq {row.seq:,}"
            yield make_finding("entry-differs", what, _where(line, seq))


def iter_end_findings(metadata: Metadata, line: NamespaceLine, last: Seq) -> Iterator[Finding]:
    """Yields what is wrong with a journal's end, after its records were read up to ``last``."""

    def work(unit: Unit) -> tuple[Seq, Seq, Seq]:
        head = unit.tree.head(line.namespace_id)
        later = last
        while page := survey_of(unit).list_records(line.namespace_id, later, PAGE_RECORDS):
            later = page[-1].seq
        eras = unit.tree.list_eras(line.namespace_id, Seq(_ALL), 1)
        return head, later, eras[0].first_seq if eras else Seq(0)

    head, later, era_seq = metadata.read(work)
    if head != later:
        what = f"the journal is noted to end at {head:,}, and its last record is {later:,}"
        yield make_finding("head-wrong", what, _where(line, head))
    if era_seq > max(head, later):
        what = f"an era begins at {era_seq:,}, beyond the end of the journal"
        yield make_finding("era-ahead", what, _where(line, era_seq))


def iter_entry_findings(metadata: Metadata, line: NamespaceLine) -> Iterator[Finding]:
    """Yields entries that are not as their last record left them, or stand in no folder."""
    after = Seq(0)
    while True:
        rows, found = metadata.read(
            lambda unit, after=after: _check_page(unit, line, after)  # type: ignore[misc]
        )
        yield from found
        if not rows:
            return
        after = rows[-1].seq


def _check_page(
    unit: Unit, line: NamespaceLine, after: Seq
) -> tuple[list[EntryRow], list[Finding]]:
    survey = survey_of(unit)
    rows = survey.list_entry_rows(line.namespace_id, after, PAGE_RECORDS)
    found = []
    if rows:
        records = {
            record.seq: record
            for record in survey.list_last_records(line.namespace_id, after, len(rows))
        }
        for row in rows:
            found += _compare(line, row, records.get(row.seq))
        found += _check_folders(unit, line, rows)
    return rows, found


def _compare(line: NamespaceLine, row: EntryRow, record: Record | None) -> list[Finding]:
    if record is None:
        what = f"the entry {row.file_id.hex()} is in the tree, and its last record is not there"
        return [make_finding("entry-stray", what, _where(line, row.seq))]
    entry = record.entry
    expected = EntryRow(
        entry.file_id,
        entry.parent_id,
        entry.name,
        fold_name(entry.name),
        int(entry.kind),
        record.seq,
        entry.rev,
        record.action is Action.DELETE,
    )
    if row == expected:
        return []
    differing = ", ".join(
        name for name, one, two in zip(row._fields, row, expected, strict=True) if one != two
    )
    what = f"the entry {row.file_id.hex()} differs from its last record in: {differing}"
    return [make_finding("entry-differs", what, _where(line, row.seq))]


def _check_folders(unit: Unit, line: NamespaceLine, rows: list[EntryRow]) -> list[Finding]:
    """Looks upwards from a page of entries, a level of the tree per query."""
    found: list[Finding] = []
    known: dict[FileId, EntryRow] = {}
    below = rows
    for _ in range(DEPTH_MAX + 2):
        wanted = {row.parent_id for row in below} - known.keys() - {ROOT_ID}
        if not wanted:
            return found + _find_circles(line, rows, known)
        folders = survey_of(unit).find_entry_rows(line.namespace_id, wanted)
        for row in below:
            folder = folders.get(row.parent_id)
            if row.parent_id in wanted and (folder is None or folder.kind != Kind.FOLDER):
                what = f"the entry {row.file_id.hex()} is in a folder that never was"
                found.append(make_finding("folder-missing", what, _where(line, row.seq)))
        known |= folders
        below = list(folders.values())
    return found + _find_circles(line, rows, known)


def _find_circles(
    line: NamespaceLine, rows: list[EntryRow], known: dict[FileId, EntryRow]
) -> list[Finding]:
    found = []
    sound: set[FileId] = {ROOT_ID}
    for row in rows:
        passed: list[FileId] = []
        above: EntryRow | None = row
        while above is not None and above.parent_id not in sound and len(passed) <= DEPTH_MAX + 1:
            passed.append(above.file_id)
            above = known.get(above.parent_id)
        if len(passed) > DEPTH_MAX + 1:
            what = f"the entry {row.file_id.hex()} lies in itself, or too deep"
            found.append(make_finding("folder-circle", what, _where(line, row.seq)))
        else:
            sound.update(passed)
    return found


def _where(line: NamespaceLine, seq: Seq) -> str:
    return f"namespace {line.namespace_id.hex()}, seq {seq:,}"
