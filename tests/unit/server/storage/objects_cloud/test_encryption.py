# SPDX-License-Identifier: Apache-2.0
"""What an address asks of a provider's encryption, and what counts as having got it."""

import pytest

from drystone.server.storage.objects_cloud.encryption import Encryption, parse_encryption
from drystone.server.storage.objects_cloud.location import parse_location
from drystone.server.storage.objects_cloud.trouble import StoreUnusable

KIND = "x-amz-server-side-encryption"
KEY = "x-amz-server-side-encryption-aws-kms-key-id"
ARN = "arn:aws:kms:eu-central-1:1:key/abc-1"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://b", Encryption("AES256", "")),
        ("s3://b?encryption=AES256", Encryption("AES256", "")),
        ("s3://b?encryption=aws:kms", Encryption("aws:kms", "")),
        ("s3://b?encryption=aws:kms&kms_key=abc", Encryption("aws:kms", "abc")),
        ("s3://b?encryption=aws:kms:dsse&kms_key=abc", Encryption("aws:kms:dsse", "abc")),
        ("s3://b?encryption=none", Encryption("none", "")),
        ("az://c", Encryption("always", "")),
        ("az://c?encryption_scope=mine", Encryption("scope", "mine")),
        ("az://c?encryption=none", Encryption("none", "")),
        ("gs://b", Encryption("none", "")),
    ],
)
def test_an_address_says_what_is_asked_for(address: str, expected: Encryption) -> None:
    assert parse_encryption(parse_location(address)) == expected


@pytest.mark.parametrize(
    "address",
    [
        "s3://b?encryption=aes256",
        "s3://b?encryption=sse-c",
        "s3://b?kms_key=abc",
        "s3://b?encryption=AES256&kms_key=abc",
        "s3://b?encryption_scope=mine",
        "s3://b?server_side_encryption=AES256",
        "az://c?encryption=AES256",
        "az://c?encryption=none&encryption_scope=mine",
        "gs://b?kms_key=abc",
    ],
)
def test_what_there_is_not_is_refused(address: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        parse_encryption(parse_location(address))
    assert "encryption=AES256" in caught.value.advice


@pytest.mark.parametrize(
    ("asked", "told", "word"),
    [
        (Encryption("AES256", ""), {KIND: "AES256"}, ""),
        (Encryption("AES256", ""), {}, "none"),
        (Encryption("AES256", ""), {KIND: "aws:kms"}, "aws:kms"),
        (Encryption("aws:kms", ""), {KIND: "AES256"}, "AES256"),
        (Encryption("aws:kms", ""), {KIND: "aws:kms", KEY: ARN}, ""),
        (Encryption("aws:kms", "abc-1"), {KIND: "aws:kms", KEY: ARN}, ""),
        (Encryption("aws:kms", ARN), {KIND: "aws:kms", KEY: ARN}, ""),
        (Encryption("aws:kms", "alias/mine"), {KIND: "aws:kms", KEY: ARN}, ""),
        (Encryption("aws:kms", "other"), {KIND: "aws:kms", KEY: ARN}, "not with other"),
        (Encryption("aws:kms", "abc-1"), {KIND: "aws:kms"}, "none told"),
        (Encryption("none", ""), {}, ""),
        (Encryption("always", ""), {"x-ms-server-encrypted": "true"}, ""),
        (Encryption("always", ""), {}, "does not say"),
        (Encryption("scope", "m"), {"x-ms-server-encrypted": "true"}, "no scope"),
        (
            Encryption("scope", "m"),
            {"x-ms-server-encrypted": "true", "x-ms-encryption-scope": "m"},
            "",
        ),
    ],
)
def test_what_a_store_tells_is_compared(asked: Encryption, told: dict, word: str) -> None:
    fault = asked.find_fault(told)

    assert bool(fault) == bool(word)
    assert word in fault


def test_a_puts_headers_and_the_librarys_options_ask_for_the_same() -> None:
    asked = Encryption("aws:kms", "abc")

    assert asked.put_headers == {KIND: "aws:kms", KEY: "abc"}
    assert asked.store_options == {"server_side_encryption": "aws:kms", "sse_kms_key_id": "abc"}
    for other in (Encryption("none", ""), Encryption("scope", "m"), Encryption("always", "")):
        assert other.put_headers == other.store_options == {}
