# SPDX-License-Identifier: Apache-2.0
"""Signed requests to S3, and to Google's store, which speaks the same words in ET."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from drystone.core.limits import SIGNED_S_MAX
from drystone.server.ports.clock import Clock
from drystone.server.ports.objects import is_object_name
from drystone.server.ports.signing import Part, SignedRequest
from drystone.server.storage.objects_cloud.asking import ASKING_S, StoreAnswer, StoreAsker
from drystone.server.storage.objects_cloud.trouble import raise_answer
from drystone.server.storage.objects_cloud.v4 import V4Signer

_PAGE_PARTS: Final = 1_000
_PAGES_MAX: Final = 100
"""An upload has 10,000 parts at most; a store may make its pages smaller than asked for."""


class XmlStore(NamedTuple):
    """A bucket whose store speaks S3's words.

    Attributes:
        url: Of the bucket, without a slash at its end.
        folder: What all names begin with; ``""`` for none.
        put_headers: What every put and every begun upload asks for: encryption.
        put_once_headers: What makes a store refuse to put where something is; empty if it
            has no such thing.
        tell_body: Returns the headers that hold a body to its length and SHA-256.
        has_checksums: Parts have a SHA-256 that the store checks and lists.
    """

    url: str
    folder: str
    put_headers: Mapping[str, str]
    put_once_headers: Mapping[str, str]
    tell_body: Callable[[int, bytes], Mapping[str, str]]
    has_checksums: bool


def tell_s3_body(length_bytes: int, sha256: bytes) -> dict[str, str]:
    """Returns the headers that pin a body in S3."""
    return {
        "content-length": str(length_bytes),
        "x-amz-checksum-sha256": b64encode(sha256).decode(),
    }


class XmlSigning:
    """Implements ``server.ports.signing.Signing`` on a bucket.

    Args:
        store: The bucket.
        signer: With its credential.
        asker: Sends what the server asks itself.
        clock: Tells from when a signature counts.
    """

    restricts_ranges = True
    restricts_bodies = True

    def __init__(self, store: XmlStore, signer: V4Signer, asker: StoreAsker, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._asker = asker
        self._clock = clock
        self.puts_once = bool(store.put_once_headers)

    def sign_put(self, name: str, length_bytes: int, sha256: bytes, lasts_s: int) -> SignedRequest:
        headers = {
            **self._store.tell_body(length_bytes, sha256),
            **self._store.put_headers,
            **self._store.put_once_headers,
        }
        return self._sign("PUT", name, headers, {}, lasts_s)

    def sign_get(
        self, name: str, offset_bytes: int, length_bytes: int, lasts_s: int
    ) -> SignedRequest:
        assert offset_bytes >= 0
        assert length_bytes > 0
        headers = {"range": f"bytes={offset_bytes}-{offset_bytes + length_bytes - 1}"}
        return self._sign("GET", name, headers, {}, lasts_s)

    def begin_parts(self, name: str) -> str:
        headers = dict(self._store.put_headers)
        if self._store.has_checksums:
            headers["x-amz-checksum-algorithm"] = "SHA256"
        answer = self._ask("begin", "POST", name, headers, {"uploads": ""})
        found = ET.fromstring(answer.body).findtext("{*}UploadId")  # noqa: S314  our own store
        assert found, "a store that begins an upload names it"
        return found

    def sign_part(  # noqa: PLR0917  as the port has it
        self,
        name: str,
        upload: str,
        number: int,
        length_bytes: int,
        sha256: bytes,
        lasts_s: int,
    ) -> SignedRequest:
        assert 1 <= number <= 10_000
        query = {"partNumber": str(number), "uploadId": upload}
        headers = self._store.tell_body(length_bytes, sha256)
        return self._sign("PUT", name, headers, query, lasts_s)

    def list_parts(self, name: str, upload: str) -> list[Part]:
        parts: list[Part] = []
        marker = "0"
        for _ in range(_PAGES_MAX):
            query = {
                "uploadId": upload,
                "max-parts": str(_PAGE_PARTS),
                "part-number-marker": marker,
            }
            answer = self._ask("look at the parts of", "GET", name, {}, query)
            page = ET.fromstring(answer.body)  # noqa: S314  our own store
            parts += [_parse_part(item) for item in page.iterfind("{*}Part")]
            marker = page.findtext("{*}NextPartNumberMarker") or ""
            if page.findtext("{*}IsTruncated") != "true" or not marker:
                break
        return sorted(parts)

    def complete_parts(self, name: str, upload: str, parts: Sequence[Part]) -> None:
        items = "".join(_format_part(part) for part in parts)
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        headers = self._store.put_once_headers
        answer = self._ask("complete", "POST", name, headers, {"uploadId": upload}, body)
        # A store may find out that it cannot after it has said 200.
        if b"<Error" in answer.body:
            raise_answer("complete", name, answer.status, answer.body)

    def abort_parts(self, name: str, upload: str) -> None:
        try:
            self._ask("abort", "DELETE", name, {}, {"uploadId": upload})
        except FileNotFoundError:
            return

    def _sign(
        self,
        method: str,
        name: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        lasts_s: int,
    ) -> SignedRequest:
        assert is_object_name(name)
        assert 0 < lasts_s <= SIGNED_S_MAX
        key = f"{self._store.folder}/{name}".lstrip("/")
        url = f"{self._store.url}/{quote(key, safe='/-_.~')}"
        now_ns = self._clock.now_ns()
        return self._signer.sign(method, url, headers, query, now_ns=now_ns, lasts_s=lasts_s)

    def _ask(  # noqa: PLR0917  all of a request
        self,
        doing: str,
        method: str,
        name: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes = b"",
    ) -> StoreAnswer:
        answer = self._asker.ask(self._sign(method, name, headers, query, ASKING_S), body)
        if answer.status >= 300:
            raise_answer(doing, name, answer.status, answer.body)
        return answer


def _parse_part(item: "ET.Element[str]") -> Part:
    checksum = item.findtext("{*}ChecksumSHA256")
    return Part(
        int(item.findtext("{*}PartNumber") or 0),
        int(item.findtext("{*}Size") or 0),
        item.findtext("{*}ETag") or "",
        b64decode(checksum) if checksum else None,
    )


def _format_part(part: Part) -> str:
    checksum = ""
    if part.checksum is not None:
        checksum = f"<ChecksumSHA256>{b64encode(part.checksum).decode()}</ChecksumSHA256>"
    return (
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f"<ETag>{escape(part.etag)}</ETag>{checksum}</Part>"
    )
