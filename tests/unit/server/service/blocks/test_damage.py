# SPDX-License-Identifier: Apache-2.0
"""Stored blocks that cannot be read back: noted, asked for, and whole once they come again."""

import pytest

from drystone.core.content.coding import FAST, decode_frame
from drystone.core.content.frame import HEADER_BYTES, Codec, Frame, read_absent
from drystone.core.content.hashing import PACK_TAG, block_id
from drystone.core.errors import Unavailable
from drystone.server.service.blocks import verbs
from drystone.server.service.blocks.verbs import TooManyBlocks
from drystone.testing.blocks import BlockDevice, frames_of, ids_of, make_noise, split_run

pytestmark = pytest.mark.asyncio

TEXT = b"a line of text that compresses\n" * 40


def first_payload_flipped(content):
    """Nobody notices this who does not decode: the frame's header is as it was."""
    at = len(PACK_TAG) + HEADER_BYTES + 10
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


async def asked(device, names, *, verify=False):
    """Returns which of these blocks the server would have sent."""
    held = await device.server.service.blocks.ask(
        device.actor, device.namespace_id, names, verify=verify
    )
    return [name for name in names if name not in held]


async def fetch_doubted(device, names, doubted):
    groups = await device.server.service.blocks.fetch(
        device.actor, device.namespace_id, names, {}, doubted
    )
    found = []
    async for group in groups:
        for item in group:
            found += [item] if isinstance(item, Frame) else split_run(item)
    return found


async def lose_first(anna, objects, pack_names, change=first_payload_flipped):
    """Puts three blocks in a pack and damages the first; returns them and the pack's name."""
    blocks = [TEXT, *make_noise(2)]
    await anna.put(frames_of(blocks, FAST))
    [name] = pack_names()
    objects.change(name, change)
    return blocks, name


async def test_block_that_was_found_damaged_is_asked_for_and_whole_once_it_comes(
    device, objects, pack_names
):
    anna, bert = await device("anna"), await device("bert")
    blocks, _ = await lose_first(anna, objects, pack_names, lambda content: content[:-1])
    await bert.put(frames_of(blocks))
    names = ids_of(blocks)
    assert await asked(anna, names) == [], "nobody has noticed it"

    frames = await anna.fetch_frames(names)
    assert [frame.codec for frame in frames] == [Codec.ZSTD, Codec.RAW, Codec.ABSENT]
    assert await asked(anna, names) == await asked(bert, names) == names[2:]
    assert read_absent((await anna.fetch_frames(names[2:]))[0])[0] == "corrupt-block"

    tally = await bert.put(frames_of(blocks[2:]))
    assert tally.stored_blocks_count == 1
    assert await asked(anna, names) == []
    assert await anna.fetch(names) == blocks


async def test_same_pack_that_comes_again_takes_the_damaged_one_s_place(
    device, objects, pack_names
):
    anna = await device()
    blocks, name = await lose_first(anna, objects, pack_names, lambda content: content[:60])
    await anna.fetch_frames(ids_of(blocks))
    assert await anna.holds(blocks) == [False] * 3
    await anna.put(frames_of(blocks, FAST))

    assert pack_names() == [name]
    assert await anna.fetch(ids_of(blocks)) == blocks


async def test_block_that_arrived_damaged_is_verified_when_it_is_asked_for_again(
    device, objects, pack_names
):
    anna = await device()
    blocks, _ = await lose_first(anna, objects, pack_names)
    names = ids_of(blocks)
    # Sent as it lies: that is for the receiver to find out.
    assert [f.codec for f in await anna.fetch_frames(names)] == [Codec.ZSTD, Codec.RAW, Codec.RAW]

    frames = await fetch_doubted(anna, names, names)
    assert [frame.codec for frame in frames] == [Codec.ABSENT, Codec.RAW, Codec.RAW]
    assert await asked(anna, names) == names[:1]


