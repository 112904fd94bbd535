# SPDX-License-Identifier: Apache-2.0
"""Where a bucket is: signed requests go where the library's own go."""

from datetime import timedelta

import obstore
import pytest
from obstore.store import S3Store

from drystone.server.storage.objects_cloud.location import parse_location
from drystone.server.storage.objects_cloud.s3 import find_s3_place

KEYS = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "very-secret"}


@pytest.mark.parametrize(
    ("query", "environment"),
    [
        ("", {}),
        ("?region=eu-central-1", {"AWS_REGION": "us-west-2"}),
        ("", {"AWS_REGION": "us-west-2"}),
        ("", {"AWS_DEFAULT_REGION": "us-west-1"}),
        ("", {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-west-1"}),
        ("?virtual_hosted_style_request=true", {}),
        ("?virtual_hosted_style_request=true&region=x-1", {}),
        ("?endpoint=https://minio.example:9000/", {}),
        ("?aws_endpoint=https://minio.example/under", {}),
        ("?virtual_hosted_style_request=true&endpoint=https://b.minio.example", {}),
        ("", {"AWS_ENDPOINT_URL": "https://minio.example"}),
        ("?endpoint=https://other.example", {"AWS_ENDPOINT": "https://minio.example"}),
    ],
)
def test_requests_go_where_the_librarys_go(monkeypatch, query: str, environment: dict) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**KEYS, **environment}.items():
        monkeypatch.setenv(name, value)
    location = parse_location(f"s3://b/folder{query}")

    store = S3Store("b", config=dict(location.options))
    theirs = obstore.sign(store, "GET", "k", timedelta(seconds=60))
    place = find_s3_place(location, {**KEYS, **environment})

    assert theirs.partition("?")[0] == f"{place.url}/k"
    assert f"%2F{place.region}%2Fs3%2F" in theirs
    assert "very-secret" not in repr(place)
