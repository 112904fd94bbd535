# SPDX-License-Identifier: Apache-2.0

import pytest

from drystone.server.faces.http.proxies import REQUEST_ID_KEY, BehindProxies

pytestmark = pytest.mark.asyncio


async def call(headers, *, client="10.0.0.1", trusted=("10.0.0.0/8",)):
    """Returns the scope that reaches the app inside."""
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    scope = {
        "type": "http",
        "client": (client, 1),
        "scheme": "http",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    await BehindProxies(app, trusted)(scope, None, None)
    return scopes[0]


@pytest.mark.parametrize("header", ["request-id", "x-request-id"])
async def test_the_request_id_of_a_trusted_proxy_is_taken(header):
    assert (await call({header: "abc-1.2_x"}))[REQUEST_ID_KEY] == "abc-1.2_x"


async def test_the_request_id_of_anybody_else_is_not():
    scope = await call({"request-id": "abc", "x-forwarded-for": "1.2.3.4"}, client="8.8.8.8")

    assert REQUEST_ID_KEY not in scope
    assert scope["client"] == ("8.8.8.8", 1)


@pytest.mark.parametrize("given", ["", "a b", "a\nb", "-a", "x" * 65, "ä", 'a"b', "a;b"])
async def test_only_a_plain_word_is_taken(given):
    assert REQUEST_ID_KEY not in await call({"request-id": given})


async def test_the_callers_address_comes_from_the_trusted_proxy():
    scope = await call({"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"})

    assert (scope["client"][0], scope["scheme"]) == ("1.2.3.4", "https")
