# SPDX-License-Identifier: Apache-2.0
"""Coding: blocks into frames and back, always verified against the block id."""

from collections.abc import Callable
from typing import Final, NamedTuple

from drystone.core.content import zstd
from drystone.core.content.frame import Codec, Frame, read_absent
from drystone.core.content.hashing import Buffer, block_id
from drystone.core.content.patch import apply_patch
from drystone.core.content.zstd import DAMAGED_ADVICE
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId, format_id
from drystone.core.limits import SMALL_FILE_BYTES_MAX


class CorruptBlock(Corrupt):
    """Bytes do not have the SHA-256 that names them."""

    code = "corrupt-block"


class MissingBaseBlock(Corrupt):
    """A frame is made against a block that its reader does not hold: ask for it whole."""

    code = "missing-base"


class CompressionPolicy(NamedTuple):
    """How hard to compress.

    Attributes:
        level: Of zstd, -7 to 19; None: not at all.
    """

    level: int | None


RAW_ONLY: Final = CompressionPolicy(None)
FAST: Final = CompressionPolicy(1)
STANDARD: Final = CompressionPolicy(3)
"""C sources in blocks of 16 KiB: 20 % of their bytes remain at 320 MB/s, 21 % at 390 MB/s
with ``FAST``, 18 % at 80 MB/s with ``THOROUGH``, on one core."""
THOROUGH: Final = CompressionPolicy(9)

_SAMPLED_BYTES_MIN: Final = 64 * 1024
"""From here on, looking at samples first is cheaper than compressing in vain."""
_SAMPLE_BYTES: Final = 8 * 1024
_SAMPLES_COUNT: Final = 3
_SAMPLE_LEVEL: Final = 1
_DELTA_LEVEL: Final = 3
_DELTA_LEVEL_OF_LARGE: Final = 1
"""For 4 MiB of random bytes with one changed: 436 bytes in 4.3 ms; 6,220 in 6.9 at level 3."""


def choose_policy(link_bytes_per_s: float) -> CompressionPolicy:
    """Returns the policy with which a link of this speed is kept busy by one core."""
    if link_bytes_per_s < 10e6:
        return THOROUGH
    if link_bytes_per_s < 100e6:
        return STANDARD
    return FAST if link_bytes_per_s < 1e9 else RAW_ONLY


class BlockEncoder:
    """Encodes one block after another. For one thread.

    It keeps the compressor's tables, which saves ten microseconds per block: a third of
    what a block of 16 KiB costs.
    """

    def __init__(self, policy: CompressionPolicy = STANDARD) -> None:
        self.policy = policy
        self._compressor = None if policy.level is None else zstd.Compressor(policy.level)

    def encode(self, name: BlockId, data: Buffer, *, is_packed: bool = False) -> Frame:
        """Returns the frame for a block: compressed if that makes it smaller, else raw.

        Args:
            name: Its block id, which is not computed again.
            data: The block. A raw frame's payload is ``data`` itself.
            is_packed: The caller knows (by the file's name) that it is compressed already,
                so nothing is tried.
        """
        plain_bytes = len(data)
        compressor = self._compressor
        if compressor is not None and not is_packed and _is_promising(data):
            packed = compressor.compress(data)
            if len(packed) < plain_bytes:
                return Frame(name, plain_bytes, Codec.ZSTD, packed)
        return Frame(name, plain_bytes, Codec.RAW, data)


def encode_block(
    name: BlockId, data: Buffer, policy: CompressionPolicy = STANDARD, *, is_packed: bool = False
) -> Frame:
    """Returns the frame for one block; see ``BlockEncoder.encode``. From any thread."""
    return BlockEncoder(policy).encode(name, data, is_packed=is_packed)


def encode_delta(name: BlockId, data: Buffer, base_id: BlockId, base: Buffer) -> Frame:
    """Returns the frame that makes a block from ``base``; raw if that would be no shorter."""
    level = _DELTA_LEVEL if len(data) <= SMALL_FILE_BYTES_MAX else _DELTA_LEVEL_OF_LARGE
    packed = zstd.compress_with_base(data, base, level)
    if len(packed) < len(data):
        return Frame(name, len(data), Codec.DELTA, packed, base_id)
    return Frame(name, len(data), Codec.RAW, data)


def decode_frame(frame: Frame, find_base: Callable[[BlockId], Buffer | None]) -> bytes:
    """Returns the block that ``frame`` holds, verified.

    Args:
        frame: From anywhere: nothing in it is believed.
        find_base: Gives a block that DELTA and PATCH frames are made against, or None.

    Raises:
        CorruptBlock: The result does not have the frame's block id, or the frame only says
            why its sender cannot give the block.
        DecompressionBomb: It claims to be larger than the frame's header says.
        BadCompression: Its payload is damaged.
        MissingBaseBlock: ``find_base`` does not know its base.
    """
    plain = decode_payload(frame, find_base)
    if block_id(plain) != frame.block_id:
        raise CorruptBlock(
            f"block {format_id(frame.block_id)} arrived with other bytes",
            advice=DAMAGED_ADVICE,
        )
    return plain


def decode_payload(frame: Frame, find_base: Callable[[BlockId], Buffer | None]) -> bytes:
    """As ``decode_frame``, but not verified: for who hashes the bytes anyway."""
    match frame.codec:
        case Codec.ZSTD:
            return zstd.decompress(frame.payload, frame.plain_bytes)
        case Codec.RAW:
            return bytes(frame.payload)
        case Codec.DELTA:
            base = _require_base(frame, find_base)
            return zstd.decompress_with_base(frame.payload, frame.plain_bytes, base)
        case Codec.PATCH:
            return apply_patch(frame.payload, _require_base(frame, find_base), frame.plain_bytes)
        case Codec.ABSENT:
            raise CorruptBlock(
                read_absent(frame)[1],
                advice="On a device that has it run drystone doctor --repair, or have the server's"
                " operator bring its storage back from a backup; it is asked for again.",
            )
        case _:
            raise CorruptBlock(f"block {format_id(frame.block_id)} has no known codec")


def _require_base(frame: Frame, find_base: Callable[[BlockId], Buffer | None]) -> Buffer:
    base = None if frame.base is None else find_base(frame.base)
    if base is None:
        raise MissingBaseBlock(
            f"block {format_id(frame.block_id)} is made against a block that is not held here"
        )
    return base


def _is_promising(data: Buffer) -> bool:
    """Tells whether samples of a block get smaller; short blocks are not sampled."""
    length = len(data)
    if length < _SAMPLED_BYTES_MIN:
        return True
    view = memoryview(data)
    step = (length - _SAMPLE_BYTES) // (_SAMPLES_COUNT - 1)
    sample = b"".join(view[i * step : i * step + _SAMPLE_BYTES] for i in range(_SAMPLES_COUNT))
    return len(zstd.compress(sample, _SAMPLE_LEVEL)) < len(sample) * 15 // 16
