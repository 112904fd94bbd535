# SPDX-License-Identifier: Apache-2.0
"""The bytes of a sealed object.

======  =====  =====================================================================
offset  bytes  meaning
======  =====  =====================================================================
0       8      ``SEAL_TAG``
8       8      id of the store key that wraps the object key
16      8      length of the content in bytes, little-endian
24      12     nonce of the wrapping
36      48     the object key, wrapped: AES-256-GCM under the store key; its associated
               data are bytes 0 to 24 and the last part of the object's name
84      8      first bytes of the SHA-256 of bytes 0 to 84: tells damage from a key that
               is not there
92      65552  first segment: 65,536 bytes of content, AES-256-GCM under the object key,
               and their tag of 16 bytes; the nonce is the segment's number, big-endian
65644   ...    more segments; the last one may be shorter
======  =====  =====================================================================

No content, no segment. The length is covered by the wrapping, the number of a segment is its
nonce, and no two objects have the same key: so nothing can be cut off, moved or exchanged
without being noticed. Only the last part of the name is bound, so that an object may be moved to
another folder as it is.
"""

from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from drystone.core.limits import KIB

SEAL_TAG: Final = b"DSSEAL1\n"
SEGMENT_BYTES: Final = 64 * KIB
"""What is decrypted at least to read one byte: 4 KiB out of the page cache take 50 microseconds
instead of 14. Segments of 16 KiB are encrypted at two thirds of the speed."""

TAG_BYTES: Final = 16
SEALED_SEGMENT_BYTES: Final = SEGMENT_BYTES + TAG_BYTES
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8

_HEAD: Final = Struct("<8s8sQ12s48s")
_BOUND_BYTES: Final = 24
_SUM_BYTES: Final = 8
HEADER_BYTES: Final = _HEAD.size + _SUM_BYTES


class Header(NamedTuple):
    """What stands before the segments.

    Attributes:
        store_key_id: Of the key that wraps the object key.
        length_bytes: Of the content.
        nonce: Of the wrapping.
        wrapped_key: The object key and its tag.
    """

    store_key_id: bytes
    length_bytes: int
    nonce: bytes
    wrapped_key: bytes


def encode_header(header: Header) -> bytes:
    """Returns its bytes."""
    head = _HEAD.pack(SEAL_TAG, *header)
    return head + sha256(head).digest()[:_SUM_BYTES]


def decode_header(raw: bytes) -> Header | None:
    """Returns the header that an object begins with; None if it is damaged or cut off."""
    head = raw[: _HEAD.size]
    if len(raw) < HEADER_BYTES or raw[_HEAD.size : HEADER_BYTES] != sha256(head).digest()[:8]:
        return None
    _, store_key_id, length_bytes, nonce, wrapped_key = _HEAD.unpack(head)
    return Header(store_key_id, length_bytes, nonce, wrapped_key)


def bound_data(store_key_id: bytes, length_bytes: int, name: str) -> bytes:
    """Returns what the wrapping of the object key covers besides the key."""
    head = _HEAD.pack(SEAL_TAG, store_key_id, length_bytes, b"", b"")[:_BOUND_BYTES]
    return head + name.rpartition("/")[2].encode("ascii")


def sealed_length(length_bytes: int) -> int:
    """Returns how long an object of this content's length is."""
    return HEADER_BYTES + length_bytes + count_segments(length_bytes) * TAG_BYTES


def content_length(stored_bytes: int) -> int:
    """Returns how long the content of an object of this length is, if it is whole."""
    body_bytes = max(0, stored_bytes - HEADER_BYTES)
    segments_count = -(-body_bytes // SEALED_SEGMENT_BYTES)
    return max(0, body_bytes - segments_count * TAG_BYTES)


def count_segments(length_bytes: int) -> int:
    """Returns in how many segments a content of this length lies."""
    return -(-length_bytes // SEGMENT_BYTES)


def segment_nonce(number: int) -> bytes:
    """Returns the nonce of a segment, from 0."""
    return number.to_bytes(NONCE_BYTES, "big")
