# SPDX-License-Identifier: Apache-2.0
"""Blocks for tests, and a device that sends and fetches them without a network."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from hashlib import sha256
from random import Random
from typing import NamedTuple

from drystone.core.content.coding import RAW_ONLY, CompressionPolicy, decode_frame, encode_block
from drystone.core.content.frame import Frame, encode_frame, encode_header
from drystone.core.content.hashing import PACK_TAG, block_id
from drystone.core.errors import DrystoneError
from drystone.core.ids import BlockId, NamespaceId, PackId
from drystone.server.ports.blocks import Run
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.direct import GrantedPack
from drystone.server.service.blocks.heads import Offer
from drystone.server.service.blocks.ingest import PutTally
from drystone.testing.service import MemoryServer
from drystone.wire.bundle import BundleReader, BundleWriter


def make_noise(count: int, length_bytes: int = 200, seed: int = 0) -> list[bytes]:
    """Returns blocks of random bytes: distinct, and not to be compressed."""
    random = Random(seed)
    return [random.randbytes(length_bytes) for _ in range(count)]


def ids_of(blocks: Iterable[bytes]) -> list[BlockId]:
    """Returns the name of each block."""
    return [block_id(block) for block in blocks]


def frames_of(blocks: Iterable[bytes], policy: CompressionPolicy = RAW_ONLY) -> list[Frame]:
    """Returns a frame for each block."""
    return [encode_block(block_id(block), block, policy) for block in blocks]


def split_run(run: Run) -> list[Frame]:
    """Returns the frames of a run one by one."""
    writer, reader = BundleWriter(), BundleReader()
    frames = reader.feed(b"".join((writer.begin(), writer.frames(*run), writer.end())))
    reader.finish()
    return frames


async def as_bundle(
    *portions: Sequence[Frame], error: Exception | None = None
) -> AsyncGenerator[Sequence[Frame], None]:
    """Yields frames as they come from a body; then breaks off with an error, if there is one."""
    for portion in portions:
        yield portion
    if error is not None:
        raise error


class BlockDevice:
    """What a device does with blocks, at the service's door.

    Attributes:
        server: Whose service it asks.
        actor: Who it is.
        namespace_id: Its own namespace.
    """

    def __init__(self, server: MemoryServer, actor: Actor) -> None:
        self.server = server
        self.actor = actor
        self.namespace_id: NamespaceId = actor.root_namespace_id

    async def put(self, *portions: Sequence[Frame], error: Exception | None = None) -> PutTally:
        """Sends a bundle whose frames come in these portions, and perhaps breaks off."""
        bundle = as_bundle(*portions, error=error)
        return await self.server.service.blocks.put(self.actor, self.namespace_id, bundle)

    async def holds(self, blocks: Sequence[bytes]) -> list[bool]:
        """Asks which of these blocks need not be sent."""
        names = ids_of(blocks)
        held = await self.server.service.blocks.ask(self.actor, self.namespace_id, names)
        return [name in held for name in names]

    async def fetch_frames(
        self, names: Sequence[BlockId], bases: Mapping[BlockId, BlockId] | None = None
    ) -> list[Frame]:
        """Fetches frames; runs are taken apart."""
        groups = await self.server.service.blocks.fetch(
            self.actor, self.namespace_id, names, bases or {}
        )
        found: list[Frame] = []
        async for group in groups:
            for item in group:
                found += split_run(item) if isinstance(item, Run) else [item]
        assert [frame.block_id for frame in found] == list(names)
        return found

    async def fetch(
        self,
        names: Sequence[BlockId],
        bases: Mapping[BlockId, BlockId] | None = None,
        known: Iterable[bytes] = (),
    ) -> list[bytes]:
        """Fetches blocks, verified; ``known`` are those that it has itself."""
        have = {block_id(block): block for block in known}
        return [decode_frame(frame, have.get) for frame in await self.fetch_frames(names, bases)]

    async def outlines(self, names: Sequence[BlockId]) -> list[bytes]:
        """Asks for outlines."""
        return await self.server.service.blocks.outline(self.actor, self.namespace_id, names)


class MadePack(NamedTuple):
    """A pack, and what is said of it."""

    offer: Offer
    body: bytes


def make_pack(frames: Sequence[Frame]) -> MadePack:
    """Returns the pack that holds these frames."""
    body = PACK_TAG + b"".join(map(encode_frame, frames))
    heads = b"".join(map(encode_header, frames))
    return MadePack(Offer(PackId(sha256(body).digest()), heads), body)


class DirectDevice(BlockDevice):
    """A device that goes to the object store itself; its store is that of a ``FakeSigning``."""

    async def offer(self, *offers: Offer) -> list[GrantedPack]:
        """Asks for tickets."""
        return await self.server.service.direct.offer(self.actor, self.namespace_id, offers)

    async def settle(self, *arrival_ids: bytes) -> list[DrystoneError | None]:
        """Says that packs have arrived."""
        return await self.server.service.direct.settle(self.actor, self.namespace_id, arrival_ids)

    async def send_pack(self, pack: MadePack, body: bytes | None = None) -> bytes:
        """Puts a pack, or something else in its place, and says so; returns the arrival's id."""
        [granted] = await self.offer(pack.offer)
        assert granted.request is not None
        self.server.signing.send(granted.request, pack.body if body is None else body)
        [trouble] = await self.settle(granted.arrival_id)
        if trouble is not None:
            raise trouble
        return granted.arrival_id


class Always:
    """A duty that nobody else has."""

    async def ensure(self) -> bool:
        return True

    def require(self, unit: Unit) -> None:
        """Nobody has taken it."""

    async def release(self) -> None:
        """Nobody waits for it."""
