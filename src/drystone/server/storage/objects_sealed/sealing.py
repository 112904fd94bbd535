# SPDX-License-Identifier: Apache-2.0
"""Sealing one object's content, and opening parts of it again. Bytes in, bytes out."""

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drystone.core.errors import Corrupt
from drystone.core.limits import MIB
from drystone.server.ports.objects import ObjectParts
from drystone.server.storage.objects_sealed.layout import (
    HEADER_BYTES,
    KEY_BYTES,
    NONCE_BYTES,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    Header,
    bound_data,
    encode_header,
    sealed_length,
    segment_nonce,
)

_Range = tuple[int, int]

_SCRATCH_BYTES: Final = 8 * MIB
"""Decrypted at once into memory that is kept, one for each thread: memory made anew costs four
times what decrypting does. What is longer, such as a whole pack, gets its own."""


class SealBroken(Corrupt):
    """A sealed object was changed, cut off or exchanged since it was written."""

    code = "seal-broken"


class OpenedHeader(NamedTuple):
    """What is needed to read an object.

    Attributes:
        key: The object key.
        length_bytes: Of the content.
    """

    key: bytes
    length_bytes: int


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.buffer = bytearray()


_scratch: Final = _Scratch()


def broken_seal(name: str, reason: str) -> SealBroken:
    """Returns the error that tells so."""
    return SealBroken(
        f"the sealed object {name} {reason}",
        advice="check the server's disk; restore the object from a backup",
    )


def seal(name: str, parts: ObjectParts, store_key_id: bytes, store_key: bytes) -> memoryview:
    """Returns the bytes of the object that holds these parts, under a new key of its own."""
    length_bytes = sum(len(part) for part in parts)
    object_key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
    bound = bound_data(store_key_id, length_bytes, name)
    wrapped = AESGCM(store_key).encrypt(nonce, object_key, bound)
    target = memoryview(bytearray(sealed_length(length_bytes)))
    target[:HEADER_BYTES] = encode_header(Header(store_key_id, length_bytes, nonce, wrapped))
    cipher = AESGCM(object_key)
    position = HEADER_BYTES
    for number, segment in enumerate(_iter_segments(parts)):
        end = position + len(segment) + TAG_BYTES
        cipher.encrypt_into(segment_nonce(number), segment, None, target[position:end])
        position = end
    assert position == len(target)
    return target


def open_header(name: str, header: Header, store_key: bytes) -> OpenedHeader:
    """Returns the object key.

    Raises:
        SealBroken: It was wrapped for another object, or changed.
    """
    bound = bound_data(header.store_key_id, header.length_bytes, name)
    try:
        key = AESGCM(store_key).decrypt(header.nonce, header.wrapped_key, bound)
    except InvalidTag as error:
        raise broken_seal(name, "is another one, or its header was changed") from error
    return OpenedHeader(key, header.length_bytes)


class Stretch(NamedTuple):
    """Segments that lie back to back and are read at once.

    Attributes:
        first: The first one's number.
        start_bytes: Where its content begins.
        end_bytes: Where the last one's content ends.
        wanted: Indexes of the ranges that lie in it.
    """

    first: int
    start_bytes: int
    end_bytes: int
    wanted: list[int]

    @property
    def stored_range(self) -> _Range:
        """Where it lies in the sealed object, and how long it is there."""
        length_bytes = sealed_length(self.end_bytes - self.start_bytes) - HEADER_BYTES
        return HEADER_BYTES + self.first * SEALED_SEGMENT_BYTES, length_bytes


def plan_stretches(ranges: Sequence[_Range], length_bytes: int) -> list[Stretch]:
    """Returns the segments that hold the ranges, each once, those back to back together."""
    stretches: list[Stretch] = []
    for index in sorted(range(len(ranges)), key=ranges.__getitem__):
        offset, count = ranges[index]
        end = min(offset + count, length_bytes)
        if offset >= end:
            continue
        first = offset // SEGMENT_BYTES
        end = min(-(-end // SEGMENT_BYTES) * SEGMENT_BYTES, length_bytes)
        last = stretches[-1] if stretches else None
        if last is not None and first * SEGMENT_BYTES <= last.end_bytes:
            last.wanted.append(index)
            stretches[-1] = last._replace(end_bytes=max(last.end_bytes, end))
        else:
            stretches.append(Stretch(first, first * SEGMENT_BYTES, end, [index]))
    return stretches


def open_stretch(
    name: str, key: bytes, stretch: Stretch, sealed: bytes, ranges: Sequence[_Range]
) -> list[tuple[int, bytes]]:
    """Returns the index and the content of each range that lies in a stretch.

    Args:
        name: Of the object, for the error.
        key: The object key.
        stretch: What was read.
        sealed: Its bytes.
        ranges: All of them; one may reach beyond the end of the content.

    Raises:
        SealBroken: A segment was changed or cut off.
    """
    if len(sealed) != stretch.stored_range[1]:
        raise broken_seal(name, "is cut off")
    plain = _plain_memory(stretch.end_bytes - stretch.start_bytes)
    source, cipher = memoryview(sealed), AESGCM(key)
    for number, position in enumerate(range(0, len(source), SEALED_SEGMENT_BYTES)):
        segment = source[position : position + SEALED_SEGMENT_BYTES]
        start = number * SEGMENT_BYTES
        target = plain[start : start + len(segment) - TAG_BYTES]
        try:
            cipher.decrypt_into(segment_nonce(stretch.first + number), segment, None, target)
        except InvalidTag as error:
            at = stretch.start_bytes + start
            where = f"between its bytes {at:,} and {at + len(target):,}"
            raise broken_seal(name, f"was changed {where}") from error
    opened: list[tuple[int, bytes]] = []
    for index in stretch.wanted:
        offset, count = ranges[index]
        start = offset - stretch.start_bytes
        opened.append((index, bytes(plain[start : start + count])))
    return opened


def _plain_memory(length_bytes: int) -> memoryview:
    """Returns memory of this length; what this thread got before is used again."""
    if length_bytes > _SCRATCH_BYTES:
        return memoryview(bytearray(length_bytes))
    if len(_scratch.buffer) < length_bytes:
        _scratch.buffer = bytearray(length_bytes)
    return memoryview(_scratch.buffer)[:length_bytes]


def _iter_segments(parts: ObjectParts) -> Iterator[memoryview]:
    """Yields the content in pieces of a segment's length; only the last may be shorter.

    Copies only what lies across the border of two parts. Each piece is used before the next.
    """
    across = bytearray()
    for part in parts:
        view = memoryview(part)
        if across:
            taken = min(SEGMENT_BYTES - len(across), len(view))
            across += view[:taken]
            view = view[taken:]
            if len(across) < SEGMENT_BYTES:
                continue
            yield memoryview(bytes(across))
            across.clear()
        whole_bytes = len(view) // SEGMENT_BYTES * SEGMENT_BYTES
        for start in range(0, whole_bytes, SEGMENT_BYTES):
            yield view[start : start + SEGMENT_BYTES]
        across += view[whole_bytes:]
    if across:
        yield memoryview(bytes(across))
