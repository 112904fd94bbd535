# SPDX-License-Identifier: Apache-2.0
"""The engine: a store of objects that seals what goes in and opens what comes out."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from drystone.core.errors import Corrupt, DrystoneError, Unavailable
from drystone.server.ports.objects import ObjectParts, Objects, ObjectStat, is_object_name
from drystone.server.storage.objects_sealed.keyring import Keyring
from drystone.server.storage.objects_sealed.keyring_objects import KEYRING_PREFIX, find_generation
from drystone.server.storage.objects_sealed.layout import (
    HEADER_BYTES,
    SEAL_TAG,
    content_length,
    decode_header,
    sealed_length,
)
from drystone.server.storage.objects_sealed.sealing import (
    OpenedHeader,
    SealBroken,
    broken_seal,
    open_header,
    open_stretch,
    plan_stretches,
    seal,
)

_HEADERS_MAX: Final = 8_192
"""Opened headers that are kept: those of 128 GiB of packs, in about 3 MiB."""

_TRIES: Final = 3
"""An object may be replaced by one under another key while it is read."""


class StoreKeyMissing(Unavailable):
    """An object is sealed with a store key that the keyring, as far as it can be opened, lacks.

    Not ``Corrupt``: the object may be whole, and must not be given up for a missing key.
    """

    code = "store-key-missing"


class SealedObjects:
    """Implements ``server.ports.objects.Objects`` over another store.

    Objects that are there already and not sealed are read as they are, if the keyring allows
    them. The keyring's own objects are not seen through it.

    Args:
        inner: Where the sealed objects lie.
        keyring: Opened.
        reload_keyring: Opens the newest one: somebody else may have rotated it. What it raises
            is told in a ``StoreKeyMissing``.
    """

    def __init__(
        self, inner: Objects, keyring: Keyring, reload_keyring: Callable[[], Keyring]
    ) -> None:
        self._inner = inner
        self._keyring = keyring
        self._reload_keyring = reload_keyring
        self._reloading = threading.Lock()
        self._headers: OrderedDict[str, OpenedHeader] = OrderedDict()
        self._headers_lock = threading.Lock()

    def put(self, name: str, parts: ObjectParts) -> None:
        self.put_many([(name, parts)])

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        assert all(is_object_name(name) for name, _ in objects)
        assert not any(name.startswith(KEYRING_PREFIX) for name, _ in objects)
        keyring = self._keyring
        sealed: list[tuple[str, ObjectParts]] = []
        for name, parts in objects:
            # What is there already goes through the store below once more, which makes sure
            # that it is durable.
            same = self._find_same(name, parts)
            if same is None:
                fresh = seal(name, parts, keyring.current_id, keyring.current_key)
                sealed.append((name, [fresh]))
            else:
                sealed.append((name, [same]))
        self._inner.put_many(sealed)

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        broken: SealBroken | None = None
        for _ in range(_TRIES):
            header = self._kept_header(name)
            if header is None:
                [head] = self._inner.read(name, [(0, HEADER_BYTES)])
                if self._is_plain(head):
                    head, *contents = self._inner.read(name, [(0, HEADER_BYTES), *ranges])
                    if self._is_plain(head):
                        return contents
                    continue  # It was sealed in this very moment.
                header = self._open_header(name, head)
            try:
                return self._read_sealed(name, header, ranges)
            except SealBroken as error:
                broken = error
                self._forget(name)
        raise broken or broken_seal(name, "was replaced again and again")

    def find_length(self, name: str) -> int | None:
        stored_bytes = self._inner.find_length(name)
        if stored_bytes is None:
            return None
        return self._content_length(name, stored_bytes)

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        for stat in self._inner.iter_names(prefix):
            if not stat.name.startswith(KEYRING_PREFIX):
                length_bytes = self._content_length(stat.name, stat.length_bytes)
                yield stat._replace(length_bytes=length_bytes)

    def delete(self, name: str) -> None:
        self._inner.delete(name)
        self._forget(name)

    def seal_plain(self, name: str) -> int:
        """Seals an object that is not; replaced in one step. Returns its length, 0 if it was.

        Raises:
            FileNotFoundError: There is no such object.
        """
        if is_sealed(self._inner, name):
            return 0
        length_bytes = self._inner.find_length(name) or 0
        [content] = self._inner.read(name, [(0, length_bytes)])
        keyring = self._keyring
        self._inner.put(name, [seal(name, [content], keyring.current_id, keyring.current_key)])
        self._forget(name)
        return length_bytes

    def _read_sealed(
        self, name: str, header: OpenedHeader, ranges: Sequence[tuple[int, int]]
    ) -> list[bytes]:
        answer = [b""] * len(ranges)
        stretches = plan_stretches(ranges, header.length_bytes)
        contents = self._inner.read(name, [stretch.stored_range for stretch in stretches])
        for stretch, sealed in zip(stretches, contents, strict=True):
            for index, content in open_stretch(name, header.key, stretch, sealed, ranges):
                answer[index] = content
        return answer

    def _find_same(self, name: str, parts: ObjectParts) -> bytes | None:
        """Returns the sealed bytes of what is there, if it is sealed and holds these parts."""
        length_bytes = sum(len(part) for part in parts)
        if self._inner.find_length(name) != sealed_length(length_bytes):
            return None
        try:
            [raw] = self._inner.read(name, [(0, sealed_length(length_bytes))])
            if self._is_plain(raw):
                return None
            header = self._open_header(name, raw[:HEADER_BYTES])
            if header.length_bytes != length_bytes:
                return None
            ranges = [(0, length_bytes)]
            for stretch in plan_stretches(ranges, length_bytes):
                [(_, content)] = open_stretch(name, header.key, stretch, raw[HEADER_BYTES:], ranges)
                if not _is_joined(content, parts):
                    return None
        except (FileNotFoundError, Corrupt):
            return None  # To be replaced.
        return raw

    def _content_length(self, name: str, stored_bytes: int) -> int:
        if self._keyring.holds_plain:
            try:
                if not is_sealed(self._inner, name):
                    return stored_bytes
            except (FileNotFoundError, Corrupt):
                pass  # Deleted meanwhile, or on a bad spot: whoever reads it will be told.
        return content_length(stored_bytes)

    def _is_plain(self, head: bytes) -> bool:
        return self._keyring.holds_plain and not head.startswith(SEAL_TAG)

    def _open_header(self, name: str, head: bytes) -> OpenedHeader:
        if not head.startswith(SEAL_TAG):
            raise broken_seal(name, "does not begin as one")
        header = decode_header(head)
        if header is None:
            raise broken_seal(name, "has a damaged header")
        opened = open_header(name, header, self._store_key(name, header.store_key_id))
        with self._headers_lock:
            self._headers[name] = opened
            if len(self._headers) > _HEADERS_MAX:
                self._headers.popitem(last=False)
        return opened

    def _kept_header(self, name: str) -> OpenedHeader | None:
        with self._headers_lock:
            header = self._headers.get(name)
            if header is not None:
                self._headers.move_to_end(name)
            return header

    def _forget(self, name: str) -> None:
        with self._headers_lock:
            self._headers.pop(name, None)

    def _store_key(self, name: str, key_id: bytes) -> bytes:
        """Returns a store key.

        Raises:
            StoreKeyMissing: Neither this keyring has it nor a newer one.
        """
        key = self._keyring.store_keys.get(key_id)
        if key is not None:
            return key
        reason = ""
        with self._reloading:
            # The listing is cheap and keeps a master key's command from being run in vain.
            if find_generation(self._inner) > self._keyring.generation:
                try:
                    self._keyring = self._reload_keyring()
                except DrystoneError as error:
                    reason = f": {error.message}"
            key = self._keyring.store_keys.get(key_id)
        if key is None:
            raise StoreKeyMissing(
                f"{name} is sealed with the store key {key_id.hex()}, which the keyring does not"
                f" hold{reason}",
                advice="restore the newest objects/keyring, or set master_key to the newest key",
                retry_after_s=60.0,
            )
        return key


def is_sealed(objects: Objects, name: str) -> bool:
    """Tells whether an object of a store begins as a sealed one does. Cost: a short read.

    Raises:
        FileNotFoundError: There is no such object.
    """
    [head] = objects.read(name, [(0, len(SEAL_TAG))])
    return head == SEAL_TAG


def _is_joined(content: bytes, parts: ObjectParts) -> bool:
    """Tells whether the parts, joined, are this content."""
    view = memoryview(content)
    position = 0
    for part in parts:
        if view[position : position + len(part)] != memoryview(part):
            return False
        position += len(part)
    return position == len(view)
