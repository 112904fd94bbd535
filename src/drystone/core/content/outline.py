# SPDX-License-Identifier: Apache-2.0
"""Outlines: what somebody must know of a block to make a patch against it without its bytes.

A block is cut finely by content; its outline is the short hash of each piece, in order.
Who holds another version of the block cuts it alike and learns which pieces are the same.
The cut depends on the block's length and bytes alone, so lengths need not be told: the
holder of the block cuts again to find the pieces that a patch names by number.

=======  =====  =====================================================================
offset   bytes  meaning
=======  =====  =====================================================================
0        1      version: 1
1        1      log2 of the average piece: 8 to 11
2        n k    short hash of each piece: the first k bytes of its SHA-256; k is 4 up to a
                log2 of 9, else 5
=======  =====  =====================================================================

A short hash may agree by chance (or by malice); the block id of the patched block decides.
"""

from hashlib import sha256
from typing import Final, NamedTuple

from pyfastcdc import FastCDC

from drystone.core.content.hashing import Buffer
from drystone.core.errors import Corrupt
from drystone.core.limits import BLOCK_BYTES_MAX

VERSION: Final = 1
AVERAGE_LOG2_MIN: Final = 8
AVERAGE_LOG2_MAX: Final = 11

_HEAD_BYTES: Final = 2


class MalformedOutline(Corrupt):
    """Bytes that should be an outline are not one."""

    code = "malformed-outline"


class Outline(NamedTuple):
    """A decoded outline: how finely the block was cut, and its pieces' short hashes."""

    average_log2: int
    short_hashes: tuple[bytes, ...]


def encode_outline(block: Buffer) -> bytes:
    """Returns the outline of a block. Cost: a few milliseconds for one of 4 MiB."""
    average_log2 = choose_average_log2(len(block))
    return bytes((VERSION, average_log2)) + b"".join(
        short_hash(piece, average_log2) for piece in cut_pieces(block, average_log2)
    )


def decode_outline(data: Buffer) -> Outline:
    """Returns the outline that ``data`` encodes.

    Raises:
        MalformedOutline: It is not one, or has more pieces than a block can have.
    """
    if len(data) < _HEAD_BYTES or data[0] != VERSION:
        raise MalformedOutline("these bytes are not an outline of a block")
    average_log2 = data[1]
    if not AVERAGE_LOG2_MIN <= average_log2 <= AVERAGE_LOG2_MAX:
        raise MalformedOutline(f"an outline has pieces of 2**{average_log2} bytes")
    body = bytes(data[_HEAD_BYTES:])
    step = short_hash_bytes(average_log2)
    # No piece but the last is shorter than a quarter of the average.
    pieces_max = (BLOCK_BYTES_MAX >> (average_log2 - 2)) + 1
    if len(body) % step or len(body) > pieces_max * step:
        raise MalformedOutline(f"an outline has {len(body)} bytes of short hashes")
    starts = range(0, len(body), step)
    return Outline(average_log2, tuple(body[start : start + step] for start in starts))


def choose_average_log2(length_bytes: int) -> int:
    """Returns the log2 of the average piece: about the root of the block's length.

    That balances the outline, which shrinks as pieces grow, and the patch, which grows by
    about a piece and a half per edit. Measured: smallest sum for one edit of random bytes
    and for one to three edits of C files.
    """
    return min(max(length_bytes.bit_length() // 2, AVERAGE_LOG2_MIN), AVERAGE_LOG2_MAX)


def cut_pieces(block: Buffer, average_log2: int) -> list[memoryview]:
    """Returns a block's pieces in order: views of it."""
    if not block:
        return []
    average = 1 << average_log2
    cutter = FastCDC(
        average, min_size=average // 4, max_size=average * 4, normalized_chunking=1, seed=0
    )
    return [piece.data for piece in cutter.cut_buf(block)]


def short_hash(piece: Buffer, average_log2: int) -> bytes:
    """Returns the short hash of a piece."""
    return sha256(piece).digest()[: short_hash_bytes(average_log2)]


def short_hash_bytes(average_log2: int) -> int:
    """Returns the length of short hashes.

    Two versions of a block agree by mere chance in some piece with a probability of their
    pieces' product over all hashes: at most about 1 in 5,000 (9 and less), 1 in 60,000.
    """
    return 4 if average_log2 <= 9 else 5
