# SPDX-License-Identifier: Apache-2.0
"""Writing journals into the object store: a stretch at a time, now and then a checkpoint.

    stretch [1 .. 4096]  stretch [4097 .. 8192]  stretch [8193 .. head]     the last one is short

A stretch begins after a multiple of ``SEGMENT_RECORDS_MAX``. The last one is short until its
journal has grown to the next multiple: each time it is written anew, and the shorter one goes when
the longer one is durable. So there are few objects however often this is done, each step can be
done again at any time with the same result, and nothing but a seq has to be remembered.
"""

from collections.abc import Callable, Iterator
from typing import Final

from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.checkpoint import CheckpointEnd, decode_end, encode_end
from drystone.core.journal.eras import NO_MARK, Era, make_mark
from drystone.core.journal.segment import (
    SEGMENT_RECORDS_MAX,
    CorruptSegment,
    Segment,
    SegmentKind,
    encode_segment,
)
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.objects import Objects
from drystone.server.ports.survey import NamespaceLine, survey_of
from drystone.server.workers.journals.names import (
    checkpoint_folder,
    checkpoint_prefix,
    cut_name,
    end_name,
    parse_cut_name,
    parse_stretch_name,
    stretch_name,
    stretch_name_of,
)

CHECKPOINT_RECORDS_MIN: Final = 16 * SEGMENT_RECORDS_MAX
"""Records after which a tree gets another checkpoint, or as many as the last one holds if that is
more: so that all checkpoints together cost no more than the stretches."""

CHECKPOINTS_KEPT: Final = 2

_ERAS_MAX: Final = 1 << 30


