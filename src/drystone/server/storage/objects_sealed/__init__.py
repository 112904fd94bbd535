# SPDX-License-Identifier: Apache-2.0
"""Objects sealed: encrypted (AES-256-GCM) on their way into any other store of objects.

A layer over the port ``Objects``, with the same port above. Each object has a key of its own,
which stands in the object's header, wrapped by a *store key*. The store keys stand in the
*keyring*, a tiny object of the same store, which is wrapped by the *master key*; that one alone
lies elsewhere. So a new master key means a new keyring, and nothing else is written.

::

    master key ──► keyring: store keys ──► header: object key ──► segments of 64 KiB

What is kept secret: the bytes of objects. What is not: their names and lengths. A name that is
the SHA-256 of the content tells whoever reads the disk and has the same content that it is
there. What is noticed when it is read: any changed, missing or exchanged byte.

It knows no files, commands or settings: whoever opens it brings the master key.
"""

from drystone.server.storage.objects_sealed.keyring import (
    Keyring,
    KeyringBroken,
    WrongMasterKey,
    list_master_key_ids,
    make_keyring,
    open_keyring,
)
from drystone.server.storage.objects_sealed.keyring_objects import (
    KEYRING_PREFIX,
    drop_keyrings_before,
    find_keyring,
    save_keyring,
)
from drystone.server.storage.objects_sealed.master_key import (
    MASTER_KEY_BYTES,
    MasterKey,
    parse_master_key,
)
from drystone.server.storage.objects_sealed.sealed import (
    SealedObjects,
    StoreKeyMissing,
    is_sealed,
)
from drystone.server.storage.objects_sealed.sealing import SealBroken

__all__ = [
    "KEYRING_PREFIX",
    "MASTER_KEY_BYTES",
    "Keyring",
    "KeyringBroken",
    "MasterKey",
    "SealBroken",
    "SealedObjects",
    "StoreKeyMissing",
    "WrongMasterKey",
    "drop_keyrings_before",
    "find_keyring",
    "is_sealed",
    "list_master_key_ids",
    "make_keyring",
    "open_keyring",
    "parse_master_key",
    "save_keyring",
]
