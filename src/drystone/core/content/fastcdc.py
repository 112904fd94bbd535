# SPDX-License-Identifier: Apache-2.0
"""The content-defined chunker: FastCDC 2020, so that an insertion moves few cuts.

Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication
Based Storage Systems", IEEE TPDS 31 (2020). All parameters are part of the format: another
value is another ``version``.
"""

from collections.abc import Callable
from typing import Final

from pyfastcdc import FastCDC

from drystone.core.content.chunk import ChunkerId
from drystone.core.content.hashing import HOLE, Buffer, zeros
from drystone.core.limits import CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN

_FIRST_LOOK_BYTES: Final = CHUNK_BYTES_MIN + CHUNK_BYTES_AVERAGE
"""Look for a cut in carried bytes once there are this many (where a cut is likely), then at
twice as many, then at the maximum: three looks per piece, however thin the feed."""


class FastCDCChunker:
    """Cuts where the content says; see ``chunk.Chunker``.

    What was fed and not yet returned is carried in a buffer of its own: about one piece per
    call of ``feed``, so feed several MiB at a time. Resident: at most 16 MiB.
    """

    chunker_id = ChunkerId.FASTCDC
    version = 1

    def __init__(self) -> None:
        # Normalization 1 finds back to the old cuts soonest after an insertion: of random
        # bytes 1.5 MB were cut anew on average, 3.1 MB with level 2, 5.9 MB with level 3.
        self._cutter = FastCDC(
            CHUNK_BYTES_AVERAGE,
            min_size=CHUNK_BYTES_MIN,
            max_size=CHUNK_BYTES_MAX,
            normalized_chunking=1,
            seed=0,
        )
        self._carry = _Carry()
        # Pieces that a call returns may view its carry, so what is left over at its end
        # goes to the other one.
        self._spare = _Carry()
        self._look_bytes = _FIRST_LOOK_BYTES

    def feed(self, data: Buffer) -> list[memoryview]:
        """See ``chunk.Chunker.feed``."""
        view = memoryview(data)
        pieces: list[memoryview] = []
        position = self._feed_carry(lambda start, end: view[start:end], len(view), pieces)
        rest = view[position:]
        while len(rest) > CHUNK_BYTES_MIN:
            length = self._first_cut(rest)
            if length == len(rest) and length < CHUNK_BYTES_MAX:
                break
            pieces.append(rest[:length])
            rest = rest[length:]
        self._begin_carry(rest)
        return pieces

    def feed_zeros(self, length_bytes: int) -> list[memoryview]:
        """See ``chunk.Chunker.feed_zeros``."""
        pieces: list[memoryview] = []
        position = self._feed_carry(lambda start, end: zeros(end - start), length_bytes, pieces)
        # Zeros alone never make a cut (a test holds that), so only the maximum does.
        full_count, rest = divmod(length_bytes - position, CHUNK_BYTES_MAX)
        pieces += [HOLE] * full_count
        self._begin_carry(zeros(rest))
        return pieces

    def cut(self, data: Buffer) -> list[memoryview]:
        """See ``chunk.Chunker.cut``."""
        return [piece.data for piece in self._cutter.cut_buf(data)] if data else []

    def finish(self) -> list[memoryview]:
        """See ``chunk.Chunker.finish``."""
        last = self._carry.view()
        self._carry.clear()
        return self.cut(last)

    def _feed_carry(
        self, read: Callable[[int, int], memoryview], length_bytes: int, pieces: list[memoryview]
    ) -> int:
        """Adds input to what is carried until all that can be cut off is cut off.

        Args:
            read: Gives the input from a position to another.
            length_bytes: Of the input.
            pieces: Gets the pieces.

        Returns:
            The position from which on the input is neither cut off nor carried.
        """
        carry = self._carry
        carry.compact()
        position = 0
        while carry.length_bytes:
            wanted_bytes = max(self._look_bytes - carry.length_bytes, 0)
            end = min(position + wanted_bytes, length_bytes)
            carry.append(read(position, end))
            position = end
            if carry.length_bytes < self._look_bytes:
                break
            whole = carry.view()
            length = self._first_cut(whole)
            if length == len(whole) and length < CHUNK_BYTES_MAX:
                self._look_bytes = min(2 * self._look_bytes, CHUNK_BYTES_MAX)
                continue
            pieces.append(whole[:length])
            self._look_bytes = _FIRST_LOOK_BYTES
            rest_bytes = len(whole) - length
            if rest_bytes <= position:
                # The input still has the rest, so there is nothing left to carry.
                position -= rest_bytes
                carry.clear()
            else:
                carry.skip(length)
        return position

    def _begin_carry(self, rest: memoryview) -> None:
        if not self._carry.length_bytes and rest:
            self._carry, self._spare = self._spare, self._carry
            self._carry.clear()
            self._carry.append(rest)
            self._look_bytes = _FIRST_LOOK_BYTES

    def _first_cut(self, view: memoryview) -> int:
        """Returns the length of the first piece: that of the view if no cut is in it."""
        length: int = next(iter(self._cutter.cut_buf(view))).length
        return length


class _Carry:
    """Bytes waiting for more. What ``view`` gave stays valid until ``compact``."""

    def __init__(self) -> None:
        self._buffer: memoryview | None = None
        self._start = 0
        self.length_bytes = 0

    def view(self) -> memoryview:
        if self._buffer is None:
            return memoryview(b"")
        return self._buffer[self._start : self._start + self.length_bytes]

    def append(self, data: memoryview) -> None:
        if self._buffer is None:
            # One call skips less than a maximal piece, and adds up to one after it.
            self._buffer = memoryview(bytearray(2 * CHUNK_BYTES_MAX))
        end = self._start + self.length_bytes
        self._buffer[end : end + len(data)] = data
        self.length_bytes += len(data)

    def skip(self, length_bytes: int) -> None:
        self._start += length_bytes
        self.length_bytes -= length_bytes

    def clear(self) -> None:
        self._start = self.length_bytes = 0

    def compact(self) -> None:
        if self._buffer is not None and self._start:
            self._buffer[: self.length_bytes] = bytes(self.view())
            self._start = 0
