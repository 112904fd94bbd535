# SPDX-License-Identifier: Apache-2.0
"""Encryption by the store's provider: asked for with every put, and checked with what was put.

S3 is asked for SSE-S3 unless the address says otherwise; Azure and Google encrypt always, Azure
with the container's own scope. What a store then tells of an object is looked at when the server
starts, and again once in a while: a store may ignore what it is asked.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

import obstore

from drystone.core.errors import Unavailable
from drystone.server.ports.signing import SignedRequest
from drystone.server.storage.objects_cloud.asking import ASKING_S, StoreAsker
from drystone.server.storage.objects_cloud.location import StoreLocation
from drystone.server.storage.objects_cloud.trouble import StoreUnusable, raise_answer

NONE: Final = "none"

_S3_KINDS: Final = ("AES256", "aws:kms", "aws:kms:dsse", NONE)

ACCEPTING: Final = (
    "Switch its encryption on; or, if its disks are encrypted otherwise, put encryption=none"
    " behind the ? of its address."
)


class NotEncrypted(Unavailable):
    """The store keeps objects without the encryption that was asked for; nothing is put there."""

    code = "store-not-encrypting"


class Encryption(NamedTuple):
    """What a store is asked for.

    Attributes:
        kind: ``AES256``, ``aws:kms``, ``aws:kms:dsse``, ``scope`` (Azure), ``always`` (Azure,
            without a scope named; Google), or ``none``: neither asked for nor checked.
        key: Id of the key at the provider, or the scope's name; ``""`` for the default one.
    """

    kind: str
    key: str

    @property
    def store_options(self) -> dict[str, str]:
        """What the library is told, so that all its puts ask for it."""
        if self.kind not in _S3_KINDS[:3]:
            return {}
        key = {"sse_kms_key_id": self.key} if self.key else {}
        return {"server_side_encryption": self.kind, **key}

    @property
    def put_headers(self) -> dict[str, str]:
        """What a signed put asks for, in S3's words."""
        if self.kind not in _S3_KINDS[:3]:
            return {}
        key = {"x-amz-server-side-encryption-aws-kms-key-id": self.key} if self.key else {}
        return {"x-amz-server-side-encryption": self.kind, **key}

    def find_fault(self, headers: Mapping[str, str]) -> str:
        """Returns what is wrong with what a store tells of an object; ``""`` if nothing is.

        Args:
            headers: Of its answer to a reader, names in small letters.
        """
        if self.kind == NONE:
            return ""
        if self.kind in ("always", "scope"):
            if headers.get("x-ms-server-encrypted") != "true":
                return "it does not say that it encrypts what it keeps"
            scope = headers.get("x-ms-encryption-scope", "")
            if self.key and scope != self.key:
                return f"it encrypts with {scope or 'no scope'}, not with the scope {self.key}"
            return ""
        kind = headers.get("x-amz-server-side-encryption", "")
        if kind != self.kind:
            return f"it was asked for {self.kind}, and keeps objects with {kind or 'none'}"
        key = headers.get("x-amz-server-side-encryption-aws-kms-key-id", "")
        # An alias is answered with the key that it stands for.
        if self.key and "alias/" not in self.key and not key.endswith(self.key):
            return f"it encrypts with the key {key or '(none told)'}, not with {self.key}"
        return ""


def parse_encryption(location: StoreLocation) -> Encryption:
    """Returns what an address asks for; if it says nothing, all that its store can do by itself.

    Raises:
        StoreUnusable: It asks for what there is not.
    """
    options = location.options
    kind, key = options.get("encryption", ""), options.get("kms_key", "")
    scope = options.get("encryption_scope", "")
    foreign = next((name for name in options if "sse_" in name or "side_encryption" in name), "")
    if foreign:
        fault = f"{foreign} is not for its address"
    elif location.scheme == "s3":
        if (kind or "AES256") in _S3_KINDS and not scope and (not key or kind.startswith("aws:")):
            return Encryption(kind or "AES256", key)
        fault = "its encryption is none that there is"
    elif location.scheme == "az":
        if kind in ("", NONE) and not key and not (kind and scope):
            return Encryption(kind or ("scope" if scope else "always"), scope)
        fault = "its encryption is none that there is"
    else:
        if kind in ("", NONE) and not key and not scope:
            return Encryption(NONE, "")
        fault = "Google's store takes its key from the bucket"
    raise StoreUnusable(
        location.shown,
        fault,
        advice="s3:// takes encryption=AES256, aws:kms (with kms_key=ID if it is not the default"
        " key), aws:kms:dsse or none; az:// takes encryption_scope=NAME.",
    )


def find_fault_of(store: Any, name: str, encryption: Encryption, asker: StoreAsker) -> str:
    """Returns what is wrong with how an object is kept; ``""`` if nothing is.

    Args:
        store: The library's.
        name: Of an object that is there, and not empty.
        encryption: As it should be.
        asker: Sends the question.

    Raises:
        BaseError: The library cannot sign.
        FileNotFoundError: There is no such object.
        ObjectStoreAway: The store did not answer.
    """
    if encryption.kind == NONE:
        return ""
    # The library signs with whatever credentials it has, also a machine's role; but no HEAD that
    # Azure would take.
    url = str(obstore.sign(store, "GET", name, timedelta(seconds=ASKING_S)))
    answer = asker.ask(SignedRequest("GET", url, {"range": "bytes=0-0"}, 0))
    if answer.status >= 300:
        raise_answer("look at", name, answer.status, answer.body)
    return encryption.find_fault(answer.headers)
