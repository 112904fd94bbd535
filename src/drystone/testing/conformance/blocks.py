# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``Packs`` must do.

Subclass ``PacksSuite`` in a test module and give it a fixture ``objects`` (an empty store) and
a fixture ``packs`` (the engine over that store).
"""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from drystone.core.content.coding import RAW_ONLY, STANDARD, decode_frame, encode_block
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import block_id
from drystone.core.ids import BlockId, PackId
from drystone.core.limits import BLOCK_BYTES_MAX, PACK_BYTES_TARGET
from drystone.server.ports.blocks import CorruptPack, LostBlock, Pack, Packs
from drystone.server.ports.metadata import BlockPlace
from drystone.server.ports.objects import Objects


def make_frames(count: int, *, seed: int = 0, bytes_max: int = 2_000) -> list[Frame]:
    """Returns frames of distinct blocks, raw and compressed, of any length."""
    random = Random(seed)
    blocks = [
        random.randbytes(4) * random.randint(1, 3) + random.randbytes(random.randint(1, bytes_max))
        for _ in range(count)
    ]
    policies = (RAW_ONLY, STANDARD)
    return [encode_block(block_id(b), b, policies[i % 2]) for i, b in enumerate(blocks)]


def plain(frame: Frame | LostBlock) -> bytes:
    """Returns the verified block of a frame that was read back."""
    assert isinstance(frame, Frame), frame
    return decode_frame(frame, lambda _: None)


class PacksSuite:
    """The suite; each test gets a fresh, empty store."""

    def test_frames_are_read_back_as_they_were_stored(self, packs: Packs) -> None:
        frames = make_frames(50)

        pack = packs.store(frames)

        assert packs.read(pack.places) == frames
        assert [plain(frame) for frame in packs.read(pack.places)]

    def test_places_say_what_lies_there(self, packs: Packs) -> None:
        frames = make_frames(10)

        pack = packs.store(frames)

        for frame, place in zip(frames, pack.places, strict=True):
            assert place.block_id == frame.block_id
            assert place.pack_id == pack.pack_id
            assert place.stored_bytes == len(frame.payload)
            assert place.plain_bytes == frame.plain_bytes
            assert place.codec == frame.codec
        assert pack.length_bytes == pack.places[-1].offset_bytes + pack.places[-1].stored_bytes

    def test_places_may_be_read_in_any_order_and_twice(self, packs: Packs) -> None:
        first, second = packs.store(make_frames(20)), packs.store(make_frames(20, seed=1))
        frames = dict(zip(first.places, make_frames(20), strict=True))
        frames |= dict(zip(second.places, make_frames(20, seed=1), strict=True))
        places = [*first.places, *second.places, *first.places]
        Random(2).shuffle(places)

        assert packs.read(places) == [frames[place] for place in places]

    def test_nothing_is_read_as_nothing(self, packs: Packs) -> None:
        assert packs.read([]) == []

    def test_the_same_frames_make_the_same_pack(self, packs: Packs) -> None:
        first = packs.store(make_frames(5))

        assert packs.store(make_frames(5)) == first
        assert packs.store(make_frames(4)).pack_id != first.pack_id

    def test_a_pack_may_be_as_large_as_the_limits_say(self, packs: Packs) -> None:
        whole = Random(3).randbytes(BLOCK_BYTES_MAX)
        blocks = [bytes([i]) + whole[1:] for i in range(PACK_BYTES_TARGET // BLOCK_BYTES_MAX + 1)]
        frames = [encode_block(block_id(b), b, RAW_ONLY) for b in blocks]

        pack = packs.store(frames)

        assert [plain(frame) for frame in packs.read(pack.places)] == blocks

    @pytest.mark.parametrize("wrong", ["empty", "twice", "delta", "too-large"])
    def test_what_no_pack_may_hold_is_a_broken_invariant(self, packs: Packs, wrong: str) -> None:
        [frame] = make_frames(1)
        large = Frame(BlockId(bytes(32)), BLOCK_BYTES_MAX, 0, bytes(BLOCK_BYTES_MAX))
        count = PACK_BYTES_TARGET // BLOCK_BYTES_MAX + 2
        frames = {
            "empty": [],
            "twice": [frame, frame],
            "delta": [frame._replace(codec=2, base=frame.block_id)],
            "too-large": [large._replace(block_id=BlockId(bytes([i] * 32))) for i in range(count)],
        }

        with pytest.raises(AssertionError):
            packs.store(frames[wrong])
        assert list(packs.iter_packs()) == []

    def test_a_missing_pack_loses_only_its_own_blocks(self, packs: Packs, objects: Objects) -> None:
        lost, whole = packs.store(make_frames(3)), packs.store(make_frames(3, seed=1))
        objects.delete(only_name(objects, lost.pack_id))

        found = packs.read([*lost.places, *whole.places])

        assert_lost(found[:3], lost)
        assert found[3:] == make_frames(3, seed=1)

    def test_a_truncated_pack_loses_only_what_is_cut_off(
        self, packs: Packs, objects: Objects
    ) -> None:
        pack = packs.store(make_frames(5))
        cut_bytes = pack.places[2].offset_bytes + 1
        replace(objects, pack.pack_id, lambda content: content[:cut_bytes])

        found = packs.read(pack.places)

        assert found[:2] == make_frames(5)[:2]
        assert_lost(found[2:], Pack(pack.pack_id, 0, pack.places[2:]))

    def test_other_bytes_in_a_place_are_noticed(self, packs: Packs, objects: Objects) -> None:
        pack = packs.store(make_frames(5))
        header_at = pack.places[1].offset_bytes - 40
        replace(objects, pack.pack_id, lambda c: c[:header_at] + b"\xff" + c[header_at + 1 :])

        found = packs.read(pack.places)

        assert [isinstance(frame, LostBlock) for frame in found] == [False, True, *[False] * 3]

    def test_the_index_can_be_rebuilt_from_the_packs(self, packs: Packs, objects: Objects) -> None:
        stored = [packs.store(make_frames(10, seed=seed)) for seed in range(5)]
        objects.put("packs/readme", [b"not a pack by its name"])
        objects.put("other/ab", [b"neither"])

        found = list(packs.iter_packs())

        assert all(isinstance(pack, Pack) for pack in found)
        assert sorted(p for p in found if isinstance(p, Pack)) == sorted(stored)

    @pytest.mark.parametrize("wrong", ["cut", "changed", "empty", "foreign"])
    def test_a_damaged_pack_is_told_and_others_go_on(
        self, packs: Packs, objects: Objects, wrong: str
    ) -> None:
        damaged, whole = packs.store(make_frames(5)), packs.store(make_frames(5, seed=1))
        harm: dict[str, Callable[[bytes], bytes]] = {
            "cut": lambda content: content[:-1],
            "changed": lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
            "empty": lambda _: b"",
            "foreign": lambda content: b"x" + content,
        }
        replace(objects, damaged.pack_id, harm[wrong])

        found = list(packs.iter_packs())

        assert [pack for pack in found if isinstance(pack, Pack)] == [whole]
        [corrupt] = [pack for pack in found if isinstance(pack, CorruptPack)]
        assert corrupt.name == only_name(objects, damaged.pack_id)
        assert corrupt.name in corrupt.message

    @pytest.mark.parametrize(
        ("wrong", "whole"),
        [("payload", [0, 1, 3, 4]), ("header", [0, 1]), ("id", [0, 1, 3, 4]), ("cut", [0, 1])],
    )
    def test_whole_blocks_of_a_damaged_pack_can_be_found_again(
        self, packs: Packs, objects: Objects, wrong: str, whole: list[int]
    ) -> None:
        pack = packs.store(make_frames(5))
        offset = pack.places[2].offset_bytes
        spot = {"payload": offset, "header": offset - 44, "id": offset - 1, "cut": offset + 1}[
            wrong
        ]

        def harm(content: bytes) -> bytes:
            rest = b"" if wrong == "cut" else content[spot + 1 :]
            return content[:spot] + bytes([content[spot] ^ 1]) + rest

        replace(objects, pack.pack_id, harm)
        [corrupt] = packs.iter_packs()

        assert isinstance(corrupt, CorruptPack)
        assert corrupt.readable is not None
        assert corrupt.readable.pack_id == pack.pack_id
        assert corrupt.readable.places == [pack.places[index] for index in whole]
        frames = make_frames(5)
        assert packs.read(corrupt.readable.places) == [frames[index] for index in whole]

    def test_stored_packs_are_listed_loaded_and_removed(
        self, packs: Packs, objects: Objects
    ) -> None:
        one, other = packs.store(make_frames(3)), packs.store(make_frames(4, seed=1))
        objects.put("packs/readme", [b"of somebody else"])
        listed = {stored.pack_id: stored.length_bytes for stored in packs.iter_stored()}

        assert listed == {pack.pack_id: pack.length_bytes for pack in (one, other)}
        assert packs.load(one.pack_id) == one
        packs.remove(one.pack_id)
        packs.remove(one.pack_id)
        assert [stored.pack_id for stored in packs.iter_stored()] == [other.pack_id]
        missing = packs.load(one.pack_id)
        assert isinstance(missing, CorruptPack)
        assert missing.readable is None
        replace(objects, other.pack_id, lambda content: content[:-1] + b"\0")
        damaged = packs.load(other.pack_id)
        assert isinstance(damaged, CorruptPack)
        assert damaged.readable is not None
        assert len(damaged.readable.places) == 3


def only_name(objects: Objects, pack_id: PackId) -> str:
    """Returns the name of the object that holds a pack."""
    [name] = [stat.name for stat in objects.iter_names() if stat.name.endswith(pack_id.hex())]
    return name


def replace(objects: Objects, pack_id: PackId, change: Callable[[bytes], bytes]) -> None:
    """Does to a pack what no engine ever does: changes its bytes."""
    name = only_name(objects, pack_id)
    length_bytes = objects.find_length(name)
    assert length_bytes is not None
    [content] = objects.read(name, [(0, length_bytes)])
    objects.delete(name)
    objects.put(name, [change(content)])


def assert_lost(found: Sequence[Frame | LostBlock], pack: Pack) -> None:
    """Checks that each place's block is told as lost, by its id and its pack's."""
    expected: list[tuple[BlockId, PackId]] = [(p.block_id, p.pack_id) for p in pack.places]
    assert [(f.block_id, f.pack_id) for f in found if isinstance(f, LostBlock)] == expected
    for lost, place in zip(found, pack.places, strict=True):
        assert_named(lost, place)


def assert_named(lost: Frame | LostBlock, place: BlockPlace) -> None:
    """Checks that a lost block's message names it and its pack."""
    assert isinstance(lost, LostBlock)
    assert lost.code == "corrupt-block"
    assert place.block_id.hex() in lost.message
    assert place.pack_id.hex() in lost.message
