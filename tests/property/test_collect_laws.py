# SPDX-License-Identifier: Apache-2.0
"""Laws of collecting: what can be reached is never lost, and everything else goes in the end.

Collectors take one step at a time, between whatever devices do; they are killed at any step, and
two may be at it at once.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.content import Content
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.content.manifest import Manifest, decode_manifest, encode_manifest
from drystone.core.errors import Unavailable
from drystone.core.ids import ROOT_ID, BlockId, FileId, Rev, Seq
from drystone.core.journal.change import Change, Create, Delete, Edit, Restore
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.blocks import LostBlock
from drystone.server.ports.metadata import BlockPlace, Unit
from drystone.server.service.blocks.shelf import LeaseTimes, read_plain
from drystone.server.workers.collecting import CollectRules, Tally
from drystone.server.workers.collecting.marking import Marking
from drystone.testing.blocks import BlockDevice, frames_of
from drystone.testing.service import Keeper, MemoryServer, file_id

T = TypeVar("T")

BLOCKS = [bytes([65 + number]) * (20 + number) for number in range(8)]
LEASES = LeaseTimes(lasts_s=20, renew_below_s=10, commit_s=3)
RULES = CollectRules(age_s=4, quarantine_s=6, remembered_s=50)
FOREVER_S = 1_000

some_blocks = st.lists(st.sampled_from(range(len(BLOCKS))), min_size=1, max_size=4)
numbers = st.integers(1, 4)


class Collecting(RuleBasedStateMachine):
    """Two accounts with a device each, one server, and two collectors."""

    history_s = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.server = MemoryServer(leases=LEASES)
        self.keeper = Keeper(self.server.metadata, self.server.packs, self.server.clock)
        self.devices = [
            BlockDevice(self.server, self.do(self.server.sign_in(name))) for name in ("anna", "bob")
        ]
        self.rules = RULES._replace(history_s=self.history_s)
        self.runs: list[Iterator[int]] = [iter(()), iter(())]
        self.reading: list[tuple[float, BlockPlace, bytes]] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.server.close()
        self.runner.close()

    # --- devices -------------------------------------------------------------------------------

    @rule(who=st.integers(0, 1), chosen=some_blocks)
    def upload(self, who: int, chosen: list[int]) -> None:
        device = self.devices[who]
        data = [BLOCKS[number] for number in dict.fromkeys(chosen)]
        self.put(device, [*data, make_file(chosen)[1]])

    @rule(who=st.integers(0, 1), number=numbers, chosen=some_blocks)
    def commit(self, who: int, number: int, chosen: list[int]) -> None:
        """Whether its blocks are there or not."""
        device, content = self.devices[who], make_file(chosen)[0]
        known = self.find(device, file_id(number))
        change: Change = Create(
            Entry(file_id(number), ROOT_ID, f"f{number}", Kind.FILE, content, 0o644, 7, "", Rev(0))
        )
        if known is not None:
            change = Edit(file_id(number), known.rev, content, 0o644, 8)
        self.do(self.server.commit(device.actor, [change]))

    @rule(who=st.integers(0, 1), number=numbers)
    def delete(self, who: int, number: int) -> None:
        device = self.devices[who]
        if (known := self.find(device, file_id(number))) is not None:
            self.do(self.server.commit(device.actor, [Delete(file_id(number), known.rev)]))

    @rule(who=st.integers(0, 1), number=numbers, rev=st.integers(0, 12))
    def restore(self, who: int, number: int, rev: int) -> None:
        device = self.devices[who]
        self.do(self.server.commit(device.actor, [Restore(file_id(number), Rev(rev))]))

    @rule(who=st.integers(0, 1), chosen=some_blocks)
    def ask(self, who: int, chosen: list[int]) -> None:
        self.do(self.devices[who].holds([BLOCKS[number] for number in chosen]))

    @rule(chosen=some_blocks)
    def begin_to_read(self, chosen: list[int]) -> None:
        """Somebody has looked up where blocks lie, and reads them a little later."""
        names = {block_id(BLOCKS[n]): BLOCKS[n] for n in chosen}
        places = self.server.metadata.read(lambda unit: unit.blocks.locate(names))
        until_s = self.now_s() + RULES.quarantine_s
        self.reading += [(until_s, place, names[name]) for name, place in places.items()]

    @rule(seconds=st.sampled_from((1, 3, 8, 25)))
    def wait(self, seconds: int) -> None:
        self.server.clock.advance(seconds)
        self.reading = [read for read in self.reading if read[0] > self.now_s()]

    # --- collectors ----------------------------------------------------------------------------

    @rule(which=st.integers(0, 1), steps=st.integers(1, 30))
    def collect(self, which: int, steps: int) -> None:
        for _ in range(steps):
            if next(self.runs[which], None) is None:
                self.runs[which] = self.keeper.begin(Tally(), self.rules)
                return

    @rule(which=st.integers(0, 1))
    def kill_collector(self, which: int) -> None:
        self.runs[which] = self.keeper.begin(Tally(), self.rules)

    # --- laws ----------------------------------------------------------------------------------

    @invariant()
    def what_is_referred_to_can_be_read(self) -> None:
        for device in self.devices:
            for content in self.iter_contents(device):
                assert self.read(device, content) is not None, content

    @invariant()
    def whoever_began_to_read_goes_on(self) -> None:
        found = read_plain(self.server.packs, [place for _, place, _ in self.reading])
        assert found == [block for _, _, block in self.reading]

    @rule()
    def in_the_end_nothing_else_is_there(self) -> None:
        self.server.clock.advance(FOREVER_S)
        self.reading.clear()
        self.runs = [iter(()), iter(())]
        for _ in range(5):
            self.keeper.collect(self.rules)
            self.server.clock.advance(100)
        told = self.keeper.survey(self.rules)
        assert (told.dropped_blocks, told.retired_packs, told.orphans, told.removed_packs) == (
            0, 0, 0, 0,
        )  # fmt: skip
        reached: set[BlockId] = set()
        for device in self.devices:
            for content in self.iter_contents(device):
                reached |= self.blocks_of(device, content)
        blocks_count, packs_count = self.keeper.count()
        assert blocks_count == len(reached)
        places = self.server.metadata.read(lambda unit: unit.blocks.locate(reached))
        assert packs_count == len({place.pack_id for place in places.values()})

    # --- inside --------------------------------------------------------------------------------

    def now_s(self) -> float:
        return self.server.clock.now_ns() / 1e9

    def put(self, device: BlockDevice, data: list[bytes]) -> None:
        for _ in range(3):
            try:
                self.do(device.put(frames_of(dict.fromkeys(data))))
            except Unavailable:
                # A pack of the same bytes is half removed: somebody goes on with that.
                self.keeper.collect(self.rules)
            else:
                return
        raise AssertionError("it cannot be sent")

    def find(self, device: BlockDevice, wanted: FileId) -> Entry | None:
        found = self.server.metadata.read(
            lambda unit: unit.tree.find_entries(device.namespace_id, [wanted])
        )
        return None if wanted not in found or found[wanted].is_deleted else found[wanted].entry

    def iter_contents(self, device: BlockDevice) -> Iterator[Content]:
        """Yields what is current or can be restored."""

        def work(unit: Unit) -> set[Content]:
            namespace_id = device.namespace_id
            kept_after = unit.history.kept_after(namespace_id)
            contents = set()
            for seq in range(1, unit.tree.head(namespace_id) + 1):
                record = unit.tree.find_record(namespace_id, Seq(seq))
                assert record is not None
                entry = record.entry
                assert entry.content is not None
                last = unit.tree.find_entries(namespace_id, [entry.file_id])[entry.file_id]
                later = unit.history.find_superseding(namespace_id, entry.file_id, entry.rev)
                until = last.seq if last.is_deleted else Seq(0)
                ends = later or until
                if not 0 < ends <= kept_after:
                    contents.add(entry.content)
            return contents

        yield from self.server.metadata.read(work)

    def blocks_of(self, device: BlockDevice, content: Content) -> set[BlockId]:
        blocks = {content.root}
        if content.chunked:
            [encoded] = self.read_held(device, [content.root])
            blocks |= {chunk.block_id for chunk in decode_manifest(encoded).chunks}
        return blocks

    def read(self, device: BlockDevice, content: Content) -> bytes | None:
        blocks = self.read_held(device, [content.root])
        if content.chunked:
            manifest = decode_manifest(blocks[0])
            blocks = self.read_held(device, [chunk.block_id for chunk in manifest.chunks])
        return b"".join(blocks)

    def read_held(self, device: BlockDevice, names: list[BlockId]) -> list[bytes]:
        def work(unit: Unit) -> dict[BlockId, BlockPlace]:
            held = unit.blocks.find_held(device.namespace_id, names)
            return unit.blocks.locate(held)

        places = self.server.metadata.read(work)
        assert not set(names) - places.keys(), "it is not held"
        blocks = read_plain(self.server.packs, [places[name] for name in names])
        assert not any(isinstance(block, LostBlock) for block in blocks), "it cannot be read"
        return [block for block in blocks if not isinstance(block, LostBlock)]


class CollectingOldHistory(Collecting):
    """The same, where history is kept for a while only."""

    history_s = 15


def make_file(chosen: list[int]) -> tuple[Content, bytes]:
    """Returns a content of these blocks, and what must be sent with them."""
    if len(chosen) == 1:
        block = BLOCKS[chosen[0]]
        name = block_id(block)
        return Content(len(block), name, False, content_hash_of_block_id(name)), block
    chunks, offset = [], 0
    for number in chosen:
        block = BLOCKS[number]
        chunks.append(Chunk(offset, len(block), block_id(block)))
        offset += len(block)
    encoded = encode_manifest(Manifest(ChunkerId.FASTCDC, 1, offset, b"h" * 32, tuple(chunks)))
    return Content(offset, block_id(encoded), True, b"h" * 32), encoded


FEW = settings(max_examples=min(400, max(15, settings().max_examples // 5)), stateful_step_count=40)


def test_nothing_that_can_be_reached_is_lost() -> None:
    run_state_machine_as_test(Collecting, settings=FEW)


def test_nothing_that_can_be_restored_is_lost() -> None:
    run_state_machine_as_test(CollectingOldHistory, settings=FEW)


def test_these_laws_can_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that does not read manifests is found out."""
    monkeypatch.setattr(Marking, "_expand", lambda _self, _manifests: iter(()))
    machine = Collecting()
    try:
        machine.upload(0, [0, 1])
        machine.commit(0, 1, [0, 1])
        machine.what_is_referred_to_can_be_read()
        for _ in range(3):
            machine.wait(25)
            machine.keeper.collect(machine.rules)
        with pytest.raises(AssertionError, match="not held"):
            machine.what_is_referred_to_can_be_read()
    finally:
        machine.teardown()