async def test_what_is_brought_back_from_a_backup_is_believed_again(device, objects, pack_names):
    anna = await device()
    blocks, name = await lose_first(anna, objects, pack_names, lambda content: content[:-1])
    names = ids_of(blocks)
    await anna.fetch_frames(names)
    assert await asked(anna, names) == names[2:]
    objects.change(name, lambda content: content + blocks[2][-1:])

    assert await anna.fetch(names) == blocks
    assert await asked(anna, names) == []


async def test_ask_can_have_blocks_verified(device, objects, pack_names):
    anna = await device()
    blocks, name = await lose_first(anna, objects, pack_names)
    names = ids_of(blocks)
    unknown = block_id(b"never sent")
    assert await asked(anna, names) == []
    assert await asked(anna, [*names, unknown, names[0]], verify=True) == [
        names[0], unknown, names[0],
    ]  # fmt: skip
    assert await asked(anna, names) == names[:1]

    objects.change(name, first_payload_flipped)
    assert await asked(anna, names) == names[:1]
    assert await asked(anna, names, verify=True) == []
    assert await asked(anna, names) == []


async def test_ask_verifies_only_so_much(device, monkeypatch):
    anna = await device()
    blocks = make_noise(3, length_bytes=1_000)
    await anna.put(frames_of(blocks))
    monkeypatch.setattr(verbs, "VERIFIED_BYTES_MAX", 2_999)

    with pytest.raises(TooManyBlocks, match="3,000 bytes"):
        await asked(anna, ids_of(blocks), verify=True)
    assert await asked(anna, ids_of(blocks[:2]), verify=True) == []


async def test_damage_is_told_to_nobody_who_does_not_hold_the_block(device, objects, pack_names):
    anna, bert = await device("anna"), await device("bert")
    blocks, _ = await lose_first(anna, objects, pack_names)
    await asked(anna, ids_of(blocks), verify=True)

    with pytest.raises(verbs.BlockNotFound):
        await bert.fetch_frames(ids_of(blocks[:1]))


async def test_store_that_is_away_is_not_taken_for_damage(device, objects):
    anna = await device()
    blocks = make_noise(2)
    await anna.put(frames_of(blocks))
    objects.read_error = Unavailable("away")
    with pytest.raises(Unavailable):
        await asked(anna, ids_of(blocks), verify=True)
    objects.read_error = None

    assert await anna.holds(blocks) == [True, True]


async def test_trouble_that_passes_is_not_noted(device, objects, pack_names, monkeypatch):
    anna = await device()
    blocks, name = await lose_first(anna, objects, pack_names)
    packs = anna.server.service.blocks.shelf.packs
    read = packs.read
    reads = []

    def mend_after_the_first_look(places):
        found = read(places)
        if not reads:
            objects.change(name, first_payload_flipped)
        reads.append(places)
        return found

    monkeypatch.setattr(packs, "read", mend_after_the_first_look)
    names = ids_of(blocks)

    assert await asked(anna, names, verify=True) == []
    assert len(reads) == 2


async def test_base_that_is_damaged_is_asked_for_when_an_outline_of_it_is_wanted(
    device, objects, pack_names
):
    anna = await device()
    blocks, _ = await lose_first(anna, objects, pack_names)

    [empty, *others] = await anna.outlines(ids_of(blocks))
    assert empty == b""
    assert all(others)
    assert await anna.holds(blocks) == [False, True, True]


async def test_noting_damage_that_fails_breaks_no_fetch(
    device: BlockDevice, objects, pack_names, monkeypatch
):
    anna = await device()
    blocks, _ = await lose_first(anna, objects, pack_names, lambda content: content[:-1])

    async def fail(*_, **__):
        raise Unavailable("the database is full")

    monkeypatch.setattr(anna.server.service.blocks.shelf.writer, "write", fail)
    frames = await anna.fetch_frames(ids_of(blocks))

    assert frames[2].codec == Codec.ABSENT
    assert decode_frame(frames[0], lambda _: None) == TEXT
