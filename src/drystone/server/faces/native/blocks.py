# SPDX-License-Identifier: Apache-2.0
"""Blocks on the wire: ask, put, fetch, outline, grant, arrived. Source: docs/protocol/blocks.md."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.errors import DrystoneError
from drystone.core.ids import BLOCK_ID_BYTES, ID_BYTES, NamespaceId, PackId, parse_namespace_id
from drystone.core.limits import ASK_BLOCKS_MAX, BUNDLE_BYTES_MAX, KIB
from drystone.server.faces.http.bodies import iter_body
from drystone.server.faces.http.streaming import StreamedResponse
from drystone.server.faces.native.call import Call, Operation, Parameter
from drystone.server.ports.blocks import Run
from drystone.server.ports.signing import SignedRequest
from drystone.server.service.blocks.direct import GrantedPack, GrantedRange
from drystone.server.service.blocks.heads import Offer
from drystone.wire.block_lists import encode_missing, join_ids, split_bases, split_ids
from drystone.wire.bundle import MEDIA_TYPE, BundleReader, BundleWriter
from drystone.wire.codec import MalformedMessage
from drystone.wire.messages import (
    Arrived,
    ArrivedAnswer,
    ArrivedOutcome,
    Ask,
    AskAnswer,
    Fetch,
    Grant,
    GrantAnswer,
    OutlineAnswer,
    OutlineAsk,
    PackTicket,
    PartTicket,
    PutAnswer,
    RangeTicket,
    Ticket,
)

_IDS_BYTES_MAX: Final = 4 * ASK_BLOCKS_MAX * BLOCK_ID_BYTES + KIB
"""Of a message with twice as many ids as allowed, in base64: what is more is not read."""


async def ask(call: Call) -> Response:
    """Answers which blocks must be sent."""
    message = await call.read(Ask, _IDS_BYTES_MAX)
    block_ids = split_ids(message.ids)
    namespace_id = _namespace(message.namespace_id)
    held = await call.service.blocks.ask(call.actor, namespace_id, block_ids, verify=message.verify)
    return call.answer(AskAnswer(encode_missing(block_ids, set(block_ids) - held)))


async def put(call: Call) -> Response:
    """Takes a bundle."""
    frames = _iter_frames(call.request)
    tally = await call.service.blocks.put(call.actor, call.namespace_id(), frames)
    return call.answer(PutAnswer(*tally))


async def fetch(call: Call) -> Response:
    """Gives a bundle."""
    message = await call.read(Fetch, _IDS_BYTES_MAX)
    block_ids = split_ids(message.ids)
    named = zip(block_ids, split_bases(message.bases, len(block_ids)), strict=True)
    bases = {name: base for name, base in named if base is not None}
    namespace_id = _namespace(message.namespace_id)
    doubted = split_ids(message.doubted)
    groups = await call.service.blocks.fetch(call.actor, namespace_id, block_ids, bases, doubted)
    return StreamedResponse(_write_bundle(groups), MEDIA_TYPE)


async def outline(call: Call) -> Response:
    """Gives outlines of blocks."""
    message = await call.read(OutlineAsk, _IDS_BYTES_MAX)
    namespace_id = _namespace(message.namespace_id)
    block_ids = split_ids(message.ids)
    outlines = await call.service.blocks.outline(call.actor, namespace_id, block_ids)
    return await call.answer_many(len(outlines), lambda: OutlineAnswer(outlines))


async def grant(call: Call) -> Response:
    """Gives tickets to put packs into the object store, and to read blocks out of it."""
    message = await call.read(Grant)
    namespace_id = _namespace(message.namespace_id)
    block_ids = split_ids(message.ids)
    offers = [Offer(PackId(offer.id), offer.heads, offer.parts) for offer in message.packs]
    direct = call.service.direct
    packs = await direct.offer(call.actor, namespace_id, offers) if offers else []
    ranges = await direct.read(call.actor, namespace_id, block_ids) if block_ids else []
    count = len(packs) + len(ranges)
    return await call.answer_many(
        count, lambda: GrantAnswer(list(map(_show_pack, packs)), list(map(_show_range, ranges)))
    )


async def arrived(call: Call) -> Response:
    """Takes packs that stand in the object store."""
    message = await call.read(Arrived)
    told = message.arrivals
    if len(told) % ID_BYTES:
        raise MalformedMessage(f"{len(told)} bytes are not a list of arrivals of {ID_BYTES} bytes")
    arrival_ids = [told[start : start + ID_BYTES] for start in range(0, len(told), ID_BYTES)]
    namespace_id = _namespace(message.namespace_id)
    troubles = await call.service.direct.settle(call.actor, namespace_id, arrival_ids)
    return call.answer(ArrivedAnswer(list(map(_show_outcome, troubles))))


def _show_pack(granted: GrantedPack) -> PackTicket:
    arrival_id, stands, request, granted_parts = granted
    ticket = None if request is None else _show_ticket(request)
    parts = [PartTicket(offset, length, _show_ticket(r)) for offset, length, r in granted_parts]
    return PackTicket(arrival_id, not arrival_id, stands, ticket, parts)


def _show_range(granted: GrantedRange) -> RangeTicket:
    block_ids, length_bytes, request = granted
    return RangeTicket(join_ids(block_ids), length_bytes, _show_ticket(request))


def _show_ticket(request: SignedRequest) -> Ticket:
    return Ticket(request.method, request.url, request.expires_s, dict(request.headers))


def _show_outcome(trouble: DrystoneError | None) -> ArrivedOutcome:
    return ArrivedOutcome() if trouble is None else ArrivedOutcome(trouble.code, trouble.message)


async def _iter_frames(request: Request) -> AsyncGenerator[Sequence[Frame], None]:
    """Yields the frames of a request's body as they come; raises if it has no proper end."""
    reader = BundleReader()
    async for piece in iter_body(request, BUNDLE_BYTES_MAX):
        if frames := reader.feed(piece):
            yield frames
    reader.finish()


