# SPDX-License-Identifier: Apache-2.0
"""Patches: a block made from a base of which the maker had only the outline.

The maker finds which pieces of the base occur in the new block. Those pieces, in the order
of the base, are the *common part*, which both sides can build: the maker from the new
block, the reader from the base. The new block is sent as a zstd frame with the common part
as its prefix. Nothing else is needed: copies are matches into the prefix, and new text is
compressed with the old text around it in view.

Payload: version (1), log2 of the average piece, number of runs (varint), then per run of
common pieces of the base: pieces skipped since the last run, pieces in the run (varints);
then the zstd frame. Varints are LEB128: seven bits per byte, least significant first.
"""

from itertools import groupby
from typing import Final

from drystone.core.content import zstd
from drystone.core.content.frame import Codec, Frame
from drystone.core.content.hashing import Buffer
from drystone.core.content.outline import (
    AVERAGE_LOG2_MAX,
    AVERAGE_LOG2_MIN,
    MalformedOutline,
    cut_pieces,
    decode_outline,
    short_hash,
)
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId
from drystone.core.limits import BLOCK_BYTES_MAX, SMALL_FILE_BYTES_MAX

VERSION: Final = 1
_COMMON_SHARE_MIN: Final = 32
"""With less than this part in common, another encoding is as short and quicker."""
_LEVEL: Final = 6
_LEVEL_OF_LARGE: Final = 1
"""Long copies are found at any level; the higher ones only look longer for short ones."""


class MalformedPatch(Corrupt):
    """A patch's payload is damaged or does not fit its base."""

    code = "malformed-patch"


def make_patch(name: BlockId, data: Buffer, base_id: BlockId, outline: bytes) -> Frame | None:
    """Returns a frame that makes a block from ``base_id``; None if it would not pay.

    Args:
        name: Id of the block to send.
        data: The block to send.
        base_id: The block that the receiver holds.
        outline: Of that block, as the receiver gave it.

    Raises:
        MalformedOutline: ``outline`` is not one.
    """
    average_log2, theirs = decode_outline(outline)
    ours = {short_hash(piece, average_log2): piece for piece in cut_pieces(data, average_log2)}
    runs = [(is_common, list(run)) for is_common, run in groupby(theirs, key=ours.__contains__)]
    shared = [ours[short] for is_common, run in runs if is_common for short in run]
    common_bytes = sum(map(len, shared))
    if common_bytes > BLOCK_BYTES_MAX:
        raise MalformedOutline("an outline has pieces of more bytes than a block can have")
    if common_bytes < len(data) // _COMMON_SHARE_MIN:
        return None
    head = bytearray((VERSION, average_log2))
    _put_varint(head, sum(is_common for is_common, _ in runs))
    skipped_count = 0
    for is_common, run in runs:
        if is_common:
            _put_varint(head, skipped_count)
            _put_varint(head, len(run))
        else:
            skipped_count = len(run)
    level = _LEVEL if len(data) <= SMALL_FILE_BYTES_MAX else _LEVEL_OF_LARGE
    payload = bytes(head) + zstd.compress_with_base(data, b"".join(shared), level)
    if len(payload) >= len(data):
        return None
    return Frame(name, len(data), Codec.PATCH, payload, base_id)


def apply_patch(payload: Buffer, base: Buffer, plain_bytes: int) -> bytes:
    """Returns what a patch makes of ``base``; exactly ``plain_bytes`` long. Not verified.

    Raises:
        MalformedPatch: The payload is not a patch, or names pieces that the base lacks.
        DecompressionBomb: It would yield another length.
        BadCompression: Its compressed part is damaged.
    """
    view = memoryview(payload)
    if len(view) < 3 or view[0] != VERSION or not AVERAGE_LOG2_MIN <= view[1] <= AVERAGE_LOG2_MAX:
        raise MalformedPatch("these bytes are not a patch")
    pieces = cut_pieces(base, view[1])
    runs_count, position = _take_varint(view, 2)
    common: list[memoryview] = []
    index = 0
    for _ in range(runs_count):
        skipped_count, position = _take_varint(view, position)
        count, position = _take_varint(view, position)
        index += skipped_count
        if not count or index + count > len(pieces):
            raise MalformedPatch("a patch names pieces that its base does not have")
        common += pieces[index : index + count]
        index += count
    return zstd.decompress_with_base(view[position:], plain_bytes, b"".join(common))


def _put_varint(target: bytearray, number: int) -> None:
    while number > 0x7F:
        target.append(number & 0x7F | 0x80)
        number >>= 7
    target.append(number)


def _take_varint(view: memoryview, position: int) -> tuple[int, int]:
    """Returns a varint of at most three bytes and the position after it."""
    number = 0
    for shift in (0, 7, 14):
        if position >= len(view):
            raise MalformedPatch("a patch is cut off")
        byte = view[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise MalformedPatch("a patch names a number that is too large")
