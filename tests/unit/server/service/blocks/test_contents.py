# SPDX-License-Identifier: Apache-2.0

import pytest

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.content.manifest import MalformedManifest, Manifest, encode_manifest
from drystone.core.ids import BlockId
from drystone.server.ports.blocks import LostBlock
from drystone.server.service.blocks.contents import ManifestLine
from drystone.server.service.blocks.verbs import BlockNotFound
from drystone.testing.blocks import frames_of, ids_of, make_noise

pytestmark = pytest.mark.asyncio

HASH = b"h" * 32


def single(block, **changes):
    name = block_id(block)
    return Content(len(block), name, False, content_hash_of_block_id(name))._replace(**changes)


def chunked(blocks, **changes):
    """Returns the content of a file made of blocks, and its manifest's encoding."""
    chunks, offset = [], 0
    for block in blocks:
        chunks.append(Chunk(offset, len(block), block_id(block)))
        offset += len(block)
    manifest = Manifest(ChunkerId.FASTCDC, 1, offset, HASH, tuple(chunks))
    encoded = encode_manifest(manifest._replace(**changes))
    return Content(offset, block_id(encoded), True, HASH), encoded


async def check(device, *contents):
    blocks = device.server.service.blocks
    return await blocks.check_contents(device.actor, device.namespace_id, contents)


async def test_contents_that_are_what_they_say_are_fine(device):
    anna = await device()
    blocks = make_noise(4)
    content, encoded = chunked([*blocks, blocks[0]])
    await anna.put(frames_of([*blocks, encoded]))
    verdict = await check(anna, EMPTY_CONTENT, single(blocks[0]), content, content)

    assert (dict(verdict.contents.missing), dict(verdict.contents.faulty)) == ({}, {})
    assert verdict.manifests == [ManifestLine(content.root, 1000, HASH, 5)]


async def test_nothing_to_check_is_fine(device):
    anna = await device()

    assert (await check(anna)).manifests == []


async def test_blocks_that_were_not_sent_are_missing(device):
    anna = await device()
    blocks = make_noise(4)
    content, encoded = chunked(blocks)
    other, _ = chunked(blocks[:2])
    await anna.put(frames_of([blocks[1], encoded]))
    verdict = await check(anna, content, other, single(blocks[3]))

    assert dict(verdict.contents.missing) == {
        content: tuple(ids_of([blocks[0], blocks[2], blocks[3]])),
        other: (other.root,),
        single(blocks[3]): (block_id(blocks[3]),),
    }
    assert not verdict.contents.faulty
    assert verdict.manifests == []


async def test_blocks_of_others_are_missing_like_any(device):
    anna, bert = await device("anna"), await device("bert")
    blocks = make_noise(3)
    content, encoded = chunked(blocks)
    await anna.put(frames_of([*blocks, encoded]))
    verdict = await check(bert, content, single(blocks[0]))

    assert dict(verdict.contents.missing) == {
        content: (content.root,),
        single(blocks[0]): (block_id(blocks[0]),),
    }
    await bert.put(frames_of([encoded]))
    assert dict((await check(bert, content)).contents.missing) == {content: tuple(ids_of(blocks))}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"size_bytes": 199}, "its block has 200 bytes"),
        ({"size_bytes": 0}, "its block has 200 bytes"),
        ({"content_hash": HASH}, "its content hash does not follow from its block"),
        ({"root": BlockId(b"")}, "a file without blocks is empty"),
        ({"root": BlockId(b""), "chunked": True}, "a file without blocks is empty"),
        (
            {"chunked": True},
            "its manifest cannot be read: these bytes are not a manifest of a kind known here",
        ),
    ],
)
async def test_content_that_its_block_contradicts_is_faulty(device, changes, why):
    anna = await device()
    [block] = make_noise(1)
    await anna.put(frames_of([block]))
    content = single(block, **changes)

    assert dict((await check(anna, content)).contents.faulty) == {content: why}


async def test_content_that_its_manifest_contradicts_is_faulty(device):
    anna = await device()
    blocks = make_noise(3)
    content, encoded = chunked(blocks)
    await anna.put(frames_of([*blocks, encoded]))
    wrong = {
        content._replace(size_bytes=601): "its manifest is of a file of 600 bytes",
        content._replace(content_hash=b"x" * 32): "its manifest has another content hash",
        content._replace(chunked=False): "its block has 164 bytes",
    }

    assert dict((await check(anna, *wrong)).contents.faulty) == wrong


async def test_manifest_that_gives_a_block_another_length_is_faulty(device):
    anna = await device()
    blocks = make_noise(2)
    chunks = (Chunk(0, 100, block_id(blocks[0])), Chunk(100, 300, block_id(blocks[1])))
    content, encoded = chunked(blocks, chunks=chunks)
    await anna.put(frames_of([*blocks, encoded]))

    why = "its manifest gives a block another length than it has"
    assert dict((await check(anna, content)).contents.faulty) == {content: why}


async def test_many_manifests_are_read_a_few_at_a_time(device, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.shelf.PLAIN_BYTES_AT_ONCE", 300)
    anna = await device()
    blocks = make_noise(12)
    made = [chunked(blocks[i : i + 2]) for i in range(0, 12, 2)]
    await anna.put(frames_of([*blocks, *(encoded for _, encoded in made)]))
    sizes = []
    packs = anna.server.service.blocks.shelf.packs
    real = packs.read
    monkeypatch.setattr(packs, "read", lambda places: sizes.append(len(places)) or real(places))
    verdict = await check(anna, *(content for content, _ in made))

    assert len(verdict.manifests) == 6
    assert sizes == [2, 2, 2]


async def test_manifest_can_be_loaded_by_who_holds_it(device):
    anna, bert = await device("anna"), await device("bert")
    content, encoded = chunked(make_noise(2))
    await anna.put(frames_of([encoded]))
    blocks = anna.server.service.blocks

    manifest = await blocks.load_manifest(anna.actor, anna.namespace_id, content.root)
    assert encode_manifest(manifest) == encoded
    with pytest.raises(BlockNotFound):
        await blocks.load_manifest(bert.actor, bert.namespace_id, content.root)


async def test_block_that_is_no_manifest_cannot_be_loaded_as_one(device):
    anna = await device()
    await anna.put(frames_of([b"x" * 100]))

    with pytest.raises(MalformedManifest):
        await anna.server.service.blocks.load_manifest(
            anna.actor, anna.namespace_id, block_id(b"x" * 100)
        )


async def test_lost_manifest_is_missing_until_it_comes_again(device, objects, pack_names):
    anna = await device()
    blocks = make_noise(2)
    content, encoded = chunked(blocks)
    await anna.put(frames_of([encoded]))
    objects.delete(pack_names()[0])
    await anna.put(frames_of(blocks))
    verdict = await check(anna, content, single(blocks[0]))

    assert verdict.contents.missing == {content: (content.root,)}
    assert not verdict.contents.faulty
    load_manifest = anna.server.service.blocks.load_manifest
    with pytest.raises(LostBlock):
        await load_manifest(anna.actor, anna.namespace_id, content.root)

    assert await anna.holds([encoded]) == [False]
    await anna.put(frames_of([encoded]))
    assert not (await check(anna, content)).contents.missing
    manifest = await load_manifest(anna.actor, anna.namespace_id, content.root)
    assert manifest.content(encoded) == content
