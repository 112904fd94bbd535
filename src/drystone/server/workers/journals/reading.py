# SPDX-License-Identifier: Apache-2.0
"""Reading journals back: which of the stretches and checkpoints in the store belong together.

A server that was put back to an earlier state gives seqs a second time, and what it wrote before
still lies there: each *life* of a journal leaves stretches of its own. They are told apart by
marks: a stretch follows another one if that ends with the record which it tells was before it.
The life that was written to last is the journal.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from drystone.core.errors import Corrupt
from drystone.core.ids import AccountId, NamespaceId, Seq
from drystone.core.journal.checkpoint import CheckpointEnd
from drystone.core.journal.eras import make_mark
from drystone.core.journal.segment import CorruptSegment, Segment, decode_segment
from drystone.server.ports.objects import Objects
from drystone.server.workers.journals.names import (
    CHECKPOINTS,
    JOURNALS,
    cut_name,
    journal_prefix,
    parse_cut_name,
    parse_stretch_name,
)
from drystone.server.workers.journals.writing import iter_ends


class Unreadable(NamedTuple):
    """An object that should be part of a journal and is damaged."""

    name: str
    reason: str


class Part(NamedTuple):
    """What was found in a stretch.

    Attributes:
        name: Of the object.
        account_id: Who owns the namespace.
        first_seq: Of its first record.
        last_seq: Of its last record.
        before_mark: Of the record before it.
        last_mark: Of its last record.
        last_ns: When that was written.
        marks: Of the records in it at which checkpoints end.
    """

    name: str
    account_id: AccountId
    first_seq: Seq
    last_seq: Seq
    before_mark: bytes
    last_mark: bytes
    last_ns: int
    marks: dict[Seq, bytes]


class Life(NamedTuple):
    """The journal of a namespace, as far as the store has it.

    Attributes:
        namespace_id: Whose it is.
        account_id: Who owns the namespace; None if nothing tells.
        folder: Of the checkpoint with which it begins; ``""`` if it begins with its first record.
        checkpoint: The end of that one, or None.
        parts: The stretches after it, in order; the first may begin before the checkpoint's end.
        head: The last seq.
        last_ns: When the last record was written; 0 if that is not known.
        set_aside: Names of stretches of other lives, or beyond what is lost.
        unreadable: What is damaged.
    """

    namespace_id: NamespaceId
    account_id: AccountId | None
    folder: str
    checkpoint: CheckpointEnd | None
    parts: tuple[Part, ...]
    head: Seq
    last_ns: int
    set_aside: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]


def list_namespaces(objects: Objects) -> list[NamespaceId]:
    """Returns the namespaces of which there is something in the store, by id."""
    found = set()
    for stat in objects.iter_names(JOURNALS):
        stretch = parse_stretch_name(stat.name)
        if stretch is not None:
            found.add(stretch.namespace_id)
    for stat in objects.iter_names(CHECKPOINTS):
        cut = parse_cut_name(stat.name)
        if cut is not None:
            found.add(cut.namespace_id)
    return sorted(found)


def find_life(objects: Objects, namespace_id: NamespaceId) -> Life:
    """Returns the journal of a namespace, as far as it can be put together.

    Cost: reads all its stretches, one after the other, and the checkpoints' ends; and the cuts of
    those checkpoints that are looked at.
    """
    ends = list(iter_ends(objects, namespace_id))
    wanted = {end.seq for _, end in ends}
    parts: list[Part] = []
    unreadable: list[Unreadable] = []
    for stat in objects.iter_names(journal_prefix(namespace_id)):
        if parse_stretch_name(stat.name) is None:
            continue
        try:
            parts.append(_describe(stat.name, read_segment(objects, stat.name), wanted))
        except CorruptSegment as error:
            unreadable.append(Unreadable(stat.name, error.message))
    return _Choice(objects, namespace_id, parts, ends, unreadable).choose()


def read_segment(objects: Objects, name: str) -> Segment:
    """Returns one segment.

    Raises:
        CorruptSegment: It is damaged, or gone.
    """
    length_bytes = objects.find_length(name)
    if length_bytes is None:
        raise CorruptSegment("the object is gone")
    try:
        return decode_segment(objects.read(name, [(0, length_bytes)])[0])
    except CorruptSegment:
        raise
    except (Corrupt, FileNotFoundError) as error:
        raise CorruptSegment(str(error)) from error


def iter_cuts(objects: Objects, folder: str, end: CheckpointEnd) -> Iterator[Segment]:
    """Yields the cuts of a checkpoint, in order.

    Raises:
        CorruptSegment: One of them is damaged, or gone; or they are not of one checkpoint: two
            servers may have written one under the same name, while the tree changed.
    """
    seq, rows_count = Seq(0), 0
    for number in range(1, end.cuts_count + 1):
        cut = read_segment(objects, cut_name(folder, number))
        if cut.first_seq != seq + 1:
            raise CorruptSegment(f"cut {number} does not go on where the one before it ends")
        seq, rows_count = cut.last_seq, rows_count + len(cut.records)
        yield cut
    if (seq, rows_count) != (end.seq, end.rows_count):
        raise CorruptSegment("its cuts are not those of which its end tells")


class _Choice:
    """What there is of one namespace, and which of it is its journal."""

    def __init__(
        self,
        objects: Objects,
        namespace_id: NamespaceId,
        parts: Sequence[Part],
        ends: Sequence[tuple[str, CheckpointEnd]],
        unreadable: Sequence[Unreadable],
    ) -> None:
        self._objects = objects
        self._namespace_id = namespace_id
        self._parts = parts
        self._ends = ends
        self._unreadable = list(unreadable)
        self._by_end = {(part.last_seq, part.last_mark): part for part in parts}
        self._checked: dict[str, AccountId | None] = {}

    def choose(self) -> Life:
        """Returns the life with the latest end that can be put together from its beginning."""
        for end in sorted(self._parts, key=lambda p: (p.last_ns, p.last_seq), reverse=True):
            chain = self._chain_to(end)
            if chain[0].first_seq == 1:
                return self._make("", None, chain)
            for folder, checkpoint in self._ends:
                rest = _after(chain, checkpoint)
                if rest is not None and self._owner_of(folder, checkpoint) is not None:
                    return self._make(folder, checkpoint, rest)
        for folder, checkpoint in reversed(self._ends):
            if self._owner_of(folder, checkpoint) is not None:
                return self._make(folder, checkpoint, [])
        return self._make("", None, [])

    def _chain_to(self, end: Part) -> list[Part]:
        """Returns the stretches up to this one that follow each other without a gap."""
        chain = [end]
        while chain[0].first_seq > 1:
            before = self._by_end.get((Seq(chain[0].first_seq - 1), chain[0].before_mark))
            if before is None:
                break
            chain.insert(0, before)
        return chain

    def _owner_of(self, folder: str, checkpoint: CheckpointEnd) -> AccountId | None:
        """Returns who owns the namespace of a checkpoint; None if one of its cuts is damaged."""
        if folder not in self._checked:
            owner = None
            try:
                for cut in iter_cuts(self._objects, folder, checkpoint):
                    owner = cut.account_id
            except CorruptSegment as error:
                owner = None
                self._unreadable.append(Unreadable(folder, error.message))
            self._checked[folder] = owner
        return self._checked[folder]

    def _make(self, folder: str, checkpoint: CheckpointEnd | None, chain: Sequence[Part]) -> Life:
        account_id = chain[-1].account_id if chain else self._checked.get(folder)
        head = checkpoint.seq if checkpoint is not None else Seq(0)
        last_ns = 0
        if chain:
            head, last_ns = chain[-1].last_seq, chain[-1].last_ns
        taken = {part.name for part in chain}
        return Life(
            self._namespace_id,
            account_id,
            folder,
            checkpoint,
            tuple(chain),
            head,
            last_ns,
            tuple(sorted(p.name for p in self._parts if self._is_other(p, taken, chain))),
            tuple(self._unreadable),
        )

    def _is_other(self, part: Part, taken: set[str], chain: Sequence[Part]) -> bool:
        """Tells whether a stretch holds something that the chosen ones do not."""
        if part.name in taken:
            return False
        for chosen in chain:
            if chosen.first_seq == part.first_seq and part.last_seq <= chosen.last_seq:
                segment = read_segment(self._objects, chosen.name)
                record = segment.records[part.last_seq - part.first_seq]
                return make_mark(record) != part.last_mark
        return True


def _describe(name: str, segment: Segment, wanted: set[Seq]) -> Part:
    first, last = segment.first_seq, segment.last_seq
    marks = {seq: make_mark(segment.records[seq - first]) for seq in wanted if first <= seq <= last}
    return Part(
        name,
        segment.account_id,
        first,
        last,
        segment.before_mark,
        segment.last_mark,
        segment.records[-1].at_ns,
        marks,
    )


def _after(chain: Sequence[Part], checkpoint: CheckpointEnd) -> list[Part] | None:
    """Returns the stretches of a chain that go on from a checkpoint; None if it is not on it."""
    seq, mark = checkpoint.seq, checkpoint.mark
    for index, part in enumerate(chain):
        if seq == part.first_seq - 1 and mark == part.before_mark:
            return list(chain[index:])
        if part.marks.get(seq) == mark:
            return list(chain[index:])
    return None