def write_stretch(
    metadata: Metadata,
    objects: Objects,
    line: NamespaceLine,
    after: Seq,
    *,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> Seq:
    """Writes the next stretch of a journal; returns up to which seq it is in the store now.

    Args:
        metadata: The journal.
        objects: The store.
        line: The namespace; its head is looked up anew.
        after: What was returned last; 0 if that is not known any more.
        on_checkpoint: Called when a checkpoint was written as well.

    Returns:
        ``after`` if there is nothing to write; what is to be remembered.

    Cost: a page of records and one put; at the end of every sixteenth full stretch perhaps a walk
    over the tree.
    """
    segment = metadata.read(lambda unit: _load_stretch(unit, line, after))
    if segment is None:
        return after
    if len(segment.records) != segment.last_seq - segment.first_seq + 1:
        # A server that was rebuilt from a checkpoint lacks what was replaced before that, and a
        # stretch has every seq. The tree is kept whole instead, until there is no gap.
        return max(after, write_checkpoint(metadata, objects, line).seq)
    objects.put(stretch_name_of(segment), [encode_segment(segment)])
    begun = segment.first_seq - 1
    if segment.last_seq == begun + SEGMENT_RECORDS_MAX:
        _remove_shorter(objects, segment)
        if segment.last_seq % CHECKPOINT_RECORDS_MIN == 0 and _is_checkpoint_due(
            objects, line, segment.last_seq
        ):
            write_checkpoint(metadata, objects, line)
            on_checkpoint()
    elif begun < after < segment.last_seq:
        mark = make_mark(segment.records[after - begun - 1])
        objects.delete(stretch_name(line.namespace_id, segment.first_seq, after, mark))
    return segment.last_seq


def write_checkpoint(metadata: Metadata, objects: Objects, line: NamespaceLine) -> CheckpointEnd:
    """Writes the whole tree of a namespace as it is by the end of this call.

    Pages are read one after the other while others commit: what changes meanwhile comes once more
    at the end. Older checkpoints go when this one is whole, but for the last of them.

    Memory: that of one cut.
    """
    namespace_id = line.namespace_id
    head, mark = metadata.read(lambda unit: _find_end(unit, namespace_id))
    folder = checkpoint_folder(namespace_id, head, mark)
    seq, cuts_count, rows_count = Seq(0), 0, 0
    while True:
        cut, end = metadata.read(lambda unit, s=seq: _load_cut(unit, line, s))  # type: ignore[misc]
        if cut is None:
            break
        cuts_count += 1
        rows_count += len(cut.records)
        objects.put(cut_name(folder, cuts_count), [encode_segment(cut)])
        seq = cut.last_seq
    ending = CheckpointEnd(namespace_id, *end, cuts_count, rows_count)
    objects.put(end_name(folder), [encode_end(ending)])
    _remove_older(objects, namespace_id, folder)
    return ending


def iter_ends(objects: Objects, namespace_id: NamespaceId) -> Iterator[tuple[str, CheckpointEnd]]:
    """Yields the folders and ends of all whole checkpoints of a namespace, oldest first."""
    names = (
        parse_cut_name(stat.name) for stat in objects.iter_names(checkpoint_prefix(namespace_id))
    )
    for folder in sorted({cut.folder for cut in names if cut is not None and cut.number == 0}):
        end = _read_end(objects, folder)
        if end is not None:
            yield folder, end


def _read_end(objects: Objects, folder: str) -> CheckpointEnd | None:
    try:
        [content] = objects.read(end_name(folder), [(0, 1 << 16)])
        return decode_end(content)
    except (CorruptSegment, FileNotFoundError):
        return None


def _is_checkpoint_due(objects: Objects, line: NamespaceLine, seq: Seq) -> bool:
    ends = [end for _, end in iter_ends(objects, line.namespace_id) if end.seq <= seq]
    if not ends:
        return True
    return seq >= ends[-1].seq + max(CHECKPOINT_RECORDS_MIN, ends[-1].rows_count)


def _load_stretch(unit: Unit, line: NamespaceLine, after: Seq) -> Segment | None:
    """Returns the stretch that holds the record after ``after``; None if there is none yet."""
    namespace_id = line.namespace_id
    head = unit.tree.head(namespace_id)
    # A journal that was put back may be shorter than what is remembered of it.
    after = min(after, head)
    begun = after - after % SEGMENT_RECORDS_MAX
    records = survey_of(unit).list_records(namespace_id, Seq(begun), SEGMENT_RECORDS_MAX)
    if not records or records[-1].seq <= after:
        return None
    last = records[-1].seq
    before = unit.tree.find_record(namespace_id, Seq(begun)) if begun else None
    return Segment(
        SegmentKind.STRETCH,
        namespace_id,
        line.account_id,
        Seq(begun + 1),
        last,
        NO_MARK if before is None else make_mark(before),
        make_mark(records[-1]),
        _list_eras(unit, namespace_id, begun, last),
        tuple(records),
    )


def _load_cut(
    unit: Unit, line: NamespaceLine, after: Seq
) -> tuple[Segment | None, tuple[Seq, bytes]]:
    """Returns the next last records, and where the journal ended when they were read."""
    namespace_id = line.namespace_id
    end = _find_end(unit, namespace_id)
    records = survey_of(unit).list_last_records(namespace_id, after, SEGMENT_RECORDS_MAX)
    if not records:
        return None, end
    last = records[-1]
    cut = Segment(
        SegmentKind.CUT,
        namespace_id,
        line.account_id,
        Seq(after + 1),
        last.seq,
        NO_MARK,
        make_mark(last),
        _list_eras(unit, namespace_id, after, last.seq),
        tuple(records),
    )
    return cut, end


def _find_end(unit: Unit, namespace_id: NamespaceId) -> tuple[Seq, bytes]:
    head = unit.tree.head(namespace_id)
    record = unit.tree.find_record(namespace_id, head) if head else None
    return head, NO_MARK if record is None else make_mark(record)


def _list_eras(unit: Unit, namespace_id: NamespaceId, after: int, upto: Seq) -> tuple[Era, ...]:
    eras = unit.tree.list_eras(namespace_id, upto, _ERAS_MAX)
    return tuple(era for era in reversed(eras) if era.first_seq > after)


def _remove_shorter(objects: Objects, segment: Segment) -> None:
    """Removes what a full stretch holds as well: shorter ones of the same life."""
    full = stretch_name_of(segment)
    prefix = full.rpartition("-")[0].rpartition("-")[0]
    for stat in objects.iter_names(prefix):
        found = parse_stretch_name(stat.name)
        if found is None or stat.name == full or found.last_seq > segment.last_seq:
            continue
        if found.last_mark == make_mark(segment.records[found.last_seq - segment.first_seq]):
            objects.delete(stat.name)


def _remove_older(objects: Objects, namespace_id: NamespaceId, newest: str) -> None:
    whole = [folder for folder, _ in iter_ends(objects, namespace_id) if folder < newest]
    kept = {newest, *whole[len(whole) - (CHECKPOINTS_KEPT - 1) :]}
    old = []
    for stat in objects.iter_names(checkpoint_prefix(namespace_id)):
        cut = parse_cut_name(stat.name)
        if cut is not None and cut.folder < newest and cut.folder not in kept:
            old.append(cut)
    # The end first: a checkpoint that has one is whole.
    for cut in sorted(old, key=lambda cut: cut.number):
        objects.delete(cut.name)
