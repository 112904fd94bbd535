# SPDX-License-Identifier: Apache-2.0
"""Direct transfer: large blocks go straight to the object store and come straight from it.

Whatever does not work out that way goes through the server, as everything does elsewhere: small
things, what is made against another block, and all while the store cannot be used from here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Executor
from hashlib import sha256
from typing import Any, Final, NamedTuple

from drystone.client.adapters.remote_http.session import HttpSession, not_drystone
from drystone.client.adapters.remote_http.stores import StoreAway, StoreSession, TicketVoid
from drystone.client.ports import FetchedBlock
from drystone.core.content.coding import CorruptBlock, decode_frame
from drystone.core.content.frame import (
    HEADER_BYTES,
    Codec,
    Frame,
    MalformedFrame,
    decode_header,
    encode_header,
)
from drystone.core.content.hashing import PACK_TAG, Buffer
from drystone.core.errors import Corrupt, DrystoneError, Refused, Unavailable
from drystone.core.ids import BlockId, NamespaceId, PackId
from drystone.core.limits import (
    BUNDLE_BLOCKS_MAX,
    DIRECT_BYTES_MIN,
    DIRECT_PACK_BYTES,
    DIRECT_PART_BYTES,
    DIRECT_RANGE_BYTES_MAX,
)
from drystone.wire.block_lists import join_ids, split_ids
from drystone.wire.codec import MalformedMessage
from drystone.wire.messages import (
    Arrived,
    ArrivedAnswer,
    Grant,
    GrantAnswer,
    PackOffer,
    PackTicket,
    RangeTicket,
    Ticket,
)

PACKS_AT_ONCE: Final = 2
RANGES_AT_ONCE: Final = 3
"""So many travel side by side: each is in memory."""

TICKETS_MAX: Final = 3
"""Tickets that are asked for to put one pack, before it goes through the server."""

AWAY_S: Final = 600.0
"""So long nothing is tried directly after the store could not be used."""

_HEADERS_BYTES: Final = 400
"""About what a request to a store costs beside its body."""

Relay = Callable[[Sequence[Frame]], Awaitable[int]]
"""Sends frames through the server; returns how many blocks were taken."""


class _PackBuilder:
    """Gathers the frames of one pack."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.payload_bytes = 0

    def add(self, frame: Frame) -> None:
        """Takes a frame without a base."""
        self.frames.append(frame)
        self.payload_bytes += len(frame.payload)

    def is_full_with(self, frame: Frame) -> bool:
        """Tells whether a pack is closed before this frame."""
        if not self.frames:
            return False
        length_bytes = self.payload_bytes + len(frame.payload)
        return length_bytes > DIRECT_PACK_BYTES or len(self.frames) >= BUNDLE_BLOCKS_MAX // 2


class _MadePack(NamedTuple):
    """A pack as it is put.

    Attributes:
        pack_id: SHA-256 of the body.
        heads: Headers of its frames, back to back.
        body: All its bytes.
        parts: SHA-256 of each part, back to back, if it is so long that it travels in parts.
        frames: Those it was made of, as views of the body: they are in memory once.
    """

    pack_id: PackId
    heads: bytes
    body: bytes
    parts: bytes
    frames: list[Frame]


