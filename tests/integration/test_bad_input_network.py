# SPDX-License-Identifier: Apache-2.0
"""Bad input: blocks that arrive damaged, bundles that break off, frames that would burst."""

import random

import pytest

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.client.loop import running
from drystone.core.content import zstd
from drystone.core.content.coding import encode_block
from drystone.core.content.frame import Codec, Frame
from drystone.core.content.hashing import block_id
from drystone.core.errors import DrystoneError
from drystone.core.limits import BLOCK_BYTES_MAX
from drystone.testing.real_devices import PASSWORD, converge, list_incoming
from drystone.testing.relays import CutInBundle, FlipInBundle
from drystone.testing.service import until

FIRST_PAYLOAD = 60
"""A byte of the first block in a bundle; at 10 is the codec in the header before it."""
CODEC = 10


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)


@pytest.fixture
def pair(join, relay):
    """Two devices; the second reaches the server over the relay."""
    return join("one"), join("two", relay.url)


def write_some(device, prefix):
    for number in range(4):
        device.write(f"{prefix}/small{number}", noise(1_000 + number, seed=number))
    device.write(f"{prefix}/large", noise(9_000_000, seed=9))


# --- damaged on the way down ----------------------------------------------------------------------


@pytest.mark.parametrize("at", [FIRST_PAYLOAD, CODEC])
def test_what_arrives_damaged_is_never_written_and_comes_later(pair, relay, at):
    one, two = pair
    write_some(one, "d")
    one.sync()
    relay.down = FlipInBundle(at)
    summary = two.sync()
    arrived = {path: look for path, look in two.look().items() if look.kind == "file"}
    theirs = one.look()

    assert relay.down.count
    assert summary.problems_count == summary.unsettled_count > 0
    assert all(look == theirs[path] for path, look in arrived.items())
    assert {row.path for row in two.told.problems} == theirs.keys() - two.look().keys()
    assert all(row.message for row in two.told.problems)
    assert two.list_stage() == []

    relay.mend()
    converge(two, one)


def test_one_damaged_block_holds_up_no_other_file(pair, relay):
    one, two = pair
    for number in range(4):
        one.write(f"d/small{number}", noise(1_000, seed=number))
    one.sync()
    relay.down = FlipInBundle(FIRST_PAYLOAD)
    two.sync()
    [row] = two.told.problems

    assert row.path not in two.look()
    assert row.code == "corrupt-block"
    assert "arrived with other bytes" in row.message
    assert "asked for again" in row.advice
    assert len([look for look in two.look().values() if look.kind == "file"]) == 3

    relay.mend()
    converge(two, one)


def test_block_damaged_once_is_asked_for_again_at_once(pair, relay):
    one, two = pair
    write_some(one, "d")
    one.sync()
    relay.down = FlipInBundle(FIRST_PAYLOAD, times=1)
    summary = two.sync()

    assert relay.down.count == 1
    assert (summary.problems_count, summary.unsettled_count) == (0, 0)
    converge(two, one)


def test_damaged_delta_leaves_the_old_content_in_place(pair, relay):
    one, two = pair
    one.write("text", b"a line of text\n" * 3_000)
    converge(one, two)
    old = two.read("text")
    one.write("text", old + b"one more")
    one.sync()
    # A delta's header is longer, by the base; what follows is its payload.
    relay.down = FlipInBundle(90)
    two.sync()

    assert relay.down.count
    assert two.read("text") == old
    assert two.list_problems().keys() == {"text"}

    relay.mend()
    converge(two, one)
    assert two.read("text") == old + b"one more"


# --- damaged on the way up ------------------------------------------------------------------------


@pytest.mark.parametrize("at", [FIRST_PAYLOAD, CODEC])
def test_upload_damaged_once_is_sent_again(pair, relay, at):
    one, two = pair
    write_some(two, "d")
    relay.up = FlipInBundle(at, times=1)
    summary = two.sync()

    assert relay.up.count == 1
    assert (summary.problems_count, summary.unsettled_count) == (0, 0)
    converge(two, one)


