# SPDX-License-Identifier: Apache-2.0


import pytest

from drystone.core.content.outline import encode_outline
from drystone.core.ids import BlockId, NamespaceId
from drystone.core.limits import ASK_BLOCKS_MAX, LEASE_RENEW_BELOW_S, LEASE_S
from drystone.server.service.blocks import verbs
from drystone.server.service.blocks.verbs import TooManyBlocks
from drystone.server.service.gate import NamespaceNotFound
from drystone.testing.blocks import as_bundle, frames_of, ids_of, make_noise

TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(200))
SECRET = b"known to one account only " * 50


pytestmark = pytest.mark.asyncio


async def test_what_was_put_is_held_and_need_not_be_sent(device):
    anna = await device()
    blocks = make_noise(3)
    await anna.put(frames_of(blocks[:2]))

    assert await anna.holds(blocks) == [True, True, False]


async def test_what_others_hold_is_not_told(device):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([SECRET]))

    assert await bert.holds([SECRET, b"nobody's"]) == [False, False]


async def test_ask_renews_leases_that_end_soon_and_no_others(device, server):
    anna = await device()
    old, new = make_noise(2)
    await anna.put(frames_of([old]))
    begun_s = server.clock.now_ns() // 10**9
    server.clock.advance(LEASE_S - LEASE_RENEW_BELOW_S + 1)
    await anna.put(frames_of([new]))
    now_s = server.clock.now_ns() // 10**9
    server.clock.advance(1)

    def leases():
        names, namespace_id = ids_of([old, new]), anna.namespace_id
        found = server.metadata.read(lambda unit: unit.blocks.find_leases(namespace_id, names))
        return [found[name] for name in names]

    assert leases() == [begun_s + LEASE_S, now_s + LEASE_S]
    await anna.holds([old, new])
    assert leases() == [now_s + 1 + LEASE_S, now_s + LEASE_S]


async def test_nothing_may_be_asked_about_a_namespace_of_others(device, server):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([SECRET]))
    blocks, theirs = server.service.blocks, anna.namespace_id
    nobodys = NamespaceId(b"n" * 16)
    names = ids_of([SECRET])

    for namespace_id in (theirs, nobodys):
        for asked in (
            blocks.ask(bert.actor, namespace_id, names),
            blocks.put(bert.actor, namespace_id, as_bundle(frames_of([b"x"]))),
            blocks.fetch(bert.actor, namespace_id, names, {}),
            blocks.outline(bert.actor, namespace_id, names),
            blocks.load_manifest(bert.actor, namespace_id, names[0]),
            blocks.check_contents(bert.actor, namespace_id, []),
        ):
            with pytest.raises(NamespaceNotFound):
                await asked


async def test_more_blocks_than_a_request_may_name_are_refused(device, server):
    anna = await device()
    names = [BlockId(i.to_bytes(32, "big")) for i in range(ASK_BLOCKS_MAX + 1)]
    blocks, namespace_id = server.service.blocks, anna.namespace_id

    assert await blocks.ask(anna.actor, namespace_id, names[1:]) == set()
    for asked in (
        blocks.ask(anna.actor, namespace_id, names),
        blocks.fetch(anna.actor, namespace_id, names, {}),
        blocks.outline(anna.actor, namespace_id, names),
    ):
        with pytest.raises(TooManyBlocks):
            await asked


async def test_outline_is_given_of_held_blocks_only(device):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([SECRET]))
    await bert.put(frames_of([TEXT]))
    names = ids_of([SECRET, TEXT, b"nobody's", TEXT])
    found = await bert.outlines(names)

    assert found == [b"", encode_outline(TEXT), b"", encode_outline(TEXT)]


async def test_outline_of_a_lost_block_is_empty(device, objects, pack_names):
    anna = await device()
    await anna.put(frames_of([TEXT]))
    objects.delete(pack_names()[0])

    assert await anna.outlines(ids_of([TEXT])) == [b""]


async def test_outlines_end_where_the_answer_is_full(device, monkeypatch):
    anna = await device()
    blocks = make_noise(4, 3_000)
    await anna.put(frames_of(blocks))
    room_bytes = sum(len(encode_outline(block)) for block in blocks[:2])
    monkeypatch.setattr(verbs, "OUTLINES_BYTES_MAX", room_bytes)
    monkeypatch.setattr("drystone.server.service.blocks.shelf.PLAIN_BYTES_AT_ONCE", 3_000)
    found = await anna.outlines(ids_of(blocks))

    assert [bool(outline) for outline in found] == [True, True, False, False]