class DirectTransfer:
    """Puts packs and reads ranges for one namespace. Lives on the event loop.

    Args:
        session: To the server.
        namespace_id: What all is about.
        executor: Where packs are hashed and blocks decoded.
        tell: Is told, once, that the store cannot be used from here.
        note_link: Is told how many bytes were sent, and in how many seconds.
    """

    def __init__(
        self,
        session: HttpSession,
        namespace_id: NamespaceId,
        executor: Executor | None,
        tell: Callable[[str], None],
        note_link: Callable[[int, float], None],
    ) -> None:
        self._session = session
        self._namespace_id = namespace_id
        self._executor = executor
        self._tell = tell
        self._note_link = note_link
        self._stores: StoreSession | None = None
        self._away_until_s = 0.0
        self._has_told = False
        self._turns = asyncio.Semaphore(PACKS_AT_ONCE)
        self._under_way = 0

    @property
    def is_usable(self) -> bool:
        """True if the server gives tickets, and the store was not found away of late."""
        return self._session.offers_direct and time.monotonic() >= self._away_until_s

    async def close(self) -> None:
        """Ends all connections to stores. Idempotent."""
        if self._stores is not None:
            await self._stores.close()

    # --- up ----------------------------------------------------------------------------------

    async def put(self, batches: AsyncIterator[Sequence[Frame]], relay: Relay) -> int:
        """Sends frames as they are made; returns how many blocks were taken.

        Raises:
            DrystoneError: Of the server, or of whoever makes the frames. What was acknowledged
                before is held.
        """
        taken = 0
        pack, relayed = _PackBuilder(), _PackBuilder()
        sending: set[asyncio.Task[int]] = set()
        try:
            async for frames in batches:
                for frame in frames:
                    builder = relayed if frame.base is not None else pack
                    if builder.is_full_with(frame):
                        if builder is pack:
                            await self._begin(sending, pack.frames, relay)
                            pack = builder = _PackBuilder()
                        else:
                            taken += await relay(relayed.frames)
                            relayed = builder = _PackBuilder()
                    builder.add(frame)
                    taken += _collect(sending)
            if pack.payload_bytes >= DIRECT_BYTES_MIN:
                await self._begin(sending, pack.frames, relay)
            else:
                relayed.frames += pack.frames
            if relayed.frames:
                taken += await relay(relayed.frames)
            while sending:
                await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                taken += _collect(sending)
        finally:
            for task in sending:
                task.cancel()
            if sending:
                await asyncio.gather(*sending, return_exceptions=True)
        return taken

    async def _begin(
        self, sending: set[asyncio.Task[int]], frames: Sequence[Frame], relay: Relay
    ) -> None:
        """Begins to send a pack, once one of those under way is done."""
        await self._turns.acquire()
        task = asyncio.create_task(self._send_pack(frames, relay))
        task.add_done_callback(lambda _: self._turns.release())
        sending.add(task)

    async def _send_pack(self, frames: Sequence[Frame], relay: Relay) -> int:
        """Puts one pack, or sends its blocks through the server."""
        try:
            if self.is_usable:
                loop = asyncio.get_running_loop()
                pack = await loop.run_in_executor(self._executor, _make_pack, frames)
                frames = pack.frames
                await self._put_pack(pack)
                return len(frames)
        except StoreAway as error:
            self._give_up(error)
        except Refused as error:
            self._note_refusal(error)
        except Unavailable as error:
            if error.code != "too-many-arrivals":
                raise
        return await relay(frames)

    async def _put_pack(self, pack: _MadePack) -> None:
        """Puts one pack and has the server take it.

        Raises:
            StoreAway: The store cannot be used.
            Refused: The server does not want it so.
            Unavailable: The server is away.
        """
        for _ in range(TICKETS_MAX):
            granted = await self._ask_for_ticket(pack)
            if granted.held:
                return
            if granted.ticket is not None or granted.parts:
                try:
                    await self._send(granted, pack.body)
                except TicketVoid:
                    continue
            elif not granted.stands:
                raise not_drystone(self._session.url)
            message = Arrived(self._namespace_id, granted.arrival)
            answer = await self._session.post(ArrivedAnswer, "/v1/blocks/arrived", message)
            if len(answer.outcomes) != 1:
                raise not_drystone(self._session.url)
            if not answer.outcomes[0].code:
                return
            # It does not stand there as it should: once more, under another ticket.
        raise StoreAway("the object store does not accept what the server signed")

    async def _ask_for_ticket(self, pack: _MadePack) -> PackTicket:
        message = Grant(self._namespace_id, [PackOffer(pack.pack_id, pack.heads, pack.parts)])
        answer = await self._session.post(GrantAnswer, "/v1/blocks/grant", message)
        if len(answer.packs) != 1:
            raise not_drystone(self._session.url)
        return answer.packs[0]

    async def _send(self, granted: PackTicket, body: bytes) -> None:
        """Puts a pack, or those parts of it that the store does not have."""
        if granted.ticket is not None:
            await self._send_piece(granted.ticket, body)
            return
        view = memoryview(body)
        await _run_all(
            self._send_piece(part.ticket, bytes(view[part.offset : part.offset + part.length]))
            for part in granted.parts
        )

    async def _send_piece(self, ticket: Ticket, piece: bytes) -> None:
        self._under_way += 1
        begun_s = time.monotonic()
        try:
            await self._open_stores().put(ticket, piece)
        finally:
            beside_count, self._under_way = self._under_way, self._under_way - 1
        self._session.count(sent_bytes=len(piece) + _HEADERS_BYTES)
        # Others had their part of the link meanwhile.
        self._note_link(len(piece), (time.monotonic() - begun_s) / beside_count)

    # --- down --------------------------------------------------------------------------------

    async def iter_blocks(self, block_ids: Sequence[BlockId]) -> AsyncIterator[list[FetchedBlock]]:
        """Yields those of these blocks that come straight from the store, verified, as they come.
        Those that do not are to be fetched from the server.

        Raises:
            Unavailable: The server is away.
        """
        ranges = await self._ask_for_ranges(block_ids)
        waiting = ranges[::-1]
        reading: set[asyncio.Task[list[FetchedBlock]]] = set()
        try:
            while waiting or reading:
                while waiting and len(reading) < RANGES_AT_ONCE and self.is_usable:
                    reading.add(asyncio.create_task(self._read_range(waiting.pop())))
                if not reading:
                    return
                done, reading = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if blocks := task.result():
                        yield blocks
        finally:
            for task in reading:
                task.cancel()
            if reading:
                await asyncio.gather(*reading, return_exceptions=True)

    async def _ask_for_ranges(self, block_ids: Sequence[BlockId]) -> list[RangeTicket]:
        message = Grant(self._namespace_id, ids=join_ids(block_ids))
        try:
            answer = await self._session.post(GrantAnswer, "/v1/blocks/grant", message)
        except Refused as error:
            self._note_refusal(error)
            return []
        return [r for r in answer.ranges if 0 < r.length <= 2 * DIRECT_RANGE_BYTES_MAX]

    async def _read_range(self, granted: RangeTicket) -> list[FetchedBlock]:
        """Returns the blocks of a range that are whole; none if it cannot be read."""
        loop = asyncio.get_running_loop()
        try:
            content = await self._read(granted)
            self._session.count(received_bytes=len(content) + _HEADERS_BYTES)
            return await loop.run_in_executor(
                self._executor, _decode_range, split_ids(granted.ids), content
            )
        except StoreAway as error:
            self._give_up(error)
        except (TicketVoid, MalformedMessage):
            pass
        return []

    async def _read(self, granted: RangeTicket) -> bytes:
        try:
            return await self._open_stores().read(granted.ticket, granted.length)
        except TicketVoid:
            # It has expired while it waited, or the pack has joined others: another one, once.
            for again in await self._ask_for_ranges(split_ids(granted.ids)):
                if (again.ids, again.length) == (granted.ids, granted.length):
                    return await self._read_again(again)
            raise

    async def _read_again(self, granted: RangeTicket) -> bytes:
        try:
            return await self._open_stores().read(granted.ticket, granted.length)
        except TicketVoid as error:
            if error.status == 404:
                raise
            raise StoreAway(error.message) from error

    # --- both --------------------------------------------------------------------------------

    def _open_stores(self) -> StoreSession:
        if self._stores is None:
            self._stores = StoreSession(
                needs_tls=self._session.url.startswith("https:"),
                chance=self._session.chance,
                connections_max=2 * RANGES_AT_ONCE,
            )
        return self._stores

    def _note_refusal(self, error: Refused) -> None:
        if error.code in ("direct-off", "unknown-route"):
            self._session.offers_direct = False

    def _give_up(self, error: DrystoneError) -> None:
        """Goes through the server for a while; says so the first time."""
        self._away_until_s = time.monotonic() + AWAY_S
        if not self._has_told:
            self._has_told = True
            self._tell(
                f"Blocks go through the server for now, not straight to its object store:"
                f" {error.message}."
            )


