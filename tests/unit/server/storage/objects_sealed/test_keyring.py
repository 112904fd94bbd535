# SPDX-License-Identifier: Apache-2.0
"""The keyring and the master key that opens it."""

import base64

import pytest

from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.objects_sealed import (
    KeyringBroken,
    MasterKey,
    WrongMasterKey,
    drop_keyrings_before,
    find_keyring,
    list_master_key_ids,
    make_keyring,
    open_keyring,
    parse_master_key,
    save_keyring,
)
from drystone.testing.fakes.objects import FaultyObjects

OLD, NEW = MasterKey(bytes(range(32))), MasterKey(bytes(range(32, 64)))


@pytest.fixture
def objects():
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def keyring():
    return make_keyring(OLD, holds_plain=True)


def test_keyring_comes_back_as_it_was(objects, keyring):
    save_keyring(objects, keyring)

    assert find_keyring(MemoryObjects()) is None
    assert open_keyring(find_keyring(objects), OLD) == keyring


def test_no_key_stands_in_it_or_in_what_is_printed(objects, keyring):
    save_keyring(objects, keyring)
    raw = find_keyring(objects)
    for secret in (OLD.key, keyring.ring_key, *keyring.store_keys.values()):
        assert secret not in raw
        assert secret.hex().encode() not in raw
        assert secret.hex() not in repr(keyring) + repr(OLD)
        assert repr(secret) not in repr(keyring) + repr(OLD)


def test_wrong_master_key_is_told_with_both_ids(objects, keyring):
    save_keyring(objects, keyring)

    with pytest.raises(WrongMasterKey) as caught:
        open_keyring(find_keyring(objects), NEW)
    assert OLD.id.hex() in caught.value.message
    assert NEW.id.hex() in caught.value.message


def test_rotation_keeps_old_store_keys_and_shuts_out_the_old_master_key(objects, keyring):
    both = keyring.rotate([OLD, NEW])
    last = both.open_to([NEW])
    save_keyring(objects, both)
    assert list_master_key_ids(find_keyring(objects)) == [OLD.id, NEW.id]
    assert open_keyring(find_keyring(objects), OLD) == open_keyring(find_keyring(objects), NEW)
    save_keyring(objects, last)
    raw = find_keyring(objects)

    assert open_keyring(raw, NEW).store_keys.items() > keyring.store_keys.items()
    assert last.current_id not in keyring.store_keys
    with pytest.raises(WrongMasterKey):
        open_keyring(raw, OLD)
    assert last.ring_key not in (both.ring_key, keyring.ring_key)


def test_newest_generation_counts_and_older_ones_go(objects, keyring):
    following = keyring.rotate([OLD])
    save_keyring(objects, keyring)
    save_keyring(objects, following)
    assert open_keyring(find_keyring(objects), OLD) == following
    drop_keyrings_before(objects, following.generation)

    names = {stat.name for stat in objects.iter_names()}
    assert names == {"keyring/00000002-a", "keyring/00000002-b"}


@pytest.mark.parametrize("copy", ["a", "b"])
@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: b"?" + raw[1:], lambda _: b""]
)
def test_one_damaged_copy_costs_nothing_two_cost_the_start(objects, keyring, copy, damage):
    save_keyring(objects, keyring)
    objects.change(f"keyring/00000001-{copy}", damage)
    assert open_keyring(find_keyring(objects), OLD) == keyring
    objects.change(f"keyring/00000001-{'ab'.replace(copy, '')}", damage)

    with pytest.raises(KeyringBroken):
        find_keyring(objects)


def test_full_disk_leaves_the_keyring_before(objects, keyring):
    save_keyring(objects, keyring)
    objects.put_errors = [ObjectStoreFull("no room")]
    with pytest.raises(ObjectStoreFull):
        save_keyring(objects, keyring.rotate([NEW]))

    assert open_keyring(find_keyring(objects), OLD) == keyring


@pytest.mark.parametrize(
    "text",
    [
        OLD.key.hex(),
        f"  {OLD.key.hex().upper()}\n",
        base64.b64encode(OLD.key).decode() + "\n",
        OLD.format_recovery(),
        OLD.format_recovery().replace(" ", "  ") + "\n",
    ],
)
def test_master_key_is_read_as_it_is_written(text):
    assert parse_master_key(text) == OLD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "zz" * 32,
        OLD.key.hex()[:-1],
        OLD.key.hex() + "00",
        "password",
        "<html>404</html>",
        OLD.format_recovery()[:-1],
        OLD.format_recovery().replace("0001", "0002"),
        "ä" * 64,
    ],
)
def test_rubbish_is_no_master_key_and_is_not_repeated(text):
    with pytest.raises(ValueError, match=r"^it") as caught:
        parse_master_key(text)
    assert len(text) < 3 or text.strip() not in str(caught.value)
