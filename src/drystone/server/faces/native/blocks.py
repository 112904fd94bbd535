# SPDX-License-Identifier: Apache-2.0
"""Blocks on the wire: ask, put, fetch, outline. Source: docs/protocol/blocks.md."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.ids import BLOCK_ID_BYTES, NamespaceId, parse_namespace_id
from drystone.core.limits import ASK_BLOCKS_MAX, BUNDLE_BYTES_MAX, KIB
from drystone.server.faces.http.bodies import iter_body
from drystone.server.faces.http.streaming import StreamedResponse
from drystone.server.faces.native.call import Call, Operation, Parameter
from drystone.server.ports.blocks import Run
from drystone.wire.block_lists import encode_missing, split_bases, split_ids
from drystone.wire.bundle import MEDIA_TYPE, BundleReader, BundleWriter
from drystone.wire.messages import (
    Ask,
    AskAnswer,
    Fetch,
    OutlineAnswer,
    OutlineAsk,
    PutAnswer,
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
)
