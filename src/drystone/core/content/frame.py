# SPDX-License-Identifier: Apache-2.0
"""Frames: one block as it travels in a bundle and rests in a pack.

=======  =====  =====================================================================
offset   bytes  meaning (integers are little-endian)
=======  =====  =====================================================================
0        2      marker 0xD5B7
2        1      codec
3        1      zero
4        4      stored_bytes: length of the payload
8        4      plain_bytes: length of the block, 1 to 4,194,304
12       32     block id
44       32     base block id: only with the codecs DELTA and PATCH
44 / 76         payload
=======  =====  =====================================================================

An END frame closes a bundle: ``stored_bytes`` is then the number of frames before it,
``plain_bytes`` and the block id are zero, and there is no payload.

An ABSENT frame stands where a block was asked for that its sender should have and cannot
read: ``plain_bytes`` is zero, the payload is an error's code, a newline and its message, in
UTF-8, at most 1,024 bytes. The frames after it go on.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from drystone.core.content.hashing import Buffer
from drystone.core.errors import Corrupt
from drystone.core.ids import BLOCK_ID_BYTES, BlockId
from drystone.core.limits import BLOCK_BYTES_MAX


class Codec(IntEnum):
    """How a payload yields its block. The numbers are part of the format."""

    RAW = 0
    """The payload is the block."""
    ZSTD = 1
    """One zstd frame that tells its content size."""
    DELTA = 2
    """As ZSTD, made with the base block as prefix."""
    PATCH = 3
    """See ``core.content.patch``: made by somebody who only had the base's outline."""
    ABSENT = 254
    """No block: why the sender cannot give the one that was asked for."""
    END = 255
    """No block follows."""


class Frame(NamedTuple):
    """A block ready to travel or rest.

    Attributes:
        block_id: The block that the payload yields.
        plain_bytes: Its length.
        codec: A ``Codec``; a plain int, because frames are many.
        payload: Where it is read from a longer buffer, a view of that.
        base: The block it is made against; only with DELTA and PATCH.
    """

    block_id: BlockId
    plain_bytes: int
    codec: int
    payload: Buffer
    base: BlockId | None = None


class MalformedFrame(Corrupt):
    """Bytes that should be a frame are not one."""

    code = "malformed-frame"


HEADER: Final = Struct("<HBxII32s")
HEADER_BYTES: Final = HEADER.size
BASED_HEADER_BYTES: Final = HEADER_BYTES + BLOCK_ID_BYTES
MARKER: Final = 0xD5B7
NO_BLOCK: Final = BlockId(bytes(BLOCK_ID_BYTES))
ABSENT_BYTES_MAX: Final = 1024

_BASED: Final = (Codec.DELTA, Codec.PATCH)


class FrameHeader(NamedTuple):
    """What a frame's first 44 bytes say; already checked to be possible."""

    codec: int
    stored_bytes: int
    plain_bytes: int
    block_id: BlockId

    @property
    def is_based(self) -> bool:
        """True if the base block's id follows."""
        return self.codec in _BASED


def encode_header(frame: Frame) -> bytes:
    """Returns all of ``frame`` that precedes its payload: 44 or 76 bytes."""
    head = HEADER.pack(MARKER, frame.codec, len(frame.payload), frame.plain_bytes, frame.block_id)
    return head if frame.base is None else head + frame.base


def encode_frame(frame: Frame) -> bytes:
    """Returns a whole frame. Copies the payload once."""
    return b"".join((encode_header(frame), frame.payload))


def absent_frame(name: BlockId, code: str, message: str) -> Frame:
    """Returns the frame that says why a block does not come."""
    text = f"{code}\n{message}".encode()[:ABSENT_BYTES_MAX]
    return Frame(name, 0, Codec.ABSENT, text)


def read_absent(frame: Frame) -> tuple[str, str]:
    """Returns the code and the message of an ABSENT frame."""
    code, _, message = bytes(frame.payload).decode("utf-8", "replace").partition("\n")
    return code, message


def encode_end(frames_count: int) -> bytes:
    """Returns the END frame of a bundle that holds so many frames."""
    return HEADER.pack(MARKER, Codec.END, frames_count, 0, NO_BLOCK)


def decode_header(data: Buffer, offset_bytes: int = 0) -> FrameHeader:
    """Returns the header at an offset of ``data``, which must hold 44 bytes from there.

    Raises:
        MalformedFrame: It cannot be one: wrong marker, unknown codec, impossible lengths.
            So a reader may buffer what a returned header announces.
    """
    marker, codec, stored_bytes, plain_bytes, block_id = HEADER.unpack_from(data, offset_bytes)
    if marker != MARKER:
        raise MalformedFrame(f"no frame begins here: marker {marker:#06x}, not {MARKER:#06x}")
    if codec <= Codec.PATCH:
        if not 0 < plain_bytes <= BLOCK_BYTES_MAX:
            raise MalformedFrame(f"a frame announces a block of {plain_bytes} bytes")
        # An encoder falls back to RAW rather than make a payload longer than its block.
        if not 0 < stored_bytes <= plain_bytes:
            raise MalformedFrame(
                f"a frame announces {stored_bytes} bytes of payload for {plain_bytes} of block"
            )
        if codec == Codec.RAW and stored_bytes != plain_bytes:
            raise MalformedFrame(
                f"a raw frame announces {stored_bytes} bytes of payload for {plain_bytes}"
            )
    elif codec == Codec.ABSENT:
        if plain_bytes or not 0 < stored_bytes <= ABSENT_BYTES_MAX:
            raise MalformedFrame("a frame that stands for no block announces impossible lengths")
    elif codec != Codec.END or plain_bytes or block_id != NO_BLOCK:
        raise MalformedFrame(f"a frame has the unknown codec {codec}")
    return FrameHeader(codec, stored_bytes, plain_bytes, block_id)
