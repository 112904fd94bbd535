# SPDX-License-Identifier: Apache-2.0
"""Signed requests to a store in memory, and a device that sends them."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from drystone.core.instant import NS_PER_S
from drystone.server.ports.clock import Clock
from drystone.server.ports.objects import Objects
from drystone.server.ports.signing import Part, SignedRequest

_URL = "https://store.invalid/"


class FakeSigning:
    """Implements ``server.ports.signing.Signing`` over any store; signs nothing.

    Args:
        objects: Where the requests lead.
        clock: Tells when they expire.

    Attributes:
        restricts_ranges, restricts_bodies, puts_once: As of the port; to be changed at will.
        url: What all addresses begin with.
        uploads: Parts by their numbers; None once it was completed or aborted.
        signed: All requests that were signed.
    """

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self.restricts_ranges = True
        self.restricts_bodies = False
        self.puts_once = False
        self.url = _URL
        self.uploads: dict[str, dict[int, bytes] | None] = {}
        self.signed: list[SignedRequest] = []

    def sign_put(self, name: str, length_bytes: int, sha256: bytes, lasts_s: int) -> SignedRequest:
        headers = {"content-length": str(length_bytes), "x-sha256": sha256.hex()}
        return self._sign("PUT", name, headers, lasts_s)

    def sign_get(
        self, name: str, offset_bytes: int, length_bytes: int, lasts_s: int
    ) -> SignedRequest:
        end = offset_bytes + length_bytes - 1
        return self._sign("GET", name, {"range": f"bytes={offset_bytes}-{end}"}, lasts_s)

    def begin_parts(self, name: str) -> str:
        upload = f"upload-{len(self.uploads)}"
        self.uploads[upload] = {}
        return upload

    def sign_part(  # noqa: PLR0917  as the port has it
        self,
        name: str,
        upload: str,
        number: int,
        length_bytes: int,
        sha256: bytes,
        lasts_s: int,
    ) -> SignedRequest:
        headers = {"content-length": str(length_bytes), "x-sha256": sha256.hex()}
        return self._sign("PUT", f"{name}?upload={upload}&part={number}", headers, lasts_s)

    def list_parts(self, name: str, upload: str) -> list[Part]:
        return [
            Part(number, len(body), f"etag-{number}", None)
            for number, body in sorted(self._find(upload).items())
        ]

    def complete_parts(self, name: str, upload: str, parts: Sequence[Part]) -> None:
        bodies = self._find(upload)
        self._objects.put(name, [bodies[part.number] for part in parts])
        self.uploads[upload] = None

    def abort_parts(self, name: str, upload: str) -> None:
        self.uploads[upload] = None

    def _find(self, upload: str) -> dict[int, bytes]:
        found = self.uploads.get(upload)
        if found is None:
            raise FileNotFoundError(upload)
        return found

    def send(self, request: SignedRequest, body: bytes = b"") -> bytes:
        """Does what the store does with a request: whatever a device likes to put is put."""
        assert request.expires_s * NS_PER_S > self._clock.now_ns(), "the ticket has expired"
        name, _, query = request.url.removeprefix(self.url).partition("?")
        if query:
            self.put_part(query, body)
            return b""
        if request.method == "PUT":
            if self._objects.find_length(name) is not None:
                assert not self.puts_once, "there is something already"
                self._objects.delete(name)
            self._objects.put(name, [body])
            return b""
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        [found] = self._objects.read(name, [(int(first), int(last) + 1 - int(first))])
        return found

    def put_part(self, query: str, body: bytes) -> None:
        """Puts a part of which a request's query tells."""
        fields = dict(parse_qsl(query))
        self._find(fields["upload"])[int(fields["part"])] = body

    def _sign(self, method: str, name: str, headers: dict[str, str], lasts_s: int) -> SignedRequest:
        expires_s = self._clock.now_ns() // NS_PER_S + lasts_s
        request = SignedRequest(method, self.url + name, headers, expires_s)
        self.signed.append(request)
        return request
