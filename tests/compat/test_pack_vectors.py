# SPDX-License-Identifier: Apache-2.0
"""A pack as it was first written: read for ever, and written alike."""

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import block_id
from drystone.server.ports.metadata import BlockPlace
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks

STONE = b"stone"
WORDS = b"the same words, the same words, the same words"
WORDS_ZSTD = bytes.fromhex("28b52ffd202eb50000807468652073616d6520776f7264732c200100469c4b")
PACK_ID = bytes.fromhex("5eaf5427c8bae0dedef1a1acfeab389457abb65b815fb2cb21cb60c5a4ef0fce")
NAME = "packs/5e/5eaf5427c8bae0dedef1a1acfeab389457abb65b815fb2cb21cb60c5a4ef0fce"
PACK = bytes.fromhex(
    "44535041434b310ab7d500000500000005000000dc3d50da8dac041f660e4ba85339928995e771d9"
    "9c33cc868f5829800829e38273746f6e65b7d501001f0000002e00000095317e90c82b5016174fa1"
    "e2b71cde25e40cd2cb2ca0a79c94d6ffe924905f7928b52ffd202eb50000807468652073616d6520"
    "776f7264732c200100469c4b"
)
PLACES = [
    BlockPlace(block_id(STONE), PACK_ID, 52, 5, 5, 0),
    BlockPlace(block_id(WORDS), PACK_ID, 101, 31, 46, 1),
]


def test_pack_of_version_1_is_read():
    objects = MemoryObjects()
    objects.put(NAME, [PACK])
    packs = ObjectPacks(objects)

    assert list(packs.iter_packs()) == [(PACK_ID, len(PACK), PLACES)]
    plain = [decode_frame(frame, lambda _: None) for frame in packs.read(PLACES)]
    assert plain == [STONE, WORDS]


def test_pack_of_version_1_is_written():
    objects = MemoryObjects()
    frames = [
        Frame(block_id(STONE), len(STONE), 0, STONE),
        Frame(block_id(WORDS), len(WORDS), 1, WORDS_ZSTD),
    ]

    assert ObjectPacks(objects).store(frames) == (PACK_ID, len(PACK), PLACES)
    assert objects.read(NAME, [(0, 1000)]) == [PACK]
