# SPDX-License-Identifier: Apache-2.0
"""Blocks through a real server: killed in the middle, aborted, on a full disk, damaged at rest."""

import asyncio
import resource
import sys
from pathlib import Path

import pytest

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.core.content.coding import RAW_ONLY, encode_block
from drystone.core.content.hashing import block_id
from drystone.core.errors import Corrupt, DrystoneError, Unavailable
from drystone.core.limits import MIB
from drystone.testing.blocks import frames_of, ids_of, make_noise
from drystone.testing.servers import PLAIN_OBJECTS, ServerProcess

PASSWORD = "correct horse"

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def join(server):
    session = HttpSession(server.url)
    signed_in = await sign_in(session, "anna", PASSWORD, "laptop")
    await session.close()
    return HttpRemote(HttpSession(server.url, signed_in.token), signed_in.namespace_id)


async def as_batches(frames, *, pause_after=None, paused=None, go_on=None):
    for count, frame in enumerate(frames):
        if count == pause_after:
            paused.set()
            await go_on.wait()
        yield [frame]


async def fetch(remote, blocks):
    """Returns what comes for each of these blocks: its bytes or its trouble."""
    wanted = [(name, None) for name in ids_of(blocks)]
    return [found async for group in remote.fetch_blocks(wanted, lambda _: None) for found in group]


async def missing(remote, blocks):
    names = set(await remote.ask(ids_of(blocks)))
    return [block for block in blocks if block_id(block) in names]


async def held_count(remote, blocks):
    return len(blocks) - len(await missing(remote, blocks))


def peak_bytes(pid):
    """Returns the most memory that a process ever had resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


async def wait_until_held(remote, blocks, count):
    async with asyncio.timeout(120):
        while await held_count(remote, blocks) < count:  # noqa: ASYNC110  it is another process
            await asyncio.sleep(0.02)


async def test_killed_in_the_middle_of_an_upload_the_server_keeps_what_it_indexed(server):
    blocks = make_noise(60, MIB)
    remote = await join(server)
    watcher = await join(server)
    paused, never = asyncio.Event(), asyncio.Event()
    batches = as_batches(frames_of(blocks), pause_after=50, paused=paused, go_on=never)
    sending = asyncio.create_task(remote.put_blocks(batches))
    await paused.wait()
    await wait_until_held(watcher, blocks, 30)
    held_before = {*blocks} - {*await missing(watcher, blocks)}
    server.kill()
    with pytest.raises(DrystoneError):
        await sending
    await remote.close()
    await watcher.close()

    server.start()
    remote = await join(server)
    rest = await missing(remote, blocks)
    assert not held_before & set(rest)
    await remote.put_blocks(as_batches(frames_of(rest)))
    assert await missing(remote, blocks) == []
    assert [found for _, found in await fetch(remote, blocks)] == blocks
    await remote.close()
    assert not list((server.data_dir / "objects" / ".incoming").iterdir())


async def test_aborted_upload_is_no_upload_and_goes_on_where_it_was(server):
    blocks = make_noise(200, 10_000)
    remote = await join(server)
    paused, never = asyncio.Event(), asyncio.Event()
    batches = as_batches(frames_of(blocks), pause_after=150, paused=paused, go_on=never)
    sending = asyncio.create_task(remote.put_blocks(batches))
    await paused.wait()
    await asyncio.sleep(0.1)  # what was written must leave this process
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    await wait_until_held(remote, blocks, 100)
    rest = await missing(remote, blocks)
    assert 50 <= len(rest) <= 100
    await remote.put_blocks(as_batches(frames_of(rest)))
    assert [found for _, found in await fetch(remote, blocks)] == blocks
    await remote.close()


async def test_full_disk_is_told_and_nothing_half_done_stays(tmp_path):
    # A bound on the size of files stands in for a full disk: it needs no other filesystem.
    limit = "import resource as r,signal as s,sys,runpy;s.signal(s.SIGXFSZ,s.SIG_IGN);"
    limit += f"r.setrlimit(r.RLIMIT_FSIZE,({4 * MIB},{8 * MIB}));"
    limit += "sys.argv=sys.argv[1:];runpy.run_module('drystone',run_name='__main__')"
    command = (sys.executable, "-c", limit, "drystone", "serve")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    with ServerProcess(tmp_path / "data", command=command) as server:
        server.add_account("anna", PASSWORD)
        remote = await join(server)
        small, large = make_noise(3, 1_000), make_noise(8, MIB, seed=1)
        await remote.put_blocks(as_batches(frames_of(small)))
        with pytest.raises(Unavailable) as caught:
            await remote.put_blocks(as_batches(frames_of(large)))

        assert caught.value.code == "server-storage-full"
        assert "room" in caught.value.message
        assert caught.value.advice
        assert not list((server.data_dir / "objects" / ".incoming").iterdir())
        assert await missing(remote, [*small, *large]) == large
        assert [found for _, found in await fetch(remote, small)] == small
        await remote.put_blocks(as_batches(frames_of(large[:2])))
        await remote.close()


@pytest.fixture
def plain_server(tmp_path):
    with ServerProcess(tmp_path / "plain", environment=PLAIN_OBJECTS) as server:
        server.add_account("anna", PASSWORD)
        yield server


async def test_corrupt_pack_is_the_trouble_of_its_blocks_alone(plain_server):
    server = plain_server
    first, second = make_noise(5, 50_000), make_noise(5, 50_000, seed=1)
    remote = await join(server)
    await remote.put_blocks(as_batches(frames_of(first)))
    [pack] = (server.data_dir / "objects" / "packs").glob("*/*")
    await remote.put_blocks(as_batches(frames_of(second)))
    content = bytearray(pack.read_bytes())
    content[8 + 44 + 100] ^= 1
    pack.write_bytes(content[:-1])
    found = [block for _, block in await fetch(remote, [*first, *second])]

    troubles = [isinstance(block, Corrupt) for block in found]
    # One whose bytes changed (noticed by who receives it), one that is cut off.
    assert troubles == [True, False, False, False, True, *[False] * 5]
    assert found[1:4] + found[5:] == first[1:4] + second
    assert "cut off" in found[4].message
    assert pack.name in found[4].message
    assert "block.lost" in server.read_log()
    await remote.close()


async def test_corrupt_block_from_the_network_is_refused_by_name(server):
    remote = await join(server)
    [block] = make_noise(1, 5_000)
    frame = encode_block(block_id(block), block, RAW_ONLY)
    damaged = frame._replace(payload=block[:-1] + bytes([block[-1] ^ 1]))
    with pytest.raises(Corrupt, match=block_id(block).hex()) as caught:
        await remote.put_blocks(as_batches([damaged]))

    assert caught.value.code == "corrupt-block"
    assert await missing(remote, [block]) == [block]
    assert not list((server.data_dir / "objects").glob("packs/*/*"))
    await remote.close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
async def test_memory_stays_bounded_whatever_is_sent(server):
    remotes = [await join(server) for _ in range(3)]

    async def send(number, remote):
        for start in range(0, 90, 30):
            blocks = make_noise(30, 2 * MIB, seed=number * 100 + start)
            await remote.put_blocks(as_batches(frames_of(blocks)))

    await asyncio.gather(*(send(n, remote) for n, remote in enumerate(remotes)))
    for remote in remotes:
        await remote.close()

    assert peak_bytes(server.pid) < 300e6