def _collect(sending: set[asyncio.Task[int]]) -> int:
    """Returns how many blocks the tasks that are done have brought, and drops these.

    Raises what one of them raised.
    """
    taken = 0
    for task in [task for task in sending if task.done()]:
        sending.discard(task)
        taken += task.result()
    return taken


async def _run_all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs works side by side; raises what the first one raised, when none runs any more."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _make_pack(frames: Sequence[Frame]) -> _MadePack:
    heads: list[bytes] = []
    pieces: list[Buffer] = [PACK_TAG]
    for frame in frames:
        head = encode_header(frame)
        heads.append(head)
        pieces += (head, frame.payload)
    body = b"".join(pieces)
    view = memoryview(body)
    starts = range(0, len(body), DIRECT_PART_BYTES) if len(body) > DIRECT_PART_BYTES else ()
    parts = b"".join(sha256(view[at : at + DIRECT_PART_BYTES]).digest() for at in starts)
    views: list[Frame] = []
    position = len(PACK_TAG)
    for frame in frames:
        start = position + HEADER_BYTES
        position = start + len(frame.payload)
        views.append(frame._replace(payload=view[start:position]))
    return _MadePack(PackId(sha256(body).digest()), b"".join(heads), body, parts, views)


def _decode_range(block_ids: Sequence[BlockId], content: bytes) -> list[FetchedBlock]:
    """Returns those of these blocks that lie in a range one after the other, and are whole."""
    blocks: list[FetchedBlock] = []
    position = 0
    view = memoryview(content)
    for name in block_ids:
        try:
            if len(content) - position < HEADER_BYTES:
                break
            header = decode_header(content, position)
            start = position + HEADER_BYTES
            position = start + header.stored_bytes
            if header.codec not in (Codec.RAW, Codec.ZSTD) or header.block_id != name:
                raise CorruptBlock("another block lies there")
            frame = Frame(name, header.plain_bytes, header.codec, view[start:position])
            blocks.append((name, decode_frame(frame, lambda _: None)))
        except MalformedFrame:
            break
        except Corrupt:
            # The server is asked for it: it looks at what it has.
            continue
    return blocks
