# SPDX-License-Identifier: Apache-2.0
"""A store that fails: told clearly, tried again where that is right, and nothing half-done."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from urllib.request import Request, urlopen

import pytest

from drystone.core.errors import Unavailable
from drystone.server.ports.objects import ObjectStoreAway, ObjectStoreFull
from drystone.server.ports.signing import SignedRequest
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.objects_cloud import CloudObjects, StoreUnusable, parse_location
from drystone.server.storage.objects_cloud.encryption import NotEncrypted
from drystone.testing.stores.faults import (
    NO_BUCKET,
    QUOTA_EXCEEDED,
    SLOW_DOWN,
    STORE_FULL,
    WRONG_CREDENTIALS,
    Fault,
    Forgets,
    Resets,
    Says,
    Slows,
    StoreFaults,
    Truncates,
)
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server

OLD = "packs/ab/old"
NEW = "packs/ab/new"
IN_PARTS = "packs/ab/parts"
CONTENT = bytes(range(256)) * 400

WORKS: dict[str, Callable[[CloudObjects], object]] = {
    "put": lambda objects: objects.put(NEW, [CONTENT]),
    "put many": lambda objects: objects.put_many([(NEW, [CONTENT])]),
    "read": lambda objects: objects.read(OLD, [(0, len(CONTENT))]),
    "look": lambda objects: objects.find_length(OLD),
    "list": lambda objects: list(objects.iter_names()),
    "delete": lambda objects: objects.delete("packs/ab/other"),
}


@pytest.fixture
def faults(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreFaults]:
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with StoreFaults(s3.endpoint, retry_s=0.3) as proxy:
        yield proxy


@pytest.fixture
def objects(faults: StoreFaults, s3: S3Server) -> CloudObjects:
    objects = CloudObjects(parse_location(faults.url(s3.make_bucket(), "folder")))
    objects.put(OLD, [CONTENT])
    return objects


class TestOnce:
    """What goes wrong once is tried again and not told."""

    @pytest.mark.parametrize(
        "fault",
        [SLOW_DOWN, Says(503, "SlowDown", {"retry-after": "1"}), Says(500), Says(500, after=True),
         Says(429, "TooManyRequests"), Resets(), Resets(after=True)],
        ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'status', '')}",
    )  # fmt: skip
    @pytest.mark.parametrize("work", WORKS)
    def test_it_is_done_all_the_same(self, faults, objects, work: str, fault: Fault) -> None:
        faults.breaks(fault, times=1)

        WORKS[work](objects)

        assert faults.broken_count == 1
        faults.mend()
        assert objects.read(OLD, [(0, len(CONTENT))]) == [CONTENT]
        if work.startswith("put"):
            assert objects.read(NEW, [(0, len(CONTENT))]) == [CONTENT]

    @pytest.mark.parametrize("length", [0, 1, 1_000])
    def test_a_body_that_ends_early_is_read_again(self, faults, objects, length: int) -> None:
        faults.breaks(Truncates(length), methods="GET", times=1)

        assert objects.read(OLD, [(0, len(CONTENT))]) == [CONTENT]
        faults.breaks(Truncates(length), methods="GET", times=1)
        assert {stat.name for stat in objects.iter_names()} == {OLD}
        assert faults.broken_count == 2

    def test_a_slow_body_is_waited_for(self, faults, objects) -> None:
        faults.breaks(Slows(0.05), methods="GET")

        assert objects.read(OLD, [(0, len(CONTENT))]) == [CONTENT]
        assert [stat.length_bytes for stat in objects.iter_names()] == [len(CONTENT)]


class TestForLong:
    """What stays wrong is told in the port's words after a bounded time, and nothing is left."""

    @pytest.mark.parametrize(
        ("fault", "error", "word"),
        [
            (Says(500), ObjectStoreAway, "500 Internal Server Error"),
            (Resets(), ObjectStoreAway, "does not answer"),
            (WRONG_CREDENTIALS, ObjectStoreAway, "403 Forbidden"),
            (STORE_FULL, ObjectStoreFull, "507 Insufficient Storage"),
        ],
        ids=["500", "reset", "403", "507"],
    )
    @pytest.mark.parametrize("work", WORKS)
    def test_it_is_told(self, faults, objects, work: str, fault, error, word: str) -> None:
        faults.breaks(fault)

        with pytest.raises(error, match=word) as caught:
            WORKS[work](objects)

        assert caught.value.retryable
        assert caught.value.advice
        # An address is the operator's business, and this goes to devices.
        assert "127.0.0.1" not in caught.value.message
        assert "RetryError" not in caught.value.message
        faults.mend()
        assert [stat.name for stat in objects.iter_names()] == [OLD]
        assert objects.read(OLD, [(0, len(CONTENT))]) == [CONTENT]
        WORKS[work](objects)

    @pytest.mark.parametrize("work", sorted(WORKS.keys() - {"look"}))
    def test_a_bucket_that_went_away_is_no_missing_object(self, faults, objects, work) -> None:
        faults.breaks(NO_BUCKET)

        with pytest.raises(ObjectStoreAway, match="404 Not Found, NoSuchBucket"):
            WORKS[work](objects)

    def test_a_quota_is_no_matter_of_rights(self, faults, objects) -> None:
        faults.breaks(QUOTA_EXCEEDED, methods="PUT")

        with pytest.raises(ObjectStoreFull) as caught:
            objects.put(NEW, [CONTENT])
        assert "quota" in caught.value.advice
        assert objects.read(OLD, [(0, 3)]) == [CONTENT[:3]]

    def test_bodies_that_always_end_early_are_told(self, faults, objects) -> None:
        faults.breaks(Truncates(1_000), methods="GET")

        with pytest.raises(ObjectStoreAway):
            objects.read(OLD, [(0, len(CONTENT))])

    def test_of_many_puts_none_stays_if_one_fails(self, faults, objects) -> None:
        faults.breaks(Says(500), methods="PUT", within="/7")

        with pytest.raises(Unavailable):
            objects.put_many([(f"packs/cd/{number}", [CONTENT]) for number in range(10)])
        faults.mend()
        assert [stat.name for stat in objects.iter_names()] == [OLD]


