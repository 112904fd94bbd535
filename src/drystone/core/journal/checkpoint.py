# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what closes the cuts of a whole tree, written last.

Their bytes stand in docs/formats/journal-segment.md.
A checkpoint without its end was broken off, and is as none.
"""

from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from drystone.core.ids import ID_BYTES, NamespaceId, Seq
from drystone.core.journal.eras import MARK_BYTES
from drystone.core.journal.segment import CorruptSegment

CHECKPOINT_TAG: Final = b"DSCKPT1\n"


class CheckpointEnd(NamedTuple):
    """What is known of a checkpoint once it is whole.

    Attributes:
        namespace_id: Whose tree.
        seq: The head to which the tree belongs.
        mark: Of the record there.
        cuts_count: Segments that hold it.
        rows_count: Records in them; an entry may be among them several times.
    """

    namespace_id: NamespaceId
    seq: Seq
    mark: bytes
    cuts_count: int
    rows_count: int


def encode_end(end: CheckpointEnd) -> bytes:
    """Returns the bytes of a checkpoint's end."""
    encoded = CHECKPOINT_TAG + _END.pack(*end)
    return encoded + sha256(encoded).digest()


def decode_end(data: bytes) -> CheckpointEnd:
    """Returns what the bytes of a checkpoint's end say.

    Raises:
        CorruptSegment: They are none, or not whole.
    """
    head, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if not head.startswith(CHECKPOINT_TAG) or len(head) != len(CHECKPOINT_TAG) + _END.size:
        raise CorruptSegment("it is no end of a checkpoint of a version known here")
    if sha256(head).digest() != check:
        raise CorruptSegment("its bytes do not have the SHA-256 at their end")
    namespace_id, seq, mark, cuts_count, rows_count = _END.unpack_from(head, len(CHECKPOINT_TAG))
    return CheckpointEnd(NamespaceId(namespace_id), Seq(seq), mark, cuts_count, rows_count)


_END: Final = Struct(f"<{ID_BYTES}sQ{MARK_BYTES}sIQ")
_CHECK_BYTES: Final = sha256().digest_size
