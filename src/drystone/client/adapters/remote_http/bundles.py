# SPDX-License-Identifier: Apache-2.0
"""Bundles on their way: frames into a request's body, a response's body into blocks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from typing import Final

import aiohttp

from drystone.client.ports import FetchedBlock
from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.errors import Corrupt, Unavailable
from drystone.core.ids import BlockId
from drystone.wire.bundle import BundleReader, BundleWriter

_SENT_PIECE_BYTES: Final = 256 * 1024
"""Small frames are joined up to this much: one write, not thousands."""
_GROUP_BYTES: Final = 2 * 1024 * 1024
"""What is received is decoded in groups of this much: one thread hop for hundreds of blocks."""


_DOUBTS_MAX: Final = 10_000


class WrongBlocks(Corrupt):
    """The server sent other blocks than those asked for."""

    code = "wrong-blocks"


class Source:
    """Where the frames of a bundle come from; keeps the error that it ends with.

    The HTTP library takes any error of a body's source for a broken connection: without this, the
    device's own trouble would be taken for the server's, and tried again for ever.
    """

    def __init__(self, batches: AsyncIterator[Sequence[Frame]]) -> None:
        self.error: Exception | None = None
        self._batches = batches

    async def iter_batches(self) -> AsyncIterator[Sequence[Frame]]:
        """Yields the frames."""
        try:
            async for frames in self._batches:
                yield frames
        except Exception as error:
            self.error = error
            raise


async def encode_bundle(
    batches: AsyncIterator[Sequence[Frame]], count: Callable[[int, float], None]
) -> AsyncIterator[bytes]:
    """Yields the body that carries frames, in pieces worth a write.

    Args:
        batches: The frames, as they are made.
        count: Is told the length of each piece, and the seconds until it could be sent.
    """
    writer = BundleWriter()
    pieces: list[Buffer] = [writer.begin()]
    length = 0
    async for frames in batches:
        for frame in frames:
            header, payload = writer.frame(frame)
            pieces += (header, payload)
            length += len(header) + len(payload)
            if length >= _SENT_PIECE_BYTES:
                piece = b"".join(pieces)
                begun_s = time.monotonic()
                yield piece
                count(len(piece), time.monotonic() - begun_s)
                pieces, length = [], 0
    pieces.append(writer.end())
    piece = b"".join(pieces)
    count(len(piece), 0.0)
    yield piece


class BundleDecoder:
    """Turns a response's bytes into verified blocks, in a thread, group by group.

    Args:
        wanted: The blocks asked for, in the order in which they must come.
        find_base: Gives the bases of deltas.
    """

    def __init__(
        self, wanted: Sequence[BlockId], find_base: Callable[[BlockId], Buffer | None]
    ) -> None:
        self._reader = BundleReader()
        self._wanted = wanted
        self._find_base = find_base
        self._taken_count = 0

    async def iter_groups(
        self, content: aiohttp.StreamReader, executor: Executor | None, count: Callable[[int], None]
    ) -> AsyncIterator[list[FetchedBlock]]:
        """Yields blocks while the next group is already being received and decoded.

        Raises:
            TruncatedBundle: The body ended too early. What was yielded is whole.
            WrongBlocks, MalformedBundle: The server does not send what was asked for.
        """
        loop = asyncio.get_running_loop()
        decoding: asyncio.Future[list[FetchedBlock]] | None = None
        pieces: list[bytes] = []
        length = 0
        try:
            async for piece in content.iter_any():
                pieces.append(piece)
                length += len(piece)
                if length < _GROUP_BYTES:
                    continue
                group, pieces = pieces, []
                count(length)
                length = 0
                before, decoding = decoding, None
                ready = None if before is None else await before
                decoding = loop.run_in_executor(executor, self._decode, group)
                if ready:
                    yield ready
            count(length)
            if decoding is not None:
                ready, decoding = await decoding, None
                yield ready
            yield await loop.run_in_executor(executor, self._decode, pieces)
            self._reader.finish()
            self._check_complete()
        finally:
            if decoding is not None:
                # Whoever listened went away; the thread must be done before bases are closed.
                await asyncio.wait([decoding])

    def _decode(self, pieces: list[bytes]) -> list[FetchedBlock]:
        blocks: list[FetchedBlock] = []
        for piece in pieces if len(pieces) < 2 else (b"".join(pieces),):
            for frame in self._reader.feed(piece):
                position = self._taken_count
                if position >= len(self._wanted) or frame.block_id != self._wanted[position]:
                    raise WrongBlocks("the server sent other blocks than those asked for")
                self._taken_count += 1
                try:
                    blocks.append((frame.block_id, decode_frame(frame, self._find_base)))
                except Corrupt as error:
                    blocks.append((frame.block_id, error))
        return blocks

    def _check_complete(self) -> None:
        if self._taken_count < len(self._wanted):
            raise IncompleteBundle("the server sent fewer blocks than those asked for")


class Doubts:
    """Which blocks arrived damaged: the server is asked to look at those before it sends them
    again. Only so many are remembered: it is a help, and no more.
    """

    def __init__(self) -> None:
        self._block_ids: set[BlockId] = set()

    def note(self, blocks: Sequence[FetchedBlock]) -> None:
        """Takes note of what arrived."""
        for block_id, found in blocks:
            if isinstance(found, bytes):
                self._block_ids.discard(block_id)
            elif len(self._block_ids) < _DOUBTS_MAX:
                self._block_ids.add(block_id)

    def pick(self, block_ids: Sequence[BlockId]) -> list[BlockId]:
        """Returns those of these blocks that arrived damaged the last time."""
        return [name for name in block_ids if name in self._block_ids] if self._block_ids else []


class IncompleteBundle(Unavailable):
    """A bundle ended properly but before the last block asked for: ask for the rest."""

    code = "incomplete-bundle"
