# SPDX-License-Identifier: Apache-2.0
"""Laws of direct transfer: one account is honest, another lies as it likes, workers come and go.

secrecy   nobody gets the bytes of a block that they have not had themselves
safety    what the honest one has sent is held and can be read, at any time
truth     whatever lies in the block index is what its name says
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.content.coding import RAW_ONLY, STANDARD, decode_frame, encode_block
from drystone.core.content.frame import HEADER_BYTES, Frame, decode_header
from drystone.core.content.hashing import block_id
from drystone.core.errors import Corrupt, DrystoneError
from drystone.core.limits import ARRIVAL_QUARANTINE_S
from drystone.server.service.blocks.direct import DirectStore, GrantedPack
from drystone.server.service.blocks.verbs import BlockNotFound
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.workers.strays import Strays
from drystone.server.workers.verifier import Verifier
from drystone.testing.blocks import Always, DirectDevice, MadePack, make_pack
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import MemoryServer

STEPS = ("put", "pack", "lie", "swap", "garble", "overwrite", "verify", "tidy", "wait")


@pytest.fixture(autouse=True, scope="module")
def short_ranges():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drystone.server.service.blocks.direct.DIRECT_RANGE_BYTES_MIN", 1)
        patch.setattr("drystone.server.service.blocks.direct.DIRECT_RANGE_BYTES_MAX", 700)
        yield


class Case:
    """A server with an honest device and a lying one, and what each of them has had."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.server = MemoryServer(FaultyObjects(MemoryObjects()), is_direct=True)
        self.pool = [self.random.randbytes(100) * self.random.randint(1, 3) for _ in range(8)]
        self.names = [block_id(block) for block in self.pool]
        self.had: dict[str, set[bytes]] = {"anna": set(), "eve": set()}
        self.puts: list[GrantedPack] = []
        self.devices: dict[str, DirectDevice] = {}

    async def open(self) -> None:
        for name in self.had:
            actor = await self.server.sign_in(name)
            self.devices[name] = DirectDevice(self.server, actor)

    def some(self) -> list[bytes]:
        return self.random.sample(self.pool, self.random.randint(1, 4))

    def encode(self, block: bytes) -> Frame:
        return encode_block(block_id(block), block, self.random.choice((RAW_ONLY, STANDARD)))

    async def step(self, kind: str, who: str) -> None:
        device = self.devices[who]
        blocks = self.some()
        match kind:
            case "put":
                await device.put([self.encode(block) for block in blocks])
                self.had[who].update(blocks)
            case "pack":
                await self.send(who, make_pack([self.encode(block) for block in blocks]))
                self.had[who].update(blocks)
            case "verify":
                await self.verify()
            case "tidy":
                await self.tidy()
            case "wait":
                self.server.clock.advance(self.random.choice((60, 1_000, 20_000, 100_000)))
            case _:
                await self.lie(kind, blocks)

    async def lie(self, kind: str, blocks: list[bytes]) -> None:
        """Eve's own: the honest one does none of these."""
        honest = make_pack([self.encode(block) for block in blocks])
        if kind == "lie":
            # Names of blocks that she may never have seen, over bytes of her own.
            own = [self.random.randbytes(len(block)) for block in blocks]
            frames = [
                self.encode(mine)._replace(block_id=block_id(block))
                for mine, block in zip(own, blocks, strict=True)
            ]
            await self.send("eve", make_pack(frames))
        elif kind == "swap":
            # Heads of the one, bytes of the other, as long.
            await self.send("eve", honest, self.random.randbytes(len(honest.body)))
        elif kind == "garble":
            cut = self.random.randrange(len(honest.body))
            body = honest.body[:cut] + b"?" * self.random.randint(0, 3) + honest.body[cut + 1 :]
            await self.send("eve", honest, body)
            self.had["eve"].update(blocks)
        elif self.puts:
            granted = self.random.choice(self.puts)
            assert granted.request is not None
            if granted.request.expires_s * 10**9 > self.server.clock.now_ns():
                self.server.signing.send(granted.request, self.random.randbytes(500))

    async def send(self, who: str, pack: MadePack, body: bytes | None = None) -> None:
        device = self.devices[who]
        [granted] = await device.offer(pack.offer)
        if granted.request is not None:
            self.server.signing.send(granted.request, pack.body if body is None else body)
            if who == "eve":
                self.puts.append(granted)
        if granted.arrival_id and self.random.random() < 0.9:
            [trouble] = await device.settle(granted.arrival_id)
            assert trouble is None or who == "eve"
        elif granted.arrival_id and who == "anna":
            # Its answer was lost: she sends it otherwise, as a client does that asks again.
            await device.put([self.encode(block) for block in self.pool
                              if block_id(block) in pack.offer.heads])  # fmt: skip

    async def verify(self) -> None:
        server = self.server
        verifier = Verifier(
            server.service.writer, server.packs, server.objects, server.clock, Always()
        )
        with ThreadPoolExecutor(1) as threads:
            while await verifier.verify_due(threads):
                pass

    async def tidy(self) -> None:
        server = self.server
        store = DirectStore(server.objects, server.signing)
        strays = Strays(server.service.writer, store, server.clock, Always())
        await strays.remove_due()
        await strays.remove_strays()

    async def read(self, who: str) -> dict[bytes, bytes | None]:
        """Returns what a device gets under each name, by whichever way; None: told as damaged."""
        device = self.devices[who]
        found: dict[bytes, bytes | None] = {}
        for name in self.names:
            try:
                [frame] = await device.fetch_frames([name])
            except BlockNotFound:
                continue
            try:
                found[name] = decode_frame(frame, lambda _: None)
            except Corrupt:
                found[name] = None
        for ids, length, request in await self.server.service.direct.read(
            device.actor, device.namespace_id, self.names
        ):
            content = self.server.signing.send(request)
            if len(content) == length:
                self.check_range(who, list(ids), content)
        return found

    def check_range(self, who: str, ids: list[bytes], content: bytes) -> None:
        position = 0
        while position + HEADER_BYTES <= len(content):
            try:
                header = decode_header(content, position)
            except DrystoneError:
                assert who == "eve"
                return
            start = position + HEADER_BYTES
            position = start + header.stored_bytes
            frame = Frame(header.block_id, header.plain_bytes, header.codec,
                          content[start:position])  # fmt: skip
            try:
                plain = decode_frame(frame, lambda _: None)
            except Corrupt:
                assert who == "eve"
                continue
            assert plain in self.had[who] or plain not in self.pool
            assert header.block_id in ids

    async def check(self) -> None:
        for who, had in self.had.items():
            for name, plain in (await self.read(who)).items():
                assert plain is None or block_id(plain) == name
                assert plain is None or plain in had, "somebody got what they never had"
        anna = await self.read("anna")
        assert {plain for plain in anna.values() if plain is not None} == self.had["anna"]
        held = await self.devices["anna"].holds(self.pool)
        assert [block in self.had["anna"] for block in self.pool] == held
        index = self.server.metadata.read(lambda unit: unit.blocks.locate(self.names))
        for place in index.values():
            [frame] = self.server.packs.read([place])
            assert isinstance(frame, Frame)
            assert block_id(decode_frame(frame, lambda _: None)) == place.block_id


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(("anna", "eve"))), max_size=14),
)
def test_nobody_gets_what_is_not_theirs_and_nothing_honest_is_lost(seed, steps):
    async def run() -> None:
        case = Case(seed)
        await case.open()
        try:
            for kind, who in steps:
                await case.step(kind, who)
                if case.random.random() < 0.3:
                    await case.check()
            await case.verify()
            await case.check()
            case.server.clock.advance(2 * ARRIVAL_QUARANTINE_S)
            await case.tidy()
            await case.check()
        finally:
            case.server.close()

    asyncio.run(run())
