# SPDX-License-Identifier: Apache-2.0
"""Accounts beside the packs: who there is, and which device wrote what, without any secret.

Neither passwords nor tokens are among it, not even as hashes: whoever may read the object store is
not thereby given something to guess at. After a rebuild each account gets a new password.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from drystone.core.content.zstd import compress, content_size, decompress
from drystone.core.errors import Corrupt
from drystone.core.ids import AccountId, DeviceId, NamespaceId
from drystone.core.journal.segment import CorruptSegment
from drystone.core.limits import MIB
from drystone.server.ports.metadata import Account, Device, Metadata, Unit
from drystone.server.ports.objects import Objects
from drystone.server.workers.journals.names import PEOPLE

PEOPLE_TAG: Final = b"DSACCT1\n"
PEOPLE_BYTES_MAX: Final = 512 * MIB
KEPT: Final = 2

_CHECK_BYTES: Final = sha256().digest_size


class People(NamedTuple):
    """Accounts and devices. Password hashes and token hashes are empty."""

    accounts: tuple[Account, ...]
    devices: tuple[Device, ...]


def load_people(metadata: Metadata) -> People:
    """Returns who there is, as it may be kept beside the packs."""

    def work(unit: Unit) -> People:
        accounts = sorted(unit.accounts.list_accounts())
        devices = [
            device._replace(token_hash=b"", seen_ns=0)
            for account in accounts
            for device in unit.accounts.list_devices(account.account_id)
        ]
        return People(tuple(a._replace(password_hash="") for a in accounts), tuple(devices))

    return metadata.read(work)


def write_people(objects: Objects, people: People, now_ns: int, known: bytes = b"") -> bytes:
    """Writes who there is, unless it stands there already.

    Args:
        objects: The store.
        people: Who.
        now_ns: The time, by which later ones are told from earlier ones.
        known: What was returned last; ``b""`` to look into the store.

    Returns:
        What to give as ``known`` the next time.
    """
    encoded = encode_people(people)
    told = sha256(encoded).digest()
    if told == known:
        return told
    names = sorted(stat.name for stat in objects.iter_names(PEOPLE))
    if not (names and _read(objects, names[-1]) == encoded):
        # Later than all before, also if the clock was put back.
        after_ns = int(names[-1].removeprefix(PEOPLE)) + 1 if names else 0
        objects.put(f"{PEOPLE}{max(now_ns, after_ns):020d}", [encoded])
        for name in names[: len(names) - (KEPT - 1)]:
            objects.delete(name)
    return told


def find_people(objects: Objects) -> People | None:
    """Returns who there was when it was written last and can be read; None if nobody is known."""
    return next(_iter_readable(objects), None)


def encode_people(people: People) -> bytes:
    """Returns the bytes of accounts and devices: the same for the same ones."""
    body = json.dumps(
        {
            "accounts": [
                [a.account_id.hex(), a.name, a.root_namespace_id.hex(), a.created_ns, a.disabled]
                for a in people.accounts
            ],
            "devices": [
                [d.device_id.hex(), d.account_id.hex(), d.name, d.created_ns, d.revoked_ns]
                for d in people.devices
            ],
        },
        separators=(",", ":"),
    ).encode()
    encoded = PEOPLE_TAG + compress(body, 3)
    return encoded + sha256(encoded).digest()


def decode_people(data: bytes) -> People:
    """Returns the accounts and devices that these bytes are.

    Raises:
        CorruptSegment: They are none, or not whole.
    """
    if not data.startswith(PEOPLE_TAG):
        raise CorruptSegment("it does not begin as accounts of a version known here do")
    head = data[:-_CHECK_BYTES]
    if sha256(head).digest() != data[-_CHECK_BYTES:]:
        raise CorruptSegment("its bytes do not have the SHA-256 at their end")
    try:
        packed = head[len(PEOPLE_TAG) :]
        body = json.loads(decompress(packed, min(content_size(packed) or 0, PEOPLE_BYTES_MAX)))
        accounts = tuple(
            Account(
                AccountId(bytes.fromhex(account_id)),
                name,
                "",
                NamespaceId(bytes.fromhex(namespace_id)),
                created_ns,
                disabled,
            )
            for account_id, name, namespace_id, created_ns, disabled in body["accounts"]
        )
        devices = tuple(
            Device(
                DeviceId(bytes.fromhex(device_id)),
                AccountId(bytes.fromhex(account_id)),
                name,
                b"",
                created_ns,
                0,
                revoked_ns,
            )
            for device_id, account_id, name, created_ns, revoked_ns in body["devices"]
        )
    except (Corrupt, ValueError, KeyError, TypeError) as error:
        raise CorruptSegment(f"its body does not follow the format ({error})") from error
    return People(accounts, devices)


def _iter_readable(objects: Objects) -> Iterator[People]:
    for name in sorted((stat.name for stat in objects.iter_names(PEOPLE)), reverse=True):
        try:
            yield decode_people(_read(objects, name))
        except (CorruptSegment, FileNotFoundError):
            continue


def _read(objects: Objects, name: str) -> bytes:
    length_bytes = objects.find_length(name)
    if length_bytes is None:
        return b""
    return objects.read(name, [(0, length_bytes)])[0]
