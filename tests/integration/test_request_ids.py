# SPDX-License-Identifier: Apache-2.0
"""Request ids, and what a server's log holds of requests: enough to find them, and no secret."""

import asyncio
import json
import re
import time
import urllib.error
import urllib.request

import aiohttp
import pytest

from drystone.testing.real_devices import RealDevice
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def talkative(tmp_path_factory):
    """A server that logs all it can, behind a proxy at 127.0.0.1."""
    environment = {
        **CHEAP_PASSWORDS,
        "DRYSTONE_SERVER_LOG_LEVEL": "debug",
        "DRYSTONE_SERVER_LOG_FORMAT": "json",
        "DRYSTONE_SERVER_TRUSTED_PROXIES": "127.0.0.1",
    }
    folder = tmp_path_factory.mktemp("talkative")
    with ServerProcess(folder / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        yield server


def ask(server, path, *, headers=(), method="GET", body=None):
    """Returns status, headers and body of one request."""
    request = urllib.request.Request(
        server.url + path, method=method, headers=dict(headers), data=body
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def read_lines(server):
    return [json.loads(x) for x in server.read_log().splitlines() if x.startswith('{"')]


def lines_of(server, request_id):
    """Returns the lines of a request; the last one is written after the answer was sent."""
    deadline = time.monotonic() + 120
    while True:
        lines = [line for line in read_lines(server) if line.get("request_id") == request_id]
        if "request.ended" in {line["event"] for line in lines} or time.monotonic() > deadline:
            return lines
        time.sleep(0.02)


def test_the_proxys_request_id_is_in_header_problem_and_log(talkative):
    status, headers, body = ask(talkative, "/v1/account", headers={"X-Request-Id": "edge-17"})
    problem = json.loads(body)

    assert status == 401
    assert headers["Request-Id"] == problem["request_id"] == "edge-17"
    lines = lines_of(talkative, "edge-17")
    assert [line["event"] for line in lines] == ["request.refused", "request.ended"]
    assert {line["route"] for line in lines} == {"/v1/account"}


def test_a_request_id_that_is_no_word_is_replaced(talkative):
    _, headers, _ = ask(talkative, "/v1/health", headers={"Request-Id": "a b;c"})

    assert re.fullmatch("[0-9a-f]{16}", headers["Request-Id"])


def test_without_a_trusted_proxy_the_callers_id_is_not_taken(shared_server):
    _, headers, _ = ask(shared_server, "/v1/health", headers={"Request-Id": "mine"})

    assert headers["Request-Id"] != "mine"


def test_lines_of_a_request_tell_device_and_namespace(talkative, tmp_path):
    device = RealDevice(tmp_path / "laptop", talkative.url, "anna", "laptop")
    device.folder.mkdir(parents=True)
    device.log_in()
    device.write("a", b"x" * 5_000)
    device.sync()
    route = "/v1/namespaces/{namespace}/commits"
    commits = [line for line in read_lines(talkative) if line.get("route") == route]

    assert commits
    for line in commits:
        assert re.fullmatch("[0-9a-f]{32}", line["device"])
        assert re.fullmatch("[0-9a-f]{32}", line["account"])
        assert re.fullmatch("[0-9a-f]{32}", line["namespace"])


def test_no_secret_comes_into_the_log_wherever_it_is_put(talkative):
    """Secrets where callers put them: each place has its own, so that a leak tells where."""
    places = {}

    def secret(place):
        places[place] = f"S3cr3t-{len(places)}-{place}"
        return places[place]

    ask(talkative, f"/v1/changes?namespace={secret('query')}&token={secret('token')}")
    ask(talkative, f"/v1/namespaces/{secret('id')}/entries?path={secret('path')}")
    ask(talkative, f"/v1/{secret('route')}")
    ask(talkative, "/v1/health", headers={"Drystone-Protocol": secret("protocol")})
    ask(talkative, "/v1/account", headers={"Authorization": f"Bearer {secret('bearer')}"})
    ask(talkative, "/v1/account", headers={"Authorization": f"Basic {secret('basic')}"})
    ask(talkative, "/v1/account", headers={"Cookie": f"session={secret('cookie')}"})
    ask(talkative, "/v1/account", headers={"Referer": f"https://x/?t={secret('referer')}"})
    ask(talkative, "/v1/account", headers={"X-Request-Id": f"{secret('request')} no word"})
    ask(talkative, "/v1/health", method="DELETE", headers={"User-Agent": secret("agent")})
    for body in (
        {"account": "anna", "password": secret("password"), "device_name": secret("device")},
        {"account": secret("account"), "password": secret("other"), "device_name": "x"},
        {"password": secret("malformed")},
        secret("text"),
    ):
        sent = json.dumps(body).encode()
        ask(talkative, "/v1/devices", method="POST", body=sent,
            headers={"Content-Type": "application/json"})  # fmt: skip
    asyncio.run(_break_bells(talkative.url, secret))
    log = talkative.read_log()

    assert len(places) >= 15
    assert not [place for place, value in places.items() if value in log]
    assert PASSWORD not in log


async def _break_bells(url, secret):
    async with aiohttp.ClientSession() as session:
        for query in (f"namespace={secret('bell')}", ""):
            headers = {"Authorization": f"Bearer {secret('ring')}"}
            with pytest.raises(aiohttp.ClientError):
                await session.ws_connect(f"{url}/v1/bell?{query}", headers=headers)
