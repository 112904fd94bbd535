# SPDX-License-Identifier: Apache-2.0
"""Zstandard: the one place that imports it, with every bound that hostile frames ask for.

Source: RFC 8878.
"""

from collections.abc import Mapping
from typing import Final

from drystone.core.content.hashing import Buffer
from drystone.core.errors import Corrupt

try:
    # First, so that types are known; from Python 3.14 on it is not installed.
    from backports import zstd
except ImportError:
    from compression import zstd  # type: ignore[import-not-found, no-redef]

_Prefix = tuple[zstd.ZstdDict, int]

_WINDOW_LOG: Final = 23
"""8 MiB: a base block and the block made against it, both of 4 MiB at most."""

_DELTA_OPTIONS: Final[Mapping[int, int]] = {
    zstd.CompressionParameter.window_log: _WINDOW_LOG,
    zstd.CompressionParameter.enable_long_distance_matching: 1,
}
_PREFIX_BYTES_MIN: Final = 8
_DECODE_OPTIONS: Final[Mapping[int, int]] = {
    zstd.DecompressionParameter.window_log_max: _WINDOW_LOG
}


DAMAGED_ADVICE: Final = (
    "It is asked for again. If this stays, check the network and the disk it comes from."
)
"""What to do about a block that arrives damaged, whatever the damage."""


class BadCompression(Corrupt):
    """Bytes that should be a zstd frame of a known length are not that."""

    code = "bad-compression"


class DecompressionBomb(Corrupt):
    """A compressed payload claims or yields more than it may. Nothing was allocated for it."""

    code = "decompression-bomb"


class Compressor:
    """Compresses one thing after another with the same context. For one thread."""

    def __init__(self, level: int) -> None:
        self._context = zstd.ZstdCompressor(level)

    def compress(self, data: Buffer) -> bytes:
        """Returns ``data`` as one frame that tells its content size."""
        return self._context.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


def compress(data: Buffer, level: int) -> bytes:
    """Returns ``data`` as one frame that tells its content size."""
    return zstd.compress(data, level)


def compress_with_base(data: Buffer, base: Buffer, level: int) -> bytes:
    """Returns ``data`` as one frame that needs ``base`` to be read."""
    options: dict[int, int] = {**_DELTA_OPTIONS, zstd.CompressionParameter.compression_level: level}
    return zstd.compress(data, options=options, zstd_dict=_as_prefix(base))


def decompress(data: Buffer, plain_bytes: int) -> bytes:
    """Returns what one frame holds, which is exactly ``plain_bytes`` long.

    Raises:
        DecompressionBomb: The frame does not tell its content size, or tells another one.
        BadCompression: It is not one whole zstd frame.
    """
    return _decompress(data, plain_bytes, None)


def decompress_with_base(data: Buffer, plain_bytes: int, base: Buffer) -> bytes:
    """As ``decompress``, for a frame made with ``base`` as its prefix."""
    return _decompress(data, plain_bytes, _as_prefix(base))


def content_size(data: Buffer) -> int | None:
    """Returns the content size that a frame tells, None if it tells none.

    Raises:
        BadCompression: No zstd frame begins here.
    """
    try:
        return zstd.get_frame_info(data).decompressed_size
    except zstd.ZstdError as error:
        raise BadCompression("these bytes are not a zstd frame", advice=DAMAGED_ADVICE) from error


def _as_prefix(base: Buffer) -> _Prefix:
    # The library takes no prefix shorter than eight bytes; both sides fill it up alike.
    if len(base) < _PREFIX_BYTES_MIN:
        base = bytes(base).ljust(_PREFIX_BYTES_MIN, b"\0")
    return zstd.ZstdDict(base, is_raw=True).as_prefix


def _decompress(data: Buffer, plain_bytes: int, prefix: _Prefix | None) -> bytes:
    told = content_size(data)
    if told != plain_bytes:
        raise DecompressionBomb(
            f"a zstd frame tells {told} bytes, {plain_bytes} are allowed", advice=DAMAGED_ADVICE
        )
    decompressor = zstd.ZstdDecompressor(prefix, _DECODE_OPTIONS)
    try:
        plain = decompressor.decompress(data, plain_bytes)
    except (zstd.ZstdError, EOFError) as error:
        raise BadCompression("a zstd frame is damaged", advice=DAMAGED_ADVICE) from error
    if len(plain) != plain_bytes or not decompressor.eof or decompressor.unused_data:
        raise BadCompression(
            "a zstd frame is cut off or followed by something else", advice=DAMAGED_ADVICE
        )
    return plain
