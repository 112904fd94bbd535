# SPDX-License-Identifier: Apache-2.0
"""Laws of blocks on the server, whatever comes, however it is cut, wherever it breaks."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.content.coding import RAW_ONLY, STANDARD, encode_block, encode_delta
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import block_id
from drystone.core.errors import DrystoneError
from drystone.server.ports.blocks import Pack
from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.service.blocks import ingest, verbs
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import BlockDevice, ids_of
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import MemoryServer
from drystone.wire.bundle import BundleReader, BundleWriter

BASE = b"".join(b"line %d of what both sides have\n" % i for i in range(60))


@pytest.fixture(autouse=True, scope="module")
def small_steps():
    """Groups and packs of a few hundred bytes, so that a bundle is many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "_GROUP_BYTES", 500)
        patch.setattr(verbs, "PACK_BYTES_TARGET", 3_000)
        patch.setattr(verbs, "_PACK_BYTES_MIN", 1_000)
        patch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 700)
        yield


class Sent(NamedTuple):
    """A bundle to be sent.

    Attributes:
        blocks: What its frames yield, in order; some may come twice.
        frames: Raw, compressed, or made from BASE.
        cuts: Where its bytes are cut into pieces.
        end: How many of its bytes arrive; beyond its length: all.
    """

    blocks: list[bytes]
    frames: list[Frame]
    cuts: list[int]
    end: int


@st.composite
def sendings(draw: st.DrawFn) -> Sent:
    random = Random(draw(st.integers(0, 2**32)))
    pool = [make_block(random) for _ in range(draw(st.integers(1, 30)))]
    blocks = random.choices(pool, k=draw(st.integers(0, 40)))
    frames = [encode(random, block) for block in blocks]
    cuts = draw(st.lists(st.integers(0, 20_000), max_size=20))
    return Sent(blocks, frames, sorted(cuts), draw(st.integers(0, 30_000) | st.just(10**9)))


def make_block(random: Random) -> bytes:
    if random.random() < 0.3:
        return BASE[: random.randint(1, len(BASE))] + random.randbytes(random.randint(0, 50))
    return random.randbytes(random.randint(1, 400)) * random.randint(1, 3)


def encode(random: Random, block: bytes) -> Frame:
    name = block_id(block)
    if random.random() < 0.3:
        return encode_delta(name, block, block_id(BASE), BASE)
    return encode_block(name, block, random.choice((RAW_ONLY, STANDARD)))


def pieces_of(sent: Sent) -> list[bytes]:
    """Returns the bundle's bytes as they arrive."""
    writer = BundleWriter()
    parts = [writer.begin()]
    for frame in sent.frames:
        parts += writer.frame(frame)
    whole = b"".join([*parts, writer.end()])[: sent.end]
    edges = [0, *(cut for cut in sent.cuts if cut < len(whole)), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]


async def send(device: BlockDevice, pieces: Sequence[bytes]) -> None:
    async def bundle():
        reader = BundleReader()
        for piece in pieces:
            yield reader.feed(piece)
        reader.finish()

    service = device.server.service
    await service.blocks.put(device.actor, device.namespace_id, bundle())


async def open_device(objects: FaultyObjects) -> BlockDevice:
    server = MemoryServer(objects)
    device = BlockDevice(server, await server.sign_in())
    await device.put([encode_block(block_id(BASE), BASE)])
    return device


@given(sendings(), st.lists(st.booleans(), max_size=4))
def test_whatever_arrives_what_is_held_is_whole_and_nothing_else_is(sent, full_disks):
    async def run():
        objects = FaultyObjects(MemoryObjects())
        device = await open_device(objects)
        objects.put_errors = [ObjectStoreFull("no room") if full else None for full in full_disks]
        code = ""
        try:
            await send(device, pieces_of(sent))
        except DrystoneError as error:
            code = error.code
        assert code in {"", "truncated-bundle", "server-storage-full"}
        objects.put_errors = []
        held = await device.holds(sent.blocks)
        kept = [block for block, is_held in zip(sent.blocks, held, strict=True) if is_held]

        if not code:
            assert all(held)
        assert await device.fetch(ids_of(kept)) == kept
        # Nobody else learns of any of it.
        other = BlockDevice(device.server, await device.server.sign_in("bert"))
        assert not any(await other.holds(sent.blocks))
        # Resuming sends only what is not held, and ends well.
        if sent.blocks:
            rest = [f for f, is_held in zip(sent.frames, held, strict=True) if not is_held]
            await device.put(rest)
            assert all(await device.holds(sent.blocks))
        device.server.close()

    asyncio.run(run())


@given(sendings())
def test_index_is_what_the_packs_say(sent):
    async def run():
        objects = FaultyObjects(MemoryObjects())
        device = await open_device(objects)
        await device.put(sent.frames)
        packs = list(device.server.service.blocks.shelf.packs.iter_packs())
        names = {block_id(block) for block in [*sent.blocks, BASE]}
        index = device.server.metadata.read(lambda unit: unit.blocks.locate(names))

        assert all(isinstance(pack, Pack) for pack in packs)
        # Sent one after the other, no block is stored twice.
        found = [place for pack in packs for place in pack.places]
        assert {place.block_id: place for place in found} == index
        assert len(found) == len(index) == len(names)
        device.server.close()

    asyncio.run(run())


@given(sendings(), st.integers(0, 2**32))
def test_blocks_come_as_asked_whatever_the_order(sent, seed):
    async def run():
        device = await open_device(FaultyObjects(MemoryObjects()))
        await device.put(sent.frames)
        random = Random(seed)
        wanted = random.choices([*sent.blocks, BASE], k=random.randint(0, 60))
        bases = {name: block_id(BASE) for name in ids_of(wanted) if random.random() < 0.5}

        assert await device.fetch(ids_of(wanted), bases, known=[BASE]) == wanted
        device.server.close()

    asyncio.run(run())
