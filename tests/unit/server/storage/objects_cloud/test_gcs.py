# SPDX-License-Identifier: Apache-2.0
"""Signatures for Google's store: the same as the library's, and about what has to be signed."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from obstore.store import GCSStore

from drystone.core.instant import NS_PER_S
from drystone.server.storage.objects_cloud.asking import StoreAsker
from drystone.server.storage.objects_cloud.gcs import find_service_account
from drystone.server.storage.objects_cloud.location import parse_location
from drystone.server.storage.objects_cloud.signers import make_signing
from drystone.server.storage.objects_cloud.trouble import StoreUnusable
from drystone.server.storage.objects_cloud.v4 import make_google_signer

EMAIL = "drystone@project.iam.gserviceaccount.com"
KEY = generate_private_key(65_537, 2_048)
LOCATION = parse_location("gs://bucket/some/folder")
ASKER = StoreAsker(verifies=True, retry_s=1)
NAME = "packs/ab/abcd"


class FixedClock:
    def now_ns(self) -> int:
        return 1_369_353_600 * NS_PER_S  # 2013-05-24 00:00 UTC


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key": pem,
        "private_key_id": "1",
        "client_id": "1",
        "token_uri": "https://oauth2.example/token",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}


def test_a_signature_is_that_of_the_library(environment) -> None:
    store = GCSStore("bucket", service_account=environment["GOOGLE_APPLICATION_CREDENTIALS"])
    theirs = obstore.sign(store, "GET", "a b/~c", timedelta(seconds=60))
    query = parse_qs(urlsplit(theirs).query)
    moment = datetime.strptime(query["X-Goog-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    now_ns = int(moment.timestamp()) * NS_PER_S
    url = "https://storage.googleapis.com/bucket/a%20b/~c"
    ours = make_google_signer(EMAIL, KEY).sign("GET", url, {}, {}, now_ns=now_ns, lasts_s=60)

    assert urlsplit(ours.url).path == urlsplit(theirs).path
    assert parse_qs(urlsplit(ours.url).query) == query


def test_range_length_and_condition_are_signed(environment) -> None:
    signing = make_signing(LOCATION, environment, FixedClock(), ASKER, puts_once=True)
    assert signing is not None
    put = signing.sign_put(NAME, 5, sha256(b"hello").digest(), 60)
    get = signing.sign_get(NAME, 95, 20, 60)

    assert get.headers == {"range": "bytes=95-114"}
    assert put.headers == {
        "content-length": "5",
        "x-goog-content-length-range": "5,5",
        "x-goog-if-generation-match": "0",
    }
    assert get.url.startswith(
        "https://storage.googleapis.com/bucket/some/folder/packs/ab/abcd?X-Goog-Algorithm="
    )
    for request, path in ((put, "PUT"), (get, "GET")):
        check_signature(request, path)


def check_signature(request, method: str) -> None:
    """Builds what is signed by Google's description, and asks the public key."""
    address = urlsplit(request.url)
    text, _, signature = address.query.rpartition("&X-Goog-Signature=")
    headers = {"host": "storage.googleapis.com", **request.headers}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = f"{method}\n{address.path}\n{text}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    scope = "20130524/auto/storage/goog4_request"
    hashed = sha256(asked.encode()).hexdigest()
    said = f"GOOG4-RSA-SHA256\n20130524T000000Z\n{scope}\n{hashed}"
    KEY.public_key().verify(bytes.fromhex(signature), said.encode(), PKCS1v15(), SHA256())


def test_without_a_service_accounts_key_nothing_is_signed(tmp_path) -> None:
    path = tmp_path / "user.json"
    path.write_text(json.dumps({"type": "authorized_user", "refresh_token": "x"}))

    assert make_signing(LOCATION, {}, FixedClock(), ASKER, puts_once=True) is None
    given = {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    assert find_service_account(LOCATION, given) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"private_key": "x", "client_email": "y"}'], ids=repr
)
def test_a_file_that_is_no_account_is_told(tmp_path, text: str) -> None:
    path = tmp_path / "account.json"
    path.write_text(text)

    with pytest.raises(StoreUnusable) as caught:
        find_service_account(LOCATION, {"GOOGLE_SERVICE_ACCOUNT": str(path)})
    assert str(path) in caught.value.message


def test_a_missing_file_is_told(tmp_path) -> None:
    with pytest.raises(StoreUnusable):
        find_service_account(LOCATION, {"GOOGLE_SERVICE_ACCOUNT": str(tmp_path / "none")})
