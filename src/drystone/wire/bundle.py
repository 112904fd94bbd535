# SPDX-License-Identifier: Apache-2.0
"""Bundles: many blocks in one body, written and read incrementally.

A bundle is the eight bytes ``BUNDLE_TAG``, frames (see ``core.content.frame``), and an END
frame that tells how many there were. Without it a bundle is truncated, whatever the
transport says: a connection may end between two frames without anybody noticing.
"""

from typing import Final

from drystone.core.content.frame import (
    BASED_HEADER_BYTES,
    HEADER,
    HEADER_BYTES,
    MARKER,
    Codec,
    Frame,
    FrameHeader,
    MalformedFrame,
    decode_header,
    encode_end,
    encode_header,
)
from drystone.core.content.hashing import BUNDLE_TAG, Buffer
from drystone.core.errors import Refused, Unavailable
from drystone.core.ids import BlockId
from drystone.core.limits import BLOCK_BYTES_MAX, BUNDLE_BLOCKS_MAX, BUNDLE_BYTES_MAX

MEDIA_TYPE: Final = "application/vnd.drystone.bundle"

_ZSTD: Final = int(Codec.ZSTD)
"""As a plain number, which compares faster."""


class MalformedBundle(Refused):
    """Bytes that should be a bundle are not one. Frames read before may be kept."""

    code = "malformed-bundle"


class BundleTooLarge(Refused):
    """A bundle has more blocks or bytes than one may have: send several."""

    code = "bundle-too-large"


class TruncatedBundle(Unavailable):
    """A bundle ended too early: the connection broke. Frames read before may be kept."""

    code = "truncated-bundle"


class BundleWriter:
    """Writes a bundle. Gives bytes; who sends them is not its concern.

    Usage: ``begin()``, then ``frame()`` and ``frames()`` any number of times, then ``end()``.
    """

    def __init__(self) -> None:
        self.frames_count = 0
        self.length_bytes = 0
        """Of all that was given so far."""

    def begin(self) -> bytes:
        """Returns what precedes the first frame."""
        self.length_bytes += len(BUNDLE_TAG)
        return BUNDLE_TAG

    def frame(self, frame: Frame) -> tuple[bytes, Buffer]:
        """Returns one frame's header and its payload, which is not copied."""
        header = encode_header(frame)
        self.frames_count += 1
        self.length_bytes += len(header) + len(frame.payload)
        return header, frame.payload

    def frames(self, frames_count: int, frames: Buffer) -> Buffer:
        """Returns frames that are encoded already, back to back: they are not copied."""
        self.frames_count += frames_count
        self.length_bytes += len(frames)
        return frames

    def end(self) -> bytes:
        """Returns what closes the bundle."""
        self.length_bytes += HEADER_BYTES
        return encode_end(self.frames_count)


class BundleReader:
    """Reads a bundle from pieces of any size. Holds at most one frame and one piece.

    Attributes:
        frames_count: Frames returned so far.
        length_bytes: Bytes fed so far.
    """

    def __init__(
        self, *, blocks_max: int = BUNDLE_BLOCKS_MAX, bytes_max: int = BUNDLE_BYTES_MAX
    ) -> None:
        self.frames_count = 0
        self.length_bytes = 0
        self._blocks_max = blocks_max
        self._bytes_max = bytes_max
        self._pending: list[bytes] = []
        """An incomplete frame, in the pieces in which it came."""
        self._pending_bytes = 0
        self._needed_bytes = len(BUNDLE_TAG)
        """How much must be pending before another look is worth it."""
        self._has_begun = False
        self._has_ended = False

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the next bytes; returns the frames that are complete now.

        Payloads are views of one buffer: keep them no longer than needed.

        Raises:
            MalformedBundle: It is not a bundle, or goes on after its END.
            BundleTooLarge: It has more blocks or bytes than allowed.
        """
        self.length_bytes += len(data)
        if self.length_bytes > self._bytes_max:
            raise BundleTooLarge(f"a bundle may have {self._bytes_max} bytes; send several")
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes < self._needed_bytes:
            return []
        # Joined once per complete frame at least, so reading is linear in the bytes.
        whole = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        frames, position = self._read_frames(memoryview(whole))
        rest = whole[position:]
        self._pending = [rest] if rest else []
        self._pending_bytes = len(rest)
        return frames

    def finish(self) -> None:
        """Accepts the end of the bytes.

        Raises:
            TruncatedBundle: The END frame has not been seen.
        """
        if not self._has_ended:
            raise TruncatedBundle(
                f"a bundle broke off after {self.frames_count} blocks; send the rest again"
            )

    def _read_frames(self, view: memoryview) -> tuple[list[Frame], int]:
        """Returns the complete frames of ``view``, and where the incomplete rest begins."""
        position = 0
        length = len(view)
        frames: list[Frame] = []
        if not self._has_begun:
            if bytes(view[: len(BUNDLE_TAG)]) != BUNDLE_TAG:
                raise MalformedBundle("these bytes are not a bundle of blocks")
            self._has_begun = True
            position = len(BUNDLE_TAG)
        while not self._has_ended:
            position = self._take_usual(view, position, frames)
            self._needed_bytes = HEADER_BYTES
            if length - position < HEADER_BYTES:
                return frames, position
            header = self._read_header(view, position)
            if header.codec == Codec.END:
                position += HEADER_BYTES
                self._close(header)
                break
            head_bytes = BASED_HEADER_BYTES if header.is_based else HEADER_BYTES
            self._needed_bytes = head_bytes + header.stored_bytes
            end = position + self._needed_bytes
            if end > length:
                return frames, position
            start = position + head_bytes
            base = BlockId(bytes(view[position + HEADER_BYTES : start])) or None
            frames.append(
                Frame(header.block_id, header.plain_bytes, header.codec, view[start:end], base)
            )
            position = end
            self.frames_count += 1
        if position < length:
            raise MalformedBundle("a bundle goes on after its end")
        self._needed_bytes = 1
        return frames, position

    def _take_usual(self, view: memoryview, position: int, frames: list[Frame]) -> int:
        """Appends what follows as long as it is complete, without a base and in order; returns
        where that ends.

        Only a shortcut: small blocks come by the ten thousand, and looking at each header
        with all it may be takes three times as long.
        """
        length = len(view)
        room_count = self._blocks_max - self.frames_count
        while room_count and length - position >= HEADER_BYTES:
            marker, codec, stored_bytes, plain_bytes, name = HEADER.unpack_from(view, position)
            start = position + HEADER_BYTES
            end = start + stored_bytes
            if not (
                marker == MARKER
                and codec <= _ZSTD
                and 0 < stored_bytes <= plain_bytes <= BLOCK_BYTES_MAX
                and (codec == _ZSTD or stored_bytes == plain_bytes)
                and end <= length
            ):
                break
            frames.append(Frame(name, plain_bytes, codec, view[start:end]))
            position = end
            room_count -= 1
        self.frames_count = self._blocks_max - room_count
        return position

    def _read_header(self, view: memoryview, position: int) -> FrameHeader:
        try:
            header = decode_header(view, position)
        except MalformedFrame as error:
            raise MalformedBundle(f"a bundle is damaged: {error.message}") from error
        if self.frames_count >= self._blocks_max and header.codec != Codec.END:
            raise BundleTooLarge(f"a bundle may have {self._blocks_max} blocks; send several")
        return header

    def _close(self, header: FrameHeader) -> None:
        if header.stored_bytes != self.frames_count:
            raise MalformedBundle(
                f"a bundle ends after {self.frames_count} blocks and claims {header.stored_bytes}"
            )
        self._has_ended = True
