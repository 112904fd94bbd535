# SPDX-License-Identifier: Apache-2.0
"""Bad input: garbage in place of JSON, messages that would burst, forged cursors, both ways."""

import json
import sqlite3
from contextlib import closing

import aiohttp
import pytest

from drystone.core import limits
from drystone.core.content import zstd
from drystone.core.errors import DrystoneError
from drystone.testing.answers import FalseServer
from drystone.testing.real_devices import RealDevice, converge

JSON = {"Content-Type": "application/json"}
PACKED = {**JSON, "Content-Encoding": "zstd"}
PROBLEM = {"Content-Type": "application/problem+json"}
BOMB_BYTES = 8 * limits.REQUEST_JSON_BYTES_MAX


def page(**changed):
    whole = {"entries": [], "gone": [], "cursor": "c", "head": 5, "has_more": False, "reset": False}
    return json.dumps({**whole, **changed}).encode()


GARBAGE = {
    "half": (200, JSON, b"{"),
    "list": (200, JSON, b"[]"),
    "null": (200, JSON, b"null"),
    "empty": (200, JSON, b""),
    "no-content": (204, {}, b""),
    "wrong-type": (200, JSON, b'{"entries": 7}'),
    "wrong-id": (200, JSON, page(entries=[{"id": "AAAA"}])),
    "not-utf8": (200, JSON, b"\xff\xfe"),
    "deep": (200, JSON, b"[" * 100_000),
    "other-media": (200, {"Content-Type": "text/html"}, page()),
    "not-zstd": (200, PACKED, b"junk"),
    "unknown-coding": (200, {**JSON, "Content-Encoding": "br"}, b"junk"),
    "bomb": (200, PACKED, zstd.compress(bytes(BOMB_BYTES), 1)),
    "half-problem": (500, PROBLEM, b"{"),
    "plain-error": (500, {"Content-Type": "text/plain"}, b"oops"),
    "elsewhere": (302, {"Location": "http://127.0.0.1:1/"}, b""),
}


@pytest.fixture
def pair(join, relay):
    """Two devices with one file; the second reaches the server over the relay."""
    one, two = join("one"), join("two", relay.url)
    one.write("kept", b"x")
    converge(one, two)
    return one, two


def sync_with_false_server(device, relay, status, headers, body):
    """Lets a false server answer one sync; returns the error and how often it was asked."""
    true_port = relay.server_port
    with FalseServer() as other:
        other.answer(status, body, headers)
        relay.server_port = other.port
        try:
            with pytest.raises(DrystoneError) as caught:
                device.sync()
        finally:
            relay.server_port = true_port
    assert caught.value.advice
    return caught.value, other.requests_count


# --- from the server ------------------------------------------------------------------------------


def test_garbage_of_any_kind_changes_nothing_and_is_over_with_it(pair, relay):
    one, two = pair
    two.write("new", b"not sent yet")
    before = two.look()
    for kind, (status, headers, body) in GARBAGE.items():
        error, asked_count = sync_with_false_server(two, relay, status, headers, body)

        assert error.code == "not-a-drystone-server", kind
        assert relay.url in error.message
        assert asked_count == 1, f"{kind}: nothing is gained by asking such a server again"
        assert two.look() == before, kind
    converge(two, one)
    assert one.read("new") == b"not sent yet"


def test_answer_that_would_burst_is_not_unpacked(pair, relay):
    _, two = pair
    status, headers, bomb = GARBAGE["bomb"]
    assert len(bomb) < 20_000
    error, _ = sync_with_false_server(two, relay, status, headers, bomb)

    assert error.code == "not-a-drystone-server"


@pytest.mark.parametrize("turn", [page(has_more=True), page(reset=True), page(reset=True, head=-5)])
def test_server_that_leads_in_a_circle_is_not_followed(pair, relay, turn):
    one, two = pair
    one.write("later", b"y")
    one.sync()
    before = two.look()
    error, asked_count = sync_with_false_server(two, relay, 200, JSON, turn)

    assert error.code == "leads-nowhere"
    assert asked_count <= 10
    assert two.look() == before
    converge(one, two)
    assert two.read("later") == b"y"


# --- from a device --------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_garbage_from_a_device_is_refused_and_the_server_goes_on(shared_server):
    url = shared_server.url + "/v1/devices"
    bomb = zstd.compress(bytes(BOMB_BYTES), 1)
    told = []
    async with aiohttp.ClientSession() as plain:
        for body, headers in (
            (b"{", {}),
            (b"[" * 10_000, {}),
            (b"\xff\xfe", {}),
            (b"junk", {"Content-Encoding": "zstd"}),
            (bomb, {"Content-Encoding": "zstd"}),
        ):
            async with plain.post(url, data=body, headers={**JSON, **headers}) as response:
                problem = await response.json(content_type=None)
            told.append((response.status, problem["code"]))
            assert problem["detail"]
        async with plain.get(shared_server.url + "/v1/ready") as response:
            assert response.status == 200

    assert told[:4] == [(400, "malformed-message")] * 4
    assert told[4] in [(413, "message-too-large"), (413, "body-too-large")]


# --- cursors --------------------------------------------------------------------------------------


def forge_cursor(device, text):
    with closing(sqlite3.connect(device.control / "state.db")) as db, db:
        db.execute("UPDATE setting SET value = ? WHERE key = 'cursor'", (text,))


def test_forged_cursor_makes_the_device_read_anew_and_loses_nothing(join):
    one, two = join("one"), join("two")
    one.write("kept", b"x")
    one.write("gone-later", b"y")
    converge(one, two)
    (one.folder / "gone-later").unlink()
    one.write("new", b"z")
    one.sync()
    two.write("from-two", b"w")
    forge_cursor(two, "junk")
    converge(two, one)

    assert sorted(two.look()) == ["from-two", "kept", "new"]


def test_cursor_of_another_account_makes_the_device_read_anew(join, shared_server, tmp_path):
    one, two = join("one"), join("two")
    one.write("kept", b"x")
    converge(one, two)
    stranger = RealDevice(tmp_path / "stranger", shared_server.url, "bert", "stranger")
    stranger.log_in()
    stranger.sync()
    with closing(sqlite3.connect(stranger.control / "state.db")) as db:
        [(cursor,)] = db.execute("SELECT value FROM setting WHERE key = 'cursor'")
    assert cursor
    forge_cursor(two, cursor)
    one.write("new", b"y")
    converge(one, two)

    assert sorted(two.look()) == ["kept", "new"]


def test_server_that_lost_its_key_is_read_anew(server, tmp_path):
    one, two = (RealDevice(tmp_path / name, server.url, "anna", name) for name in ("one", "two"))
    for device in (one, two):
        device.log_in()
    one.write("kept", b"x")
    converge(one, two)
    port = server.port
    server.stop()
    (server.data_dir / "keys" / "cursor.key").unlink()
    server.start(port)
    one.write("new", b"y")
    converge(one, two)

    assert sorted(two.look()) == ["kept", "new"]