class TestAtTheStart:
    """A store that cannot be used is told before anything is served."""

    @pytest.mark.parametrize(
        ("fault", "word"),
        [
            (Says(500), "500 Internal Server Error"),
            (SLOW_DOWN, "503 Service Unavailable, SlowDown"),
            (Resets(), "does not answer"),
            (WRONG_CREDENTIALS, "403 Forbidden, InvalidAccessKeyId"),
            (NO_BUCKET, "404 Not Found, NoSuchBucket"),
        ],
        ids=["500", "503", "reset", "403", "404"],
    )
    @pytest.mark.parametrize("methods", ["GET", "PUT"])
    def test_it_is_told(self, faults, s3, methods: str, fault: Fault, word: str) -> None:
        faults.breaks(fault, methods=methods)

        with pytest.raises(StoreUnusable, match=word) as caught:
            CloudObjects(parse_location(faults.url(s3.make_bucket())))
        assert "s3://bucket-" in caught.value.message
        assert caught.value.advice

    @pytest.mark.parametrize(
        ("methods", "within"),
        [("GET", "list-type"), ("PUT", ".probe-"), ("GET", ".probe-"), ("POST", "?delete")],
        ids=["list", "put", "get", "delete"],
    )
    def test_credentials_that_do_not_suffice_are_told(self, faults, s3, methods, within) -> None:
        faults.breaks(Says(403, "AccessDenied"), methods=methods, within=within)

        with pytest.raises(StoreUnusable, match=r"403.*AccessDenied") as caught:
            CloudObjects(parse_location(faults.url(s3.make_bucket())))
        assert "rights" in caught.value.advice

    def test_a_full_store_can_still_be_read(self, faults, s3) -> None:
        bucket = s3.make_bucket()
        CloudObjects(parse_location(s3.url(bucket))).put(OLD, [CONTENT])
        faults.breaks(STORE_FULL, methods="PUT")

        objects = CloudObjects(parse_location(faults.url(bucket)))

        assert objects.read(OLD, [(0, 9)]) == [CONTENT[:9]]

    def test_what_a_probe_puts_does_not_stay(self, faults, s3) -> None:
        bucket = s3.make_bucket()
        CloudObjects(parse_location(faults.url(bucket)))

        assert [method for method, _ in faults.asked].count("PUT") == 2
        assert s3.list_names(bucket) == []


class TestParts:
    """The server's own signed requests."""

    @pytest.fixture
    def signing(self, faults, s3):
        url = faults.url(s3.make_bucket())
        clock = SystemClock()
        return CloudObjects(parse_location(url), environment=S3_CREDENTIALS, clock=clock).signing

    @pytest.mark.parametrize(
        "fault",
        [SLOW_DOWN, Says(503, "SlowDown", {"retry-after": "0"}), Resets(), Truncates(10)],
        ids=lambda fault: type(fault).__name__,
    )
    def test_they_are_tried_again(self, faults, signing, fault: Fault) -> None:
        faults.breaks(fault, times=1)

        upload = signing.begin_parts(NEW)

        assert faults.broken_count == 1
        faults.breaks(fault, times=1)
        assert signing.list_parts(NEW, upload) == []
        assert faults.broken_count == 2

    def test_no_longer_than_is_bounded(self, faults, signing) -> None:
        faults.breaks(Says(503, "SlowDown", {"retry-after": "3600"}))

        with pytest.raises(ObjectStoreAway, match="503"):
            signing.begin_parts(NEW)
        assert faults.broken_count == 1

    def test_a_full_store_and_a_missing_bucket_are_told(self, faults, signing) -> None:
        faults.breaks(STORE_FULL)
        with pytest.raises(ObjectStoreFull):
            signing.begin_parts(NEW)
        faults.breaks(NO_BUCKET)
        with pytest.raises(ObjectStoreAway):
            signing.list_parts(NEW, "upload")


