# SPDX-License-Identifier: Apache-2.0
"""Signed requests, at stores: exactly what was signed is let through, and nothing else.

nanio checks signatures, moto conditions and the steps of an upload in parts.
"""

import http.client
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from drystone.core.errors import Unavailable
from drystone.server.ports.signing import Part, SignedRequest, Signing
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.objects_cloud import CloudObjects, parse_location, signing_xml
from drystone.testing.stores.azurite import AZURE_CREDENTIALS
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server, StrictS3Server

BODY = b"0123456789" * 1_000
OTHER = b"9876543210" * 1_000
NAME = "packs/ab/abcd"


class MovedClock:
    """The machine's clock, so many seconds off."""

    def __init__(self, off_s: int) -> None:
        self.off_s = off_s

    def now_ns(self) -> int:
        return SystemClock().now_ns() + self.off_s * 10**9


def open_store(url: str, clock=None, **credentials: str) -> tuple[CloudObjects, Signing]:
    environment = {**S3_CREDENTIALS, **AZURE_CREDENTIALS, **credentials}
    store = CloudObjects(parse_location(url), environment=environment, clock=clock or SystemClock())
    assert store.signing is not None
    return store, store.signing


def send(request: SignedRequest, body: bytes = b"", **changed: str | None) -> tuple[int, bytes]:
    """Sends it as somebody would who has no credentials; returns status and body.

    Args:
        request: What was signed.
        body: Sent with it.
        changed: Headers (``_`` for ``-``) that are sent instead; None for left out.
    """
    headers = {**request.headers, **{k.replace("_", "-"): v for k, v in changed.items()}}
    address = urlsplit(request.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
    try:
        connection.putrequest(request.method, f"{address.path}?{address.query}")
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def credentials(monkeypatch) -> None:
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def strict_url(strict_s3: StrictS3Server, credentials) -> str:
    return strict_s3.url(strict_s3.make_bucket(), "some/folder")


class TestStrictStore:
    """At a store that checks what was signed."""

    def test_a_signed_put_puts_and_a_signed_get_gets_its_range(self, strict_url) -> None:
        store, signing = open_store(strict_url)

        put = signing.sign_put(NAME, len(BODY), sha256(BODY).digest(), 60)
        assert send(put, BODY) == (200, b"")
        assert store.read(NAME, [(0, len(BODY))]) == [BODY]
        get = signing.sign_get(NAME, 95, 20, 60)
        assert send(get) == (206, BODY[95:115])

    @pytest.mark.parametrize(
        "changed",
        [
            {"x_amz_checksum_sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
            {"x_amz_checksum_sha256": None},
            {"content_length": str(len(BODY) - 1)},
        ],
        ids=str,
    )
    def test_a_put_that_differs_is_refused(self, strict_url, changed: dict) -> None:
        store, signing = open_store(strict_url)

        put = signing.sign_put(NAME, len(BODY), sha256(BODY).digest(), 60)
        length = int(changed.get("content_length", len(BODY)))

        assert send(put, BODY[:length], **changed)[0] == 403
        assert store.find_length(NAME) is None
        assert send(put, BODY)[0] == 200

    @pytest.mark.parametrize("given", ["bytes=95-115", "bytes=0-", None], ids=str)
    def test_a_get_of_another_range_is_refused(self, strict_url, given: str | None) -> None:
        store, signing = open_store(strict_url)
        store.put(NAME, [BODY])

        get = signing.sign_get(NAME, 95, 20, 60)

        status, body = send(get, range=given)
        assert status == 403
        assert BODY[:10] not in body
        assert send(get)[0] == 206

    def test_another_object_and_another_method_are_refused(self, strict_url) -> None:
        store, signing = open_store(strict_url)
        store.put(NAME, [BODY])
        store.put("packs/ab/other", [OTHER])

        get = signing.sign_get(NAME, 0, 10, 60)
        elsewhere = get._replace(url=get.url.replace("abcd", "other"))
        deleting = get._replace(method="DELETE")
        overwriting = get._replace(method="PUT")

        assert send(elsewhere)[0] == 403
        assert send(deleting)[0] == 403
        assert send(overwriting)[0] == 403
        assert store.read(NAME, [(0, len(BODY))]) == [BODY]

    def test_an_expired_request_is_refused(self, strict_url) -> None:
        store, signing = open_store(strict_url, MovedClock(-100))
        store.put(NAME, [BODY])

        assert send(signing.sign_get(NAME, 0, 10, 99))[0] == 403
        assert send(signing.sign_get(NAME, 0, 10, 300))[0] == 206
        put = signing.sign_put("packs/ab/new", len(BODY), sha256(BODY).digest(), 99)
        assert send(put, BODY)[0] == 403

    def test_another_secret_is_refused(self, strict_url) -> None:
        _, signing = open_store(strict_url, AWS_SECRET_ACCESS_KEY="other")

        put = signing.sign_put(NAME, len(BODY), sha256(BODY).digest(), 60)

        assert send(put, BODY)[0] == 403
        with pytest.raises(Unavailable, match="SignatureDoesNotMatch") as caught:
            signing.begin_parts(NAME)
        assert "credentials" in caught.value.advice

    def test_a_store_without_conditions_is_seen_to_have_none(self, strict_url) -> None:
        _, signing = open_store(strict_url)

        assert not signing.puts_once
        assert signing.restricts_ranges
        assert signing.restricts_bodies

    def test_an_object_comes_in_parts(self, strict_url) -> None:
        put_in_parts(*open_store(strict_url))

    def test_an_upload_that_is_over_is_not_there(self, strict_url) -> None:
        _, signing = open_store(strict_url)
        upload = signing.begin_parts(NAME)
        signing.abort_parts(NAME, upload)
        signing.abort_parts(NAME, upload)

        with pytest.raises(FileNotFoundError):
            signing.list_parts(NAME, upload)
        with pytest.raises(FileNotFoundError):
            signing.complete_parts(NAME, upload, [Part(1, 1, '"a"', None)])


class TestConditionalStore:
    """At a store that knows conditions and all steps of an upload in parts."""

    def test_an_object_is_put_once(self, s3_url) -> None:
        store, signing = open_store(s3_url)
        put = signing.sign_put(NAME, len(BODY), sha256(BODY).digest(), 60)

        assert signing.puts_once
        assert send(put, BODY)[0] == 200
        assert send(put, OTHER)[0] == 412
        assert store.read(NAME, [(0, len(BODY))]) == [BODY]

    def test_an_object_comes_in_parts(self, s3_url) -> None:
        put_in_parts(*open_store(s3_url))

    def test_an_upload_may_have_more_parts_than_a_page(self, s3_url, monkeypatch) -> None:
        monkeypatch.setattr(signing_xml, "_PAGE_PARTS", 3)
        _, signing = open_store(s3_url)
        upload = signing.begin_parts(NAME)
        for number in range(1, 9):
            part = signing.sign_part(NAME, upload, number, 1, sha256(b"x").digest(), 60)
            assert send(part, b"x")[0] == 200

        assert [part.number for part in signing.list_parts(NAME, upload)] == [*range(1, 9)]


class TestAzure:
    """At Azure's emulator: it signs less, and says so."""

    def test_a_signed_put_puts_once_and_a_signed_get_gets(self, azure_url) -> None:
        store, signing = open_store(azure_url)
        put = signing.sign_put(NAME, len(BODY), sha256(BODY).digest(), 60)

        assert send(put, BODY)[0] == 201
        assert send(put, OTHER, content_length=str(len(OTHER)))[0] in (403, 409)
        assert store.read(NAME, [(0, len(BODY))]) == [BODY]
        assert send(signing.sign_get(NAME, 95, 20, 60)) == (206, BODY[95:115])

    def test_what_it_does_not_restrict_is_told(self, azure_url) -> None:
        store, signing = open_store(azure_url)
        store.put(NAME, [BODY])

        assert send(signing.sign_get(NAME, 95, 20, 60), range=None) == (200, BODY)
        assert not signing.restricts_ranges
        assert not signing.restricts_bodies
        assert signing.puts_once

    def test_another_object_another_right_and_a_late_request_are_refused(self, azure_url) -> None:
        store, signing = open_store(azure_url)
        store.put(NAME, [BODY])
        store.put("packs/ab/other", [OTHER])
        get = signing.sign_get(NAME, 0, 10, 60)

        assert send(get._replace(url=get.url.replace("abcd", "other")))[0] == 403
        assert send(get._replace(method="DELETE"))[0] == 403
        assert send(get._replace(url=get.url.replace("sp=r", "sp=rw")))[0] == 403
        _, late = open_store(azure_url, MovedClock(-100))
        assert send(late.sign_get(NAME, 0, 10, 99))[0] == 403
        _, other = open_store(azure_url, AZURE_STORAGE_ACCOUNT_KEY="b3RoZXI=")
        assert send(other.sign_get(NAME, 0, 10, 60))[0] == 403

    def test_an_object_comes_in_parts(self, azure_url) -> None:
        put_in_parts(*open_store(azure_url))

    def test_uploads_do_not_see_each_others_parts(self, azure_url) -> None:
        _, signing = open_store(azure_url)
        one, two = signing.begin_parts(NAME), signing.begin_parts(NAME)
        for upload, body in ((one, b"1"), (two, b"22")):
            part = signing.sign_part(NAME, upload, 1, len(body), sha256(body).digest(), 60)
            assert send(part, body)[0] == 201

        assert [part.length_bytes for part in signing.list_parts(NAME, two)] == [2]
        signing.complete_parts(NAME, one, signing.list_parts(NAME, one))
        with pytest.raises(FileExistsError):
            signing.complete_parts(NAME, two, [Part(1, 2, "", None)])
        with pytest.raises(FileNotFoundError):
            signing.list_parts(NAME, two)


def put_in_parts(store: CloudObjects, signing: Signing) -> None:
    """An object of two parts, one of them put twice; nothing can be read before the end."""
    first, second = bytes(5 << 20), b"the rest"
    upload = signing.begin_parts(NAME)
    for number, body in ((2, second), (1, b"wrong"), (1, first)):
        part = signing.sign_part(NAME, upload, number, len(body), sha256(body).digest(), 60)
        assert send(part, body)[0] in (200, 201)
    assert store.find_length(NAME) is None

    parts = signing.list_parts(NAME, upload)
    assert [(p.number, p.length_bytes) for p in parts] == [(1, 5 << 20), (2, 8)]
    signing.complete_parts(NAME, upload, parts)

    assert store.read(NAME, [((5 << 20) - 1, 9)]) == [b"\0the rest"]


def test_without_credentials_nothing_is_signed(s3: S3Server, s3_url) -> None:
    location = parse_location(s3_url)

    assert CloudObjects(location, environment={}, clock=SystemClock()).signing is None
    assert CloudObjects(location).signing is None
