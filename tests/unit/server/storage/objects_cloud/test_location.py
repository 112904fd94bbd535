# SPDX-License-Identifier: Apache-2.0

import pytest

from drystone.server.storage.objects_cloud import StoreUnusable, parse_location
from drystone.server.storage.objects_cloud.location import RETRY_S, find_retry_s


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("az://container/a/b/", "az://container/a/b"),
        ("gs://my.bucket/folder?base_url=https://x", "gs://my.bucket/folder"),
    ],
)
def test_an_address_names_a_place(url: str, shown: str) -> None:
    assert parse_location(url).shown == shown


def test_what_stands_behind_the_question_mark_is_for_the_stores_client() -> None:
    location = parse_location("s3://b/f?endpoint=http://127.0.0.1:9000&allow_http=true")

    assert location.options == {"endpoint": "http://127.0.0.1:9000", "allow_http": "true"}


@pytest.mark.parametrize(
    "url",
    ["", "bucket", "ftp://bucket/x", "s3://", "s3:///folder", "s3://user:pw@bucket", "s3://b/f#x"],
)
def test_what_names_no_place_is_refused(url: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        parse_location(url)
    assert "pw" not in f"{caught.value}"
    assert caught.value.advice


@pytest.mark.parametrize("name", ["secret_access_key", "account_key", "sas_token", "token"])
def test_a_secret_does_not_belong_into_an_address(name: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        parse_location(f"s3://bucket/folder?{name}=hush")
    assert "hush" not in f"{caught.value} {caught.value.advice}"
    assert name in caught.value.message


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "301", "nan", "inf"])
def test_how_long_to_try_again_is_bounded(text: str) -> None:
    with pytest.raises(StoreUnusable, match="retry_s"):
        find_retry_s(parse_location(f"s3://bucket?retry_s={text}"))


def test_how_long_to_try_again_may_be_said() -> None:
    assert find_retry_s(parse_location("s3://bucket?retry_s=2.5")) == 2.5
    assert find_retry_s(parse_location("s3://bucket")) == RETRY_S


def test_the_name_of_a_key_is_no_secret() -> None:
    assert parse_location("s3://bucket?kms_key=abc").options == {"kms_key": "abc"}


@pytest.mark.parametrize("key", ["endpoint", "aws_endpoint_url", "base_url"])
@pytest.mark.parametrize(
    "text", ["minio", "minio:9000", "://x", "https://", "ftp://x", "https://a:b@x", "http://x:y"]
)
def test_a_store_s_own_address_has_to_be_one(key: str, text: str) -> None:
    """The library panics over some, and tries others for half a minute."""
    with pytest.raises(StoreUnusable, match=f"its {key} is no address"):
        parse_location(f"s3://bucket?{key}={text}&allow_http=true")


def test_that_it_may_be_without_tls_has_to_be_said() -> None:
    with pytest.raises(StoreUnusable, match="without TLS") as caught:
        parse_location("s3://bucket?endpoint=http://127.0.0.1:9000")
    assert "allow_http" in caught.value.advice
    assert parse_location("s3://bucket?endpoint=https://minio.example:9000").options
