# SPDX-License-Identifier: Apache-2.0

import pytest
from starlette.requests import HTTPConnection

from drystone.server.faces.http.auth import address_of, find_bearer_token


def connect(*, authorization=None, host="127.0.0.1"):
    headers = [(b"authorization", authorization.encode())] if authorization is not None else []
    client = (host, 1) if host is not None else None
    return HTTPConnection({"type": "http", "headers": headers, "client": client})


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER abc", "abc"),
        ("Bearer ", None),
        ("Bearerabc", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_token_is_that_of_the_bearer_scheme(authorization, token):
    assert find_bearer_token(connect(authorization=authorization)) == token


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("not an address", "not an address"),
        (None, ""),
    ],
)
def test_ipv6_addresses_of_one_network_count_as_one(host, address):
    assert address_of(connect(host=host)) == address