async def _write_bundle(
    groups: AsyncGenerator[list[Run | Frame], None],
) -> AsyncGenerator[bytes, None]:
    """Yields a bundle of these frames; long runs go as they are, short ones are joined."""
    writer = BundleWriter()
    parts: list[Buffer] = [writer.begin()]
    try:
        async for group in groups:
            for item in group:
                if isinstance(item, Run):
                    parts.append(writer.frames(*item))
                else:
                    parts += writer.frame(item)
            if len(parts) == 1 and isinstance(parts[0], bytes):
                yield parts[0]
            else:
                yield b"".join(parts)
            parts = []
        yield b"".join((*parts, writer.end()))
    finally:
        await groups.aclose()


def _namespace(raw: bytes) -> NamespaceId:
    return parse_namespace_id(raw.hex())


_NAMESPACE: Final = Parameter("namespace", "Which namespace is to hold the blocks.", required=True)

OPERATIONS: Final = (
    Operation("POST", "/v1/blocks/ask", ask, "Which of these blocks must I send?", Ask, AskAnswer),
    Operation(
        "PUT",
        "/v1/blocks",
        put,
        "Sends a bundle of blocks.",
        answer=PutAnswer,
        query=(_NAMESPACE,),
        carries_blocks=True,
    ),
    Operation(
        "POST",
        "/v1/blocks/fetch",
        fetch,
        "Fetches blocks as a bundle.",
        Fetch,
        carries_blocks=True,
    ),
    Operation(
        "POST",
        "/v1/blocks/outline",
        outline,
        "Outlines of blocks, to make patches against them.",
        OutlineAsk,
        OutlineAnswer,
    ),
    Operation(
        "POST",
        "/v1/blocks/grant",
        grant,
        "Tickets to put packs into the object store, and to read blocks out of it.",
        Grant,
        GrantAnswer,
    ),
    Operation(
        "POST",
        "/v1/blocks/arrived",
        arrived,
        "Says that packs stand in the object store now.",
        Arrived,
        ArrivedAnswer,
    ),
)
