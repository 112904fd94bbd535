# SPDX-License-Identifier: Apache-2.0
"""Signatures of version 4: Amazon's own example, and another's implementation of the same."""

from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.instant import NS_PER_S
from drystone.server.storage.objects_cloud.v4 import make_s3_signer

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MOMENT_S = 1_369_353_600  # 2013-05-24 00:00 UTC


def test_amazons_example_of_a_signed_get() -> None:
    signer = make_s3_signer(KEY_ID, SECRET, "", "us-east-1")

    signed = signer.sign(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        {},
        {},
        now_ns=MOMENT_S * NS_PER_S,
        lasts_s=86_400,
    )

    query = dict(parse_qsl(urlsplit(signed.url).query))
    assert query["X-Amz-Signature"] == (
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    assert signed.expires_s == MOMENT_S + 86_400


PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(["range", "content-length", "if-none-match", "x-amz-checksum-sha256"]),
    PRINTABLE,
)
QUERIES = st.dictionaries(
    st.sampled_from(["uploads", "partNumber", "uploadId", "A", "z~"]), st.text(max_size=20)
)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    key=st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1),
    headers=HEADERS,
    query=QUERIES,
    token=st.sampled_from(["", "IQoJb3JpZ2luX2VjEA//+=="]),
    port=st.sampled_from(["", ":8443"]),
)
def test_signatures_are_those_of_amazons_own_client(
    method: str, key: str, headers: dict, query: dict, token: str, port: str
) -> None:
    url = f"https://store.example{port}/bucket/{quote(key, safe='/-_.~')}"
    signer = make_s3_signer(KEY_ID, SECRET, token, "eu-central-1")

    signed = signer.sign(method, url, headers, query, now_ns=MOMENT_S * NS_PER_S, lasts_s=300)

    theirs = sign_with_botocore(method, url, headers, query, token)
    assert sorted(parse_qsl(urlsplit(signed.url).query)) == sorted(parse_qsl(theirs))


def sign_with_botocore(method: str, url: str, headers: dict, query: dict, token: str) -> str:
    """Returns the query, blank parameters left out as in what it is compared with."""
    credentials = Credentials(KEY_ID, SECRET, token or None)
    auth = S3SigV4QueryAuth(credentials, "s3", "eu-central-1", expires=300)
    # The host as it stands in the address; botocore takes it from the same.
    text = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in query.items())
    request = AWSRequest(method=method, url=f"{url}?{text}" if text else url, headers=headers)
    request.context["timestamp"] = "20130524T000000Z"
    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda: __import__("datetime").datetime(2013, 5, 24)
    try:
        auth.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = real
    return urlsplit(request.url).query


def test_nothing_that_is_shown_holds_a_secret() -> None:
    signer = make_s3_signer(KEY_ID, SECRET, "token", "us-east-1")
    signed = signer.sign("GET", "https://h/b/k", {}, {}, now_ns=0, lasts_s=1)

    assert SECRET not in repr(signer)
    assert repr(signed) == "SignedRequest(GET https://h/b/k, expires_s=1)"
