# SPDX-License-Identifier: Apache-2.0
"""Eras: how a journal that was put back to an earlier state is told from the one before.

A server that is restored from a copy gives seqs a second time, to other records. So whoever is the
first to write after a database may have been put back begins an *era*, under an id of its own, and
who has read up to a seq is told the *past* that belongs to it: the last eras up to there, and a
mark of the record itself. Two journals with the same past at a seq are the same up to there; and
where two pasts part, the eras that they share tell up to where both are the same.
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from drystone.core.ids import Seq
from drystone.core.journal.record import Record

ERA_ID_BYTES: Final = 8
MARK_BYTES: Final = 8
ERAS_TOLD_MAX: Final = 8
"""Eras in a past. If none of them is shared, nothing is taken to be the same."""


class Era(NamedTuple):
    """A stretch of a journal that was written while nobody could put the journal back; it ends
    where the next begins.

    Attributes:
        era_id: ``ERA_ID_BYTES`` bytes by chance.
        first_seq: Of its first record.
    """

    era_id: bytes
    first_seq: Seq


class Past(NamedTuple):
    """What is known of a journal up to a seq.

    Attributes:
        mark: Of the record at the seq (``make_mark``); zeros where that is not known.
        eras: The last ``ERAS_TOLD_MAX`` that begin at or before the seq, newest first. Records
            before the oldest, if these are all, were written before there were eras.
    """

    mark: bytes
    eras: tuple[Era, ...] = ()


NO_MARK: Final = bytes(MARK_BYTES)
NO_PAST: Final = Past(NO_MARK)


def make_mark(record: Record) -> bytes:
    """Returns what no other record at the same seq has, in whatever journal."""
    told = _MARKED.pack(record.seq, record.action, record.entry.rev, record.at_ns)
    ids = record.entry.file_id + record.device_id
    return sha256(_MARK_TAG + told + ids).digest()[:MARK_BYTES]


def is_same_past(theirs: Past, ours: Past) -> bool:
    """Tells whether two journals are the same up to the seq to which both pasts belong."""
    is_marked_same = theirs.mark in (NO_MARK, ours.mark)
    return is_marked_same and theirs.eras == ours.eras


def find_common_seq(
    seq: Seq, theirs: Sequence[Era], head: Seq, ours: Sequence[Era], running_id: bytes | None
) -> Seq:
    """Returns up to which seq two journals are the same that are not so up to ``seq``.

    Never too far; but perhaps not far enough, if too little is known.

    Args:
        seq: Up to where the other journal was read.
        theirs: Its eras as a past tells them, newest first.
        head: The last seq of ours.
        ours: All its eras, newest first.
        running_id: The era that is still being written to ours, if one is. It cannot have been
            copied and put back, unless a machine was, with all that ran on it: then nothing in
            it counts.
    """
    lasts = _find_lasts(ours, head)
    lasts[_BEFORE_ERAS] = Seq(ours[-1].first_seq - 1) if ours else head
    last = seq
    for era in theirs:
        if era.era_id == running_id:
            return Seq(era.first_seq - 1)
        if era.era_id in lasts:
            return min(last, lasts[era.era_id])
        last = Seq(era.first_seq - 1)
    if len(theirs) >= ERAS_TOLD_MAX:
        return Seq(0)
    return min(last, lasts[_BEFORE_ERAS])


def _find_lasts(eras: Sequence[Era], head: Seq) -> dict[bytes, Seq]:
    """Returns the last seq of each era; they are given newest first."""
    lasts: dict[bytes, Seq] = {}
    last = head
    for era in eras:
        lasts[era.era_id] = last
        last = Seq(era.first_seq - 1)
    return lasts


_BEFORE_ERAS: Final = b""
_MARKED: Final = Struct("<QBQq")
_MARK_TAG: Final = b"drystone record\n"