def test_upload_that_is_always_damaged_is_refused_and_nothing_is_committed(
    pair, relay, shared_server
):
    one, two = pair
    write_some(two, "d")
    before = two.look()
    relay.up = FlipInBundle(FIRST_PAYLOAD)
    with pytest.raises(DrystoneError) as caught:
        two.sync()
    one.sync()

    assert caught.value.code in ("corrupt-block", "bad-compression", "decompression-bomb")
    assert "was not taken" in caught.value.message
    assert caught.value.advice
    assert two.look() == before
    assert [path for path, look in one.look().items() if look.kind == "file"] == []
    assert list_incoming(shared_server) == []

    relay.mend()
    converge(two, one)


# --- cut off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 300, 3_000_000])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_bundle_that_breaks_off_once_is_gone_on_with(pair, relay, direction, length):
    sender, receiver = reversed(pair) if direction == "up" else pair
    write_some(sender, "d")
    if direction == "down":
        sender.sync()
    cut = CutInBundle(length, times=1)
    setattr(relay, direction, cut)
    pair[1].sync()

    assert cut.count == 1
    converge(sender, receiver)


def test_bundles_that_always_break_off_are_told_and_leave_nothing_half_written(pair, relay):
    one, two = pair
    for number in range(4):
        one.write(f"d/small{number}", noise(1_000, seed=number))
    one.sync()
    relay.down = CutInBundle(300)
    with pytest.raises(DrystoneError) as caught:
        two.sync()

    assert caught.value.code == "server-away"
    assert f"the connection to {relay.url} broke" in caught.value.message
    assert caught.value.advice == "Try again in a moment."
    assert [path for path, look in two.look().items() if look.kind == "file"] == []
    assert two.list_stage() == []

    relay.mend()
    converge(two, one)


def test_uploads_that_always_break_off_are_told_and_leave_nothing_on_the_server(
    pair, relay, shared_server, monkeypatch
):
    monkeypatch.setattr(running, "_BROKEN_S", 0.01)
    one, two = pair
    write_some(two, "d")
    before = two.look()
    relay.up = CutInBundle(300)
    with pytest.raises(DrystoneError) as caught:
        two.sync()

    assert caught.value.code == "server-away"
    assert two.look() == before

    relay.mend()
    converge(two, one)
    assert list_incoming(shared_server) == []


# --- bombs ----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_frame_that_would_burst_is_refused_by_the_server(shared_server):
    session = HttpSession(shared_server.url)
    signed_in = await sign_in(session, "anna", PASSWORD, "bomber")
    await session.close()
    remote = HttpRemote(HttpSession(shared_server.url, signed_in.token), signed_in.namespace_id)
    good = noise(5_000)
    name = block_id(b"whatever")
    told_bomb = zstd.compress(bytes(256 << 20), 1)
    silent_bomb = bytearray(zstd.compress(bytes(64 << 20), 1))
    # The field that tells the content size: a frame that claims to be small, and is not.
    assert silent_bomb[4] >> 6 == 2
    start = 5 + (not silent_bomb[4] >> 5 & 1)
    silent_bomb[start : start + 4] = (10_000).to_bytes(4, "little")
    codes = []
    for payload, plain_bytes in ((told_bomb, BLOCK_BYTES_MAX), (bytes(silent_bomb), 10_000)):

        async def bundle(payload=payload, plain_bytes=plain_bytes):
            yield [encode_block(block_id(good), good)]
            yield [Frame(name, plain_bytes, Codec.ZSTD, payload)]

        with pytest.raises(DrystoneError) as caught:
            await remote.put_blocks(bundle())
        codes.append(caught.value.code)
        assert name.hex() in caught.value.message
        assert caught.value.advice

    async def good_bundle():
        yield [encode_block(block_id(good), good)]

    assert await remote.put_blocks(good_bundle()) == 1
    missing = await remote.ask([name, block_id(good)])
    await remote.close()

    assert codes == ["decompression-bomb", "bad-compression"]
    assert missing == [name]
    await until(lambda: list_incoming(shared_server) == [])
