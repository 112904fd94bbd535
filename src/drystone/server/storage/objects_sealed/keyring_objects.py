# SPDX-License-Identifier: Apache-2.0
"""Where the keyring lies: in the store that it opens, each generation twice.

A generation is written under names of its own before those before it are removed, so a crash
leaves the older, the newer, or both: each is whole, and the highest counts.
"""

import re
from contextlib import suppress
from typing import Final

from drystone.core.errors import Corrupt
from drystone.server.ports.objects import Objects
from drystone.server.storage.objects_sealed.keyring import (
    Keyring,
    KeyringBroken,
    encode_keyring,
    is_whole_keyring,
)

KEYRING_PREFIX: Final = "keyring/"
_NAME: Final = re.compile(r"keyring/([0-9]{8})-[ab]")
_COPIES: Final = "ab"
_TRIES: Final = 3
"""While somebody else writes new generations and removes old ones."""


def find_keyring(objects: Objects) -> bytes | None:
    """Returns the bytes of the newest keyring, whole; None if the store has none.

    Raises:
        KeyringBroken: Both copies of the newest are damaged.
    """
    for _ in range(_TRIES):
        newest = find_generation(objects)
        if newest == 0:
            return None
        for copy in _COPIES:
            with suppress(FileNotFoundError, Corrupt):
                name = _name_of(newest, copy)
                [raw] = objects.read(name, [(0, objects.find_length(name) or 0)])
                if is_whole_keyring(raw):
                    return raw
        if find_generation(objects) == newest:
            break
    raise KeyringBroken


def find_generation(objects: Objects) -> int:
    """Returns the number of the newest keyring; 0 if there is none. Cost: one listing."""
    matches = (_NAME.fullmatch(stat.name) for stat in objects.iter_names(KEYRING_PREFIX))
    return max((int(match[1]) for match in matches if match), default=0)


def save_keyring(objects: Objects, keyring: Keyring) -> None:
    """Makes a keyring durable. Those before it stay.

    Raises:
        ObjectStoreFull, ObjectStoreAway: Nothing was changed.
    """
    raw = encode_keyring(keyring)
    objects.put_many([(_name_of(keyring.generation, copy), [raw]) for copy in _COPIES])


def drop_keyrings_before(objects: Objects, generation: int) -> None:
    """Removes older keyrings."""
    for stat in list(objects.iter_names(KEYRING_PREFIX)):
        match = _NAME.fullmatch(stat.name)
        if match and int(match[1]) < generation:
            objects.delete(stat.name)


def _name_of(generation: int, copy: str) -> str:
    return f"{KEYRING_PREFIX}{generation:08}-{copy}"
