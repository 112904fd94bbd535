# SPDX-License-Identifier: Apache-2.0
"""The keyring: the store keys, sealed so that a master key opens it.

======  =====  =====================================================================
offset  bytes  meaning
======  =====  =====================================================================
0       8      ``KEYRING_TAG``
8       32     SHA-256 of all that follows: tells damage from a wrong master key
40      ...    JSON, in UTF-8, with the members below
======  =====  =====================================================================

``generation``: its number; the highest counts. ``slots``: for each master key that opens it, the
key's id (``master_key``), and the *ring key* under it (``nonce``, ``wrapped``). ``nonce`` and
``body``: under the ring key, JSON with the store keys by id (``store_keys``), which of them new
objects get (``current``), and whether there may be objects that are not sealed
(``holds_plain``). Bytes are hexadecimal; all is AES-256-GCM. What is associated: the tag and
the id of the master key; the tag and the generation, eight bytes, little-endian.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drystone.core.errors import Misconfigured
from drystone.server.storage.objects_sealed.layout import KEY_BYTES, KEY_ID_BYTES, NONCE_BYTES
from drystone.server.storage.objects_sealed.master_key import MasterKey

KEYRING_TAG: Final = b"DSRING1\n"
_SUM_BYTES: Final = 32


class KeyringBroken(Misconfigured):
    """The keyring was damaged, and so was its copy; or it is of a newer version."""

    code = "keyring-broken"

    def __init__(self) -> None:
        super().__init__(
            "the keyring of the object store is damaged: without it nothing can be decrypted",
            advice="Restore the folder objects/keyring from a backup, whatever its age, that was"
            " made after the last `drystone admin rotate-key`.",
        )


class WrongMasterKey(Misconfigured):
    """The master key is not the one that the store was sealed with."""

    code = "wrong-master-key"

    def __init__(self, found: bytes, wanted: Sequence[bytes]) -> None:
        names = " or ".join(key_id.hex() for key_id in wanted)
        super().__init__(
            f"this is not the master key of this store: its id is {found.hex()}, and the store"
            f" wants {names}",
            advice="Set master_key to where the right one is, or bring it back with `drystone"
            " admin recover-key`. Nothing was changed.",
        )


class Slot(NamedTuple):
    """The ring key, wrapped for one master key."""

    master_key_id: bytes
    nonce: bytes
    wrapped: bytes


@dataclass(frozen=True)
class Keyring:
    """An opened keyring.

    Attributes:
        generation: Its number, from 1.
        store_keys: By id, all there ever were.
        current_id: Of the store key for new objects.
        holds_plain: True if there may be objects in the store that are not sealed.
        slots: One for each master key that opens it.
        ring_key: What the store keys are sealed with.
    """

    generation: int
    store_keys: Mapping[bytes, bytes] = field(repr=False)
    current_id: bytes
    holds_plain: bool
    slots: tuple[Slot, ...]
    ring_key: bytes = field(repr=False)

    @property
    def current_key(self) -> bytes:
        """The store key for new objects."""
        return self.store_keys[self.current_id]

    @property
    def master_key_ids(self) -> list[bytes]:
        """Ids of the master keys that open it."""
        return [slot.master_key_id for slot in self.slots]

    def rotate(self, masters: Sequence[MasterKey]) -> "Keyring":
        """Returns the next one: these master keys open it, and new objects get a new store key."""
        store_key_id, store_key = os.urandom(KEY_ID_BYTES), os.urandom(KEY_BYTES)
        next_one = self.open_to(masters)
        return dataclasses.replace(
            next_one,
            store_keys={**self.store_keys, store_key_id: store_key},
            current_id=store_key_id,
        )

    def open_to(self, masters: Sequence[MasterKey]) -> "Keyring":
        """Returns the next one, which these master keys open and no others."""
        ring_key = os.urandom(KEY_BYTES)
        slots = tuple(_make_slot(master, ring_key) for master in masters)
        return dataclasses.replace(
            self, generation=self.generation + 1, slots=slots, ring_key=ring_key
        )

    def without_plain(self) -> "Keyring":
        """Returns the next one, which says that all objects are sealed."""
        return dataclasses.replace(self, generation=self.generation + 1, holds_plain=False)


def make_keyring(master: MasterKey, *, holds_plain: bool) -> Keyring:
    """Returns the first keyring of a store."""
    empty = Keyring(0, {}, b"", holds_plain, (), b"")
    return empty.rotate([master])


def encode_keyring(keyring: Keyring) -> bytes:
    """Returns the bytes to be kept. They tell nothing without a master key."""
    body = json.dumps(
        {
            "current": keyring.current_id.hex(),
            "holds_plain": keyring.holds_plain,
            "store_keys": {i.hex(): key.hex() for i, key in keyring.store_keys.items()},
        }
    ).encode()
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(keyring.ring_key).encrypt(nonce, body, _body_bound(keyring.generation))
    text = json.dumps(
        {
            "generation": keyring.generation,
            "slots": [
                {
                    "master_key": s.master_key_id.hex(),
                    "nonce": s.nonce.hex(),
                    "wrapped": s.wrapped.hex(),
                }
                for s in keyring.slots
            ],
            "nonce": nonce.hex(),
            "body": sealed.hex(),
        }
    ).encode()
    return KEYRING_TAG + sha256(text).digest() + text


def is_whole_keyring(raw: bytes) -> bool:
    """Tells whether these are a keyring's bytes as they were written."""
    start = len(KEYRING_TAG) + _SUM_BYTES
    return raw == KEYRING_TAG + sha256(raw[start:]).digest() + raw[start:]


