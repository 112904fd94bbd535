# SPDX-License-Identifier: Apache-2.0
"""Objects in S3, Azure Blob or Google Cloud Storage, through obstore.

The library retries what is worth retrying (5xx, slow down, lost connections) with waits that
grow, for ``retry_s`` seconds; what it then raises is told as "try again" to whoever asked.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import obstore
import structlog
from obstore.exceptions import BaseError, NotFoundError, NotSupportedError
from obstore.store import AzureStore, GCSStore, S3Store

from drystone.core.errors import Unavailable
from drystone.core.instant import NS_PER_S
from drystone.core.limits import KIB, MIB
from drystone.server.ports.clock import Clock
from drystone.server.ports.objects import (
    ObjectParts,
    ObjectStat,
    ObjectStoreAway,
    is_object_name,
)
from drystone.server.ports.signing import Signing
from drystone.server.storage.objects_cloud.asking import StoreAsker
from drystone.server.storage.objects_cloud.encryption import (
    ACCEPTING,
    NONE,
    NotEncrypted,
    find_fault_of,
    parse_encryption,
)
from drystone.server.storage.objects_cloud.location import OURS, StoreLocation, find_retry_s
from drystone.server.storage.objects_cloud.probing import TAKEN, finds_out_puts_once
from drystone.server.storage.objects_cloud.signers import make_signing
from drystone.server.storage.objects_cloud.trouble import (
    StoreUnusable,
    is_about_the_store,
    is_bucket_missing,
    is_full,
    speaks_of_encryption,
    tell_briefly,
    translated,
    try_again,
)

LOOKED_AT_EACH: Final = 64
"""Of so many objects that are put one is asked about how it is kept: a request costs 20 ms."""

log = structlog.get_logger()

TRIES_MAX: Final = 50
"""More than fit into the time, so that the time is what bounds them: eight take two seconds."""

_BACKOFF: Final[Any] = {
    "init_backoff": timedelta(milliseconds=100),
    "max_backoff": timedelta(seconds=5),
    "base": 2,
}

REQUEST_S: Final = 60
"""How long one try may take: 16 MiB at 2.2 Mbit/s."""

PUTS_AT_ONCE: Final = 8
"""Objects of one ``put_many`` that travel side by side."""

GETS_AT_ONCE: Final = 8
"""Spans of objects that are read side by side."""

GAP_BYTES: Final = 128 * KIB
"""What lies between two ranges is read along if it is no more than this: a request costs some
20 ms and money, so many bytes next to nothing."""

COMPARED_BYTES: Final = 4 * MIB
"""How much of an object that is there already is read at a time to compare it."""

_STORES: Final[dict[str, Any]] = {"s3": S3Store, "az": AzureStore, "gs": GCSStore}


class CloudObjects:
    """Implements ``server.ports.objects.Objects`` on a place in a cloud's store.

    Attributes:
        signing: Signs requests to it for others; None if there is no clock to sign by, or the
            environment has no credentials (those of a machine's role cannot be had).
    """

    def __init__(
        self,
        location: StoreLocation,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        clock: Clock | None = None,
    ) -> None:
        """Looks whether the place can be listed and written to; nothing of it stays.

        Args:
            location: Of the place.
            environment: Of the process: the clouds' own variables with credentials.
            clock: What signatures count from.

        Raises:
            StoreUnusable: It cannot be reached, or not with these credentials, or is not there.
        """
        self._where = location.shown
        self._encryption = parse_encryption(location)
        self._retry_s = find_retry_s(location)
        self._asker = StoreAsker(
            verifies=location.options.get("allow_invalid_certificates") != "true",
            retry_s=self._retry_s,
        )
        try:
            self._store = _STORES[location.scheme](
                location.bucket,
                prefix=location.folder or None,
                client_options={
                    "timeout": f"{REQUEST_S}s",
                    "connect_timeout": "10s",
                    **_take_client_options(location.options),
                },
                retry_config={
                    "max_retries": TRIES_MAX,
                    "retry_timeout": timedelta(seconds=self._retry_s),
                    "backoff": _BACKOFF,
                },
                config={
                    **_take_store_options(location),
                    **self._encryption.store_options,
                },
            )
            try_again(lambda: obstore.list_with_delimiter(self._store, "packs"), self._retry_s)
            # A store that has no conditional put says so once, or is seen to overwrite.
            self._is_conditional = self._find_out_puts_once()
        except Unavailable as error:
            raise StoreUnusable(self._where, error.message) from error
        except (BaseError, OSError, ValueError, TypeError) as error:
            advice = ""
            if self._encryption.kind != NONE and speaks_of_encryption(error):
                advice = ACCEPTING
            raise StoreUnusable(self._where, tell_briefly(error), advice=advice) from error
        self._threads = ThreadPoolExecutor(GETS_AT_ONCE, thread_name_prefix="objects-get")
        self.signing: Signing | None = None
        if clock is not None:
            self.signing = make_signing(
                location, environment, clock, self._asker, puts_once=self._is_conditional
            )
        self._puts = itertools.count(1)

    def put(self, name: str, parts: ObjectParts) -> None:
        assert is_object_name(name)
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        with translated("write", name):
            try:
                self._put(name, content)
            except FileNotFoundError as error:
                # Nothing is missing for a put but the bucket itself.
                raise ObjectStoreAway(
                    f"the server's object store could not write {name}: {tell_briefly(error)}",
                    advice="the bucket itself is not there: check the server's setting `objects`",
                    retry_after_s=5.0,
                ) from error

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        new = [name for name, _ in objects if self.find_length(name) is None]
        with ThreadPoolExecutor(PUTS_AT_ONCE, thread_name_prefix="objects-put") as threads:
            puts = [threads.submit(self.put, name, parts) for name, parts in objects]
        errors = [error for put in puts if (error := put.exception()) is not None]
        if errors:
            for name in new:
                with suppress(Exception):
                    self.delete(name)
            raise errors[0]

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        wanted = [(offset, offset + length) for offset, length in ranges if length]
        with translated("read", name):
            try:
                found = self._get_ranges(name, wanted)
            except NotFoundError as error:
                if is_bucket_missing(error):
                    raise
                raise FileNotFoundError(name) from error
        pieces = iter(found)
        return [next(pieces) if length else b"" for _, length in ranges]

    def find_length(self, name: str) -> int | None:
        with translated("look at", name):
            try:
                return int(obstore.head(self._store, name)["size"])
            except (NotFoundError, FileNotFoundError):
                return None

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        # The library lists folders, not beginnings of names.
        folder = prefix.rpartition("/")[0] or None

        def begin() -> tuple[Sequence[Any], Iterator[Any]]:
            pages = iter(obstore.list(self._store, folder, chunk_size=1_000))
            return next(pages, ()), pages

        with translated("list", prefix or "its objects"):
            first, others = try_again(begin, self._retry_s)
            for page in itertools.chain([first], others):
                for item in page:
                    if item["path"].startswith(prefix) and is_object_name(item["path"]):
                        written_ns = int(item["last_modified"].timestamp() * NS_PER_S)
                        yield ObjectStat(item["path"], item["size"], written_ns)

    def delete(self, name: str) -> None:
        with translated("delete", name):
            try:
                try_again(lambda: obstore.delete(self._store, name), self._retry_s)
            except (NotFoundError, FileNotFoundError) as error:
                if is_bucket_missing(error):
                    raise

    def _refuse_unencrypted(self, name: str) -> None:
        if fault := find_fault_of(self._store, name, self._encryption, self._asker):
            raise StoreUnusable(self._where, fault, advice=ACCEPTING)

    def _look_at(self, name: str) -> None:
        """Takes back what was just put if it is not encrypted, and says so."""
        fault = find_fault_of(self._store, name, self._encryption, self._asker)
        if not fault:
            return
        log.error("store.not_encrypting", store=self._where, fault=fault)
        obstore.delete(self._store, name)
        raise NotEncrypted(
            f"nothing more is put into the server's object store: {fault}",
            advice=ACCEPTING,
            retry_after_s=60.0,
        )

    def _find_out_puts_once(self) -> bool:
        try:
            return finds_out_puts_once(self._store, self._refuse_unencrypted)
        except BaseError as error:
            if not is_full(error):
                raise
            # What is stored can be read all the same.
            log.warning("store_full", store=self._where)
            return False

    def _put(self, name: str, content: Any) -> None:
        # Whether a put that broke off was done is seen when it is done again.
        if try_again(lambda: self._put_new(name, content), self._retry_s):
            if next(self._puts) % LOOKED_AT_EACH == 0:
                self._look_at(name)
        elif not self._is_same(name, content):
            obstore.put(self._store, name, content, use_multipart=False)

    def _put_new(self, name: str, content: Any) -> bool:
        """Puts an object where there is none; returns False, having put nothing, if there is."""
        if self._is_conditional:
            try:
                obstore.put(self._store, name, content, use_multipart=False, mode="create")
            except TAKEN:
                return False
            except NotSupportedError:
                self._is_conditional = False
            else:
                return True
        if self.find_length(name) is not None:
            return False
        obstore.put(self._store, name, content, use_multipart=False)
        return True

    def _is_same(self, name: str, content: Any) -> bool:
        """Tells whether an object that is there holds these bytes."""
        length = memoryview(content).nbytes
        if self.find_length(name) != length:
            return False
        view = memoryview(content)
        for start in range(0, length, COMPARED_BYTES):
            end = min(start + COMPARED_BYTES, length)
            if bytes(obstore.get_range(self._store, name, start=start, end=end)) != view[start:end]:
                return False
        return True

    def _get_ranges(self, name: str, wanted: list[tuple[int, int]]) -> list[bytes]:
        """Returns the bytes of each (start, end), cut off where the object ends."""
        if not wanted:
            obstore.head(self._store, name)
            return []
        spans = list(_merge(wanted))
        if len(spans) == 1:
            found = [self._get_span(name, spans[0])]
        else:
            found = list(self._threads.map(lambda span: self._get_span(name, span), spans))
        starts = [start for start, _ in spans]
        pieces = []
        for start, end in wanted:
            index = bisect_right(starts, start) - 1
            base = starts[index]
            pieces.append(found[index][start - base : end - base])
        return pieces

    def _get_span(self, name: str, span: tuple[int, int]) -> bytes:
        start, end = span
        try:
            return bytes(obstore.get_range(self._store, name, start=start, end=end))
        except NotFoundError:
            raise
        except BaseError as error:
            if is_about_the_store(error):
                raise
            # Beyond the end stores answer with errors of many kinds: look where it is.
            length = int(obstore.head(self._store, name)["size"])
            if start < length and end <= length:
                raise
            if start >= length:
                return b""
            return bytes(obstore.get_range(self._store, name, start=start, end=length))


def _merge(wanted: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yields spans that cover what is wanted, in order; those with small gaps are one."""
    spans = sorted(wanted)
    start, end = spans[0]
    for next_start, next_end in spans[1:]:
        if next_start > end + GAP_BYTES:
            yield start, end
            start, end = next_start, next_end
        end = max(end, next_end)
    yield start, end


_CLIENT_OPTIONS: Final = ("allow_http", "allow_invalid_certificates", "proxy_url")


def _take_client_options(options: Any) -> dict[str, Any]:
    given = {key: options[key] for key in _CLIENT_OPTIONS if key in options}
    return {key: value == "true" if value in ("true", "false") else value
            for key, value in given.items()}  # fmt: skip


def _take_store_options(location: StoreLocation) -> dict[str, Any]:
    ours = (*_CLIENT_OPTIONS, *OURS)
    options = {key: v for key, v in location.options.items() if key not in ours}
    if location.scheme == "s3":
        # TLS and our own hashes guard the bytes; hashing them once more costs a third of a put.
        options.setdefault("unsigned_payload", "true")
    return options
