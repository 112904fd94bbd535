# SPDX-License-Identifier: Apache-2.0
"""A keyring and sealed objects as they were first written: read for ever."""

from hashlib import sha256

from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.objects_sealed import (
    MasterKey,
    SealedObjects,
    find_keyring,
    open_keyring,
    parse_master_key,
    sealing,
)

MASTER = MasterKey(bytes(range(32)))
RECOVERY = (
    "drystone-master-key 34f5bb8128728690 00010203 04050607 08090"
    "a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f"
)
KEYRING = bytes.fromhex(
    "445352494e47310ade09e5b9f08534f8889fc05f9eb6a87ac996101e80f82535740777387165e448"
) + (
    b'{"generation": 1, "slots": [{"master_key": "34f5bb8128728690", "nonce"'
    b': "494b4d4f51535557595b5d5f", "wrapped": "6857891fabff11e4fef4aa58aba0'
    b'9926df1cbc6522dcb4c9d7f23a4f9ac1cb6dc491dab8ae2592f11161c40b3feac789"}'
    b'], "nonce": "5557595b5d5f61636567696b", "body": "0a722fac1747d7ba1f721'
    b"73327b28d01b520be02e21f0ec5921f506b01c724afbf05e5da4e5f7c84327fb450c45"
    b"fc7f4d5a644bc7acd2358280cabc0335de42a581cc6e2f120c6991303feaa15b5d5d68"
    b"677544b39cc516181acbd1b3b51a266b0c60d8300fdb56d5368cb55e3d32bf5d889245"
    b"5f0ce536f0b485223a9c44a1c14ad472a88944e6dbba0170566cdd857853e95466297a"
    b'acadac228550a70428245f41df34ec23c9daa39ed1672"}'
)
STONE = bytes.fromhex(
    "44535345414c310a01030507090b0d0f0e0000000000000081838587898b8d8f919395971d09a8c908598edc"
    "d8d6b4cb5e964e44f37759452138f68fc2a651b6aa3e32e07143e1402afd06a0565acc7c5c215edd083ba343"
    "0ba7a9832d4a85fb5b2d04db374f57f238fb45159a05273bfa776af50f8da7d8d41e"
)
EMPTY = bytes.fromhex(
    "44535345414c310a01030507090b0d0f0000000000000000adafb1b3b5b7b9bbbdbfc1c3b6972ceb442b5fa0"
    "267614f7ffa2bf68e0fa0900c2bb1a9eac4997680e25164ecedf2e8da282f23fdb15d1c447a10bfcd4e04809"
    "ba6c9581"
)
LONG_SUM = "7d689d5bcf5ac0d4b6e61b3157211afa9c348a17a8e0c4192cc36e66e4646cd5"


def make_store():
    objects = MemoryObjects()
    objects.put("keyring/00000001-a", [KEYRING])
    objects.put("packs/ab/abcd", [STONE])
    objects.put("packs/ab/empty", [EMPTY])
    return objects


def test_sealed_object_of_version_1_is_read():
    objects = make_store()
    keyring = open_keyring(find_keyring(objects), MASTER)
    sealed = SealedObjects(objects, keyring, lambda: keyring)

    assert (keyring.generation, keyring.holds_plain) == (1, False)
    assert sealed.read("packs/ab/abcd", [(0, 99), (3, 4)]) == [b"stone on stone", b"ne o"]
    assert sealed.read("packs/ab/empty", [(0, 99)]) == [b""]
    lengths = {stat.name: stat.length_bytes for stat in sealed.iter_names()}
    assert lengths == {"packs/ab/abcd": 14, "packs/ab/empty": 0}


def test_segments_of_version_1_are_written(monkeypatch):
    objects = make_store()
    keyring = open_keyring(find_keyring(objects), MASTER)
    monkeypatch.setattr(sealing, "os", Chance())
    content = bytes(i % 251 for i in range(70_000))
    SealedObjects(objects, keyring, lambda: keyring).put("packs/ab/long", [content])
    [raw] = objects.read("packs/ab/long", [(92, 99_999)])

    assert sha256(raw).hexdigest() == LONG_SUM


def test_recovery_line_of_version_1_is_read_and_written():
    assert parse_master_key(RECOVERY) == MASTER
    assert MASTER.format_recovery() == RECOVERY


class Chance:
    """Randomness without any, for once."""

    def urandom(self, count):
        return bytes(range(100, 100 + count))