def open_keyring(raw: bytes, master: MasterKey) -> Keyring:
    """Returns the keyring that lies in whole bytes.

    Raises:
        WrongMasterKey: It was sealed for others.
        KeyringBroken: The bytes were changed by somebody who knew how to make them look whole.
    """
    assert is_whole_keyring(raw)
    outer = json.loads(raw[len(KEYRING_TAG) + _SUM_BYTES :])
    slots = _read_slots(raw)
    wanted = [slot for slot in slots if slot.master_key_id == master.id]
    if not wanted:
        raise WrongMasterKey(master.id, [slot.master_key_id for slot in slots])
    try:
        [slot] = wanted
        bound = KEYRING_TAG + slot.master_key_id
        ring_key = AESGCM(master.key).decrypt(slot.nonce, slot.wrapped, bound)
        inner = AESGCM(ring_key).decrypt(
            bytes.fromhex(outer["nonce"]),
            bytes.fromhex(outer["body"]),
            _body_bound(outer["generation"]),
        )
    except (InvalidTag, ValueError) as error:
        raise KeyringBroken from error
    return _parse_body(outer["generation"], slots, ring_key, json.loads(inner))


def list_master_key_ids(raw: bytes) -> list[bytes]:
    """Returns the ids of the master keys that open a whole keyring."""
    return [slot.master_key_id for slot in _read_slots(raw)]


def _read_slots(raw: bytes) -> tuple[Slot, ...]:
    outer = json.loads(raw[len(KEYRING_TAG) + _SUM_BYTES :])
    return tuple(
        Slot(*(bytes.fromhex(slot[member]) for member in ("master_key", "nonce", "wrapped")))
        for slot in outer["slots"]
    )


def _parse_body(
    generation: int, slots: tuple[Slot, ...], ring_key: bytes, body: Mapping[str, Any]
) -> Keyring:
    keys = {bytes.fromhex(i): bytes.fromhex(key) for i, key in body["store_keys"].items()}
    current_id = bytes.fromhex(body["current"])
    assert current_id in keys
    return Keyring(generation, keys, current_id, body["holds_plain"], slots, ring_key)


def _make_slot(master: MasterKey, ring_key: bytes) -> Slot:
    nonce = os.urandom(NONCE_BYTES)
    return Slot(
        master.id, nonce, AESGCM(master.key).encrypt(nonce, ring_key, KEYRING_TAG + master.id)
    )


def _body_bound(generation: int) -> bytes:
    return KEYRING_TAG + generation.to_bytes(8, "little")