class TestEncryption:
    """What the provider should encrypt is asked for, and looked at."""

    UNTOLD = Forgets(frozenset({"x-amz-server-side-encryption"}))

    def open(self, faults, bucket: str, query: str = "") -> CloudObjects:
        location = parse_location(f"{faults.url(bucket)}{query}")
        return CloudObjects(location, environment=S3_CREDENTIALS, clock=SystemClock())

    @pytest.mark.parametrize(
        ("query", "kind", "key"),
        [
            ("", "AES256", None),
            ("&encryption=AES256", "AES256", None),
            ("&encryption=aws:kms", "aws:kms", None),
            ("&encryption=aws:kms&kms_key=abc-1", "aws:kms", "abc-1"),
        ],
    )
    def test_puts_of_all_kinds_ask_for_it(self, faults, s3, query, kind, key) -> None:
        bucket = s3.make_bucket()
        objects = self.open(faults, bucket, query)
        objects.put(OLD, [CONTENT])
        signing = objects.signing
        assert signing is not None
        self.send(signing.sign_put(NEW, 1, sha256(b"1").digest(), 60))
        upload = signing.begin_parts(IN_PARTS)
        self.send(signing.sign_part(IN_PARTS, upload, 1, 1, sha256(b"1").digest(), 60))
        signing.complete_parts(IN_PARTS, upload, signing.list_parts(IN_PARTS, upload))

        for name in (OLD, NEW, IN_PARTS):
            told = s3.head(bucket, name)
            assert told["x-amz-server-side-encryption"] == kind
            assert key is None or told["x-amz-server-side-encryption-aws-kms-key-id"] == key

    def send(self, signed: SignedRequest) -> None:
        headers = {"content-type": "application/octet-stream", **signed.headers}
        sent = Request(signed.url, b"1", headers, method=signed.method)
        with urlopen(sent) as answer:
            assert answer.status == 200

    def test_a_store_that_does_not_is_told_at_the_start(self, faults, s3) -> None:
        faults.breaks(self.UNTOLD, methods="GET")

        bucket = s3.make_bucket()
        with pytest.raises(StoreUnusable, match="AES256") as caught:
            self.open(faults, bucket)
        assert "encryption=none" in caught.value.advice
        assert s3.list_names(bucket) == []
        self.open(faults, bucket, "&encryption=none").put(OLD, [CONTENT])
        assert "x-amz-server-side-encryption" not in s3.head(bucket, OLD)

    def test_a_store_that_refuses_it_is_told_what_to_do(self, faults, s3) -> None:
        faults.breaks(Says(400, "InvalidRequest_KMS_is_not_configured"), methods="PUT")

        with pytest.raises(StoreUnusable) as caught:
            self.open(faults, s3.make_bucket())
        assert "encryption=none" in caught.value.advice

    def test_a_store_that_stops_doing_it_is_noticed(self, faults, s3, monkeypatch) -> None:
        monkeypatch.setattr("drystone.server.storage.objects_cloud.cloud.LOOKED_AT_EACH", 3)
        bucket = s3.make_bucket()
        objects = self.open(faults, bucket)
        faults.breaks(self.UNTOLD, methods="GET")

        for number in range(2):
            objects.put(f"packs/ab/{number}", [CONTENT])
        with pytest.raises(NotEncrypted) as caught:
            objects.put("packs/ab/2", [CONTENT])
        assert caught.value.retryable
        assert s3.list_names(bucket) == ["packs/ab/0", "packs/ab/1"]

    def test_a_store_that_has_no_encryption_is_told(self, strict_s3, monkeypatch) -> None:
        for name, value in S3_CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        url = strict_s3.url(strict_s3.make_bucket())

        with pytest.raises(StoreUnusable, match="keeps objects with none"):
            CloudObjects(parse_location(url.replace("&encryption=none", "")))
        CloudObjects(parse_location(url)).put(OLD, [CONTENT])

    def test_azure_tells_that_it_does(self, azure_url) -> None:
        CloudObjects(parse_location(azure_url)).put(OLD, [CONTENT])

        with pytest.raises(StoreUnusable, match="scope mine"):
            CloudObjects(parse_location(f"{azure_url}&encryption_scope=mine"))
