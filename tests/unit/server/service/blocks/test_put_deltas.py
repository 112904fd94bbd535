# SPDX-License-Identifier: Apache-2.0


import pytest

from drystone.core.content.coding import decode_frame, encode_delta
from drystone.core.content.frame import Codec
from drystone.core.content.hashing import block_id
from drystone.core.content.patch import make_patch
from drystone.server.service.blocks import ingest
from drystone.server.service.blocks.checking import BlockRefused
from drystone.testing.blocks import frames_of, ids_of, make_noise

TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(200))
SECRET = b"known to one account only " * 50


pytestmark = pytest.mark.asyncio


async def test_patch_and_delta_against_held_blocks_become_whole_blocks(device):
    anna = await device()
    await anna.put(frames_of([TEXT]))
    [outline] = await anna.outlines(ids_of([TEXT]))
    first, second = TEXT + b"more\n", b"before\n" + TEXT
    patch = make_patch(block_id(first), first, block_id(TEXT), outline)
    delta = encode_delta(block_id(second), second, block_id(TEXT), TEXT)
    assert (patch.codec, delta.codec) == (Codec.PATCH, Codec.DELTA)
    await anna.put([patch, delta])

    frames = await anna.fetch_frames(ids_of([first, second]))
    assert [decode_frame(frame, lambda _: None) for frame in frames] == [first, second]
    assert {frame.codec for frame in frames} == {Codec.ZSTD}


async def test_base_that_only_others_hold_is_none(device):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([TEXT]))
    changed = TEXT + b"more\n"
    delta = encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)

    with pytest.raises(BlockRefused) as caught:
        await bert.put([delta])

    assert caught.value.code == "missing-base"
    assert caught.value.advice == "Send the block whole."
    assert await bert.holds([changed]) == [False]


async def test_patch_that_does_not_yield_its_block_is_refused(device):
    anna = await device()
    await anna.put(frames_of([TEXT]))
    changed = TEXT + b"more\n"
    delta = encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)
    lie = delta._replace(block_id=block_id(b"something else"))

    with pytest.raises(BlockRefused) as caught:
        await anna.put([lie])
    assert caught.value.code == "corrupt-block"


async def test_base_whose_pack_is_lost_is_asked_for_whole(device, objects, pack_names):
    anna = await device()
    await anna.put(frames_of([TEXT]))
    objects.delete(pack_names()[0])
    changed = TEXT + b"more\n"

    with pytest.raises(BlockRefused) as caught:
        await anna.put([encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)])
    assert caught.value.code == "missing-base"


async def test_patched_block_that_is_known_is_only_held(device):
    anna, bert = await device("anna"), await device("bert")
    changed = TEXT + b"more\n"
    await anna.put(frames_of([changed]))
    await bert.put(frames_of([TEXT]))
    tally = await bert.put([encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)])

    assert tally == (1, 0, 0)
    assert await bert.holds([changed]) == [True]


@pytest.mark.usefixtures("small_packs")
async def test_tiny_patches_that_claim_large_blocks_are_worked_on_a_few_at_a_time(
    device, monkeypatch
):
    anna = await device()
    base = make_noise(1, 900)[0]
    await anna.put(frames_of([base]))
    blocks = [base + bytes([i]) for i in range(30)]
    deltas = [encode_delta(block_id(b), b, block_id(base), base) for b in blocks]
    sizes = []
    real = ingest.check_frames

    def check(shelf, namespace_id, frames, arrived_bytes):
        sizes.append(len(frames))
        return real(shelf, namespace_id, frames, arrived_bytes)

    monkeypatch.setattr(ingest, "check_frames", check)
    await anna.put(deltas)

    assert max(sizes) <= 2
    assert await anna.holds(blocks) == [True] * 30
