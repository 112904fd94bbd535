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
1        1      log2 of the average piece
2        5 n    short hash of each piece: the first bytes of its SHA-256
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
SHORT_HASH_BYTES: Final = 5
AVERAGE_LOG2_MIN: Final = 8
AVERAGE_LOG2_MAX: Final = 12


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
    pieces = cut_pieces(block, average_log2)
    return bytes((VERSION, average_log2)) + b"".join(map(short_hash, pieces))


def decode_outline(data: Buffer) -> Outline:
    """Returns the outline that ``data`` encodes.

    Raises:
        MalformedOutline: It is not one, or has more pieces than a block can have.
    """
    body = bytes(data[2:])
    if len(data) < 2 or data[0] != VERSION or len(body) % SHORT_HASH_BYTES:
        raise MalformedOutline("these bytes are not an outline of a block")
    average_log2 = data[1]
    if not AVERAGE_LOG2_MIN <= average_log2 <= AVERAGE_LOG2_MAX:
        raise MalformedOutline(f"an outline has pieces of 2**{average_log2} bytes")
    if len(body) > (BLOCK_BYTES_MAX >> (average_log2 - 2)) * SHORT_HASH_BYTES:
        raise MalformedOutline("an outline has more pieces than a block can have")
    starts = range(0, len(body), SHORT_HASH_BYTES)
    return Outline(average_log2, tuple(body[i : i + SHORT_HASH_BYTES] for i in starts))


def choose_average_log2(length_bytes: int) -> int:
    """Returns the log2 of the average piece: about the root of three times the length.

    That balances the outline (shrinks with the piece) and the patch (grows with it).
    """
    return min(max((3 * length_bytes).bit_length() // 2, AVERAGE_LOG2_MIN), AVERAGE_LOG2_MAX)


def cut_pieces(block: Buffer, average_log2: int) -> list[memoryview]:
    """Returns a block's pieces in order: views of it."""
    average = 1 << average_log2
    cutter = FastCDC(average, min_size=average // 4, max_size=average * 4, normalized_chunking=2)
    return [piece.data for piece in cutter.cut_buf(block)]


def short_hash(piece: Buffer) -> bytes:
    """Returns the short hash of a piece."""
    return sha256(piece).digest()[:SHORT_HASH_BYTES]
