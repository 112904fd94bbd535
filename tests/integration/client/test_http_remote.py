# SPDX-License-Identifier: Apache-2.0
"""What the client makes of a server's answers: retries, problems, bounds, bundles, the bell."""

import asyncio
import json

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from drystone.client.adapters.remote_http import (
    HttpRemote,
    HttpSession,
    NotDrystone,
    ServerAway,
    bell,
    list_devices,
    session,
    sign_in,
)
from drystone.client.adapters.remote_http.bundles import IncompleteBundle, WrongBlocks
from drystone.core.content import zstd
from drystone.core.content.coding import CorruptBlock
from drystone.core.content.frame import Codec, Frame, absent_frame
from drystone.core.content.hashing import block_id
from drystone.core.errors import Corrupt, Refused, Unavailable
from drystone.core.ids import ROOT_ID, NamespaceId, Seq
from drystone.core.limits import BLOCK_BYTES_MAX
from drystone.testing.blocks import frames_of, ids_of, make_noise
from drystone.wire.bundle import MEDIA_TYPE, BundleWriter
from drystone.wire.codec import MalformedMessage
from drystone.wire.problem import RemoteCorrupt, RemoteRefused, RemoteUnavailable

pytestmark = pytest.mark.asyncio

JSON = "application/json"
DEVICES = (200, JSON, b'{"devices": []}')
NAMESPACE = NamespaceId(b"\x07" * 16)


class Script:
    """A server that answers what it is told to, request after request; the last answer stays.

    An answer is (status, media type, body), a function that makes a response of a request, or
    None: the connection is cut.
    """

    def __init__(self):
        self.answers = []
        self.requests = []

    def say(self, *answers):
        self.answers, self.requests = list(answers), []

    async def answer(self, request):
        body = await request.read()
        self.requests.append((request.method, request.rel_url, request.headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            request.transport.abort()
            return web.Response()
        if callable(answer):
            return await answer(request)
        status, media_type, body = answer
        return web.Response(status=status, body=body, headers={"Content-Type": media_type})


@pytest.fixture
def script():
    return Script()


@pytest_asyncio.fixture
async def url(script):
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{rest:.*}", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    await runner.cleanup()


@pytest_asyncio.fixture
async def opened(url):
    opened = HttpSession(url, "secret-token", chance=lambda: 0.5)
    yield opened
    await opened.close()


@pytest.fixture
def remote(opened):
    return HttpRemote(opened, NAMESPACE)


@pytest.fixture
def waits(monkeypatch):
    """How long was waited between tries; no time passes."""
    waits = []
    sleep = asyncio.sleep

    async def note(wait_s):
        if wait_s:
            waits.append(round(wait_s, 3))
        await sleep(0)

    monkeypatch.setattr(session.asyncio, "sleep", note)
    return waits


def problem(status, *, code="some-code", retryable=False, retry_after_s=0.0):
    told = {
        "type": f"urn:drystone:problem:{code}", "title": "Title", "status": status, "code": code,
        "detail": "what happened", "advice": "what to do", "retryable": retryable,
        "retry_after_s": retry_after_s,
    }  # fmt: skip
    return status, "application/problem+json", json.dumps(told).encode()


async def collect(remote, names, into=None):
    found = [] if into is None else into
    async for group in remote.fetch_blocks([(name, None) for name in names], lambda _: None):
        found += group
    return found


def bundle(*frames, end=True):
    writer = BundleWriter()
    parts = [writer.begin()]
    for frame in frames:
        parts += writer.frame(frame)
    return 200, MEDIA_TYPE, b"".join([*parts, *([writer.end()] if end else [])])


# --- tries ----------------------------------------------------------------------------------------


async def test_what_may_be_repeated_is_tried_three_times(remote, script, waits):
    script.say(None, None, (200, JSON, b'{"missing": ""}'))
    assert await remote.ask([]) == []
    assert len(script.requests) == 3
    assert waits == [0.3, 0.9]

    script.say(None)
    with pytest.raises(ServerAway) as caught:
        await remote.ask([])
    assert len(script.requests) == 3
    assert caught.value.advice == "Try again in a moment."


async def test_server_that_asks_to_wait_is_given_that_time_unless_it_is_long(opened, script, waits):
    script.say(problem(503, retryable=True, retry_after_s=2.5), DEVICES)
    assert await list_devices(opened) == []
    assert waits == [2.5]

    script.say(problem(503, retryable=True, retry_after_s=30.0))
    with pytest.raises(RemoteUnavailable) as caught:
        await list_devices(opened)
    assert caught.value.retry_after_s == 30.0
    assert len(script.requests) == 1
    assert waits == [2.5]


async def test_sign_in_is_never_repeated(opened, script, waits):
    """Each one that succeeds makes another device, also if its answer is lost."""
    script.say(None, DEVICES)
    with pytest.raises(ServerAway):
        await sign_in(opened, "anna", "password", "laptop")

    assert len(script.requests) == 1
    assert waits == []


async def test_bundles_are_not_repeated_by_themselves(remote, script, waits):
    """They are long, and whoever sends them knows what arrived already."""

    async def frames():
        yield frames_of(make_noise(1))

    script.say(None)
    with pytest.raises(ServerAway):
        await remote.put_blocks(frames())
    with pytest.raises(ServerAway):
        await collect(remote, ids_of(make_noise(1)))
    assert len(script.requests) == 2
    assert waits == []


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
async def test_refusal_is_not_tried_again(opened, script, waits, status):
    script.say(problem(status))
    with pytest.raises((RemoteRefused, RemoteCorrupt)):
        await list_devices(opened)

    assert len(script.requests) == 1
    assert waits == []


# --- what answers mean ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "retryable", "family"),
    [
        (400, False, Refused),
        (401, False, Refused),
        (409, True, Unavailable),
        (422, False, Corrupt),
        (429, True, Unavailable),
        (500, True, Unavailable),
        (500, False, Corrupt),
        (503, True, Unavailable),
    ],
)
async def test_problem_keeps_its_code_and_comes_in_its_family(
    opened, script, waits, status, retryable, family
):
    script.say(problem(status, code="from-a-later-version", retryable=retryable))
    with pytest.raises(family) as caught:
        await list_devices(opened)

    assert caught.value.code == "from-a-later-version"
    assert (caught.value.message, caught.value.advice) == ("what happened", "what to do")


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_proxy_before_a_server_that_is_away_is_waited_for(opened, script, waits, status):
    script.say((status, "text/html", b"<h1>Bad gateway"), DEVICES)

    assert await list_devices(opened) == []
    assert len(script.requests) == 2


async def test_token_is_not_carried_to_where_a_redirect_points(opened, script):
    async def redirect(_):
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    script.say(redirect, DEVICES)
    with pytest.raises(NotDrystone):
        await list_devices(opened)

    [(_, path, headers, _)] = script.requests
    assert str(path) == "/v1/devices"
    assert headers["Authorization"] == "Bearer secret-token"


@pytest.mark.parametrize(("status", "media_type"), [(200, JSON), (500, "application/problem+json")])
async def test_answer_that_is_too_long_is_not_read_to_its_end(
    opened, script, monkeypatch, status, media_type
):
    monkeypatch.setattr(session, "REQUEST_JSON_BYTES_MAX", 1_000)
    monkeypatch.setattr(session, "_ERROR_BODY_BYTES_MAX", 1_000)
    sent = []

    async def endless(request):
        response = web.StreamResponse(status=status, headers={"Content-Type": media_type})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65_536)
                sent.append(65_536)
        except ConnectionError:
            return response

    script.say(endless)
    with pytest.raises(NotDrystone):
        await list_devices(opened)

    assert len(script.requests) == 1
    # Some of it was on its way: what the sockets' buffers and ours hold.
    assert sum(sent) < 64 << 20


async def test_answer_that_ends_too_early_is_asked_for_again(opened, script, waits):
    async def half(request):
        response = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"dev')
        request.transport.abort()
        return response

    script.say(half, DEVICES)
    assert await list_devices(opened) == []
    assert len(script.requests) == 2


async def test_server_that_says_nothing_is_given_up(opened, script):
    asked, is_over = asyncio.Event(), asyncio.Event()

    async def silence(_):
        asked.set()
        await is_over.wait()
        return web.Response()

    script.say(silence)
    with pytest.raises(ServerAway, match="does not answer in time"):
        await opened.request("GET", "/v1/health", silence_s_max=0.05).__aenter__()
    assert asked.is_set()
    is_over.set()


async def test_traffic_counts_both_directions(opened, script):
    script.say(DEVICES)
    before = opened.traffic()
    await list_devices(opened)
    after = opened.traffic()

    assert before == (0, 0, 0)
    assert after.requests_count == 1
    assert after.sent_bytes > 150
    assert after.received_bytes > len(DEVICES[2])


# --- bundles --------------------------------------------------------------------------------------


async def test_bundle_must_hold_what_was_asked_for(remote, script):
    blocks = make_noise(3)
    names, frames = ids_of(blocks), frames_of(blocks)
    wrong = {
        "another": (bundle(frames[1], frames[0], frames[2]), WrongBlocks),
        "too many": (bundle(*frames, frames[0]), WrongBlocks),
        "too few": (bundle(*frames[:2]), IncompleteBundle),
        "no end": (bundle(*frames, end=False), Unavailable),
        "nothing": ((200, MEDIA_TYPE, b""), Unavailable),
        "junk": ((200, MEDIA_TYPE, b"junk" * 100), Refused),
        "other media": ((200, JSON, b"{}"), NotDrystone),
        "no bundle": ((204, MEDIA_TYPE, b""), (NotDrystone, Unavailable)),
    }
    for kind, (answer, error) in wrong.items():
        script.say(answer)
        with pytest.raises(error):
            await collect(remote, names)
        assert len(script.requests) == 1, kind

    script.say(bundle(*frames))
    assert await collect(remote, names) == list(zip(names, blocks, strict=True))


async def test_blocks_before_the_break_are_whole_and_yielded(remote, script, monkeypatch):
    monkeypatch.setattr("drystone.client.adapters.remote_http.bundles._GROUP_BYTES", 1_000)
    # More than is buffered on the way, so that it comes in several pieces.
    blocks = make_noise(16, 1 << 20)
    status, media_type, body = bundle(*frames_of(blocks))

    async def half(request):
        response = web.StreamResponse(status=status, headers={"Content-Type": media_type})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        request.transport.close()
        return response

    script.say(half)
    found = []
    with pytest.raises(ServerAway):
        await collect(remote, ids_of(blocks), into=found)

    assert found
    assert found == list(zip(ids_of(blocks), blocks, strict=True))[: len(found)]


async def test_bad_block_is_a_value_and_others_go_on(remote, script):
    good = make_noise(1)[0]
    name = block_id(good)
    bomb = zstd.compress(bytes(64 << 20), 1)
    silent = bytearray(bomb)
    start = 5 + (not silent[4] >> 5 & 1)
    silent[start : start + 4] = (9_000).to_bytes(4, "little")
    never = b"\x11" * 32
    bad = {
        "corrupt-block": Frame(never, len(good), Codec.RAW, good),
        "decompression-bomb": Frame(never, BLOCK_BYTES_MAX, Codec.ZSTD, bomb),
        "bad-compression": Frame(never, 9_000, Codec.ZSTD, bytes(silent)),
        "missing-base": Frame(never, 9_000, Codec.DELTA, b"x", b"\x22" * 32),
    }
    for code, frame in bad.items():
        script.say(bundle(frame, *frames_of([good])))
        [(_, found), after] = await collect(remote, [never, name])

        assert isinstance(found, Corrupt)
        assert found.code == code
        assert after == (name, good)

    script.say(bundle(absent_frame(never, "corrupt-block", "gone at the server")))
    [(_, lost)] = await collect(remote, [never])
    assert isinstance(lost, CorruptBlock)
    assert lost.message == "gone at the server"
    assert "drystone doctor --repair" in lost.advice


async def test_block_that_arrived_damaged_is_named_until_it_arrives_whole(remote, script):
    good, other = make_noise(2)
    names = ids_of([good, other])
    damaged = Frame(names[0], len(other), Codec.RAW, other)

    async def doubted():
        await collect(remote, names)
        message = json.loads(script.requests[-1][3])
        return message.get("doubted")

    script.say(bundle(damaged, *frames_of([other])))
    assert await doubted() is None
    script.say(bundle(*frames_of([good, other])))
    assert await doubted() is not None
    assert await doubted() is None


# --- answers that do not fit the question ---------------------------------------------------------


async def test_answer_of_another_length_than_the_question_is_no_answer(remote, script):
    names = ids_of(make_noise(20))
    script.say((200, JSON, b'{"outlines": []}'))
    with pytest.raises(NotDrystone):
        await remote.fetch_outlines(names)
    script.say((200, JSON, b'{"missing": "AA=="}'))
    with pytest.raises(MalformedMessage):
        await remote.ask(names)
    script.say((200, JSON, b'{"head_before": 0, "head": 0, "cursor": "", "outcomes": [{}]}'))
    with pytest.raises(NotDrystone):
        await remote.commit([], Seq(0), "key")


async def test_outlines_of_many_blocks_are_asked_for_in_parts(remote, script):
    names = ids_of(make_noise(1_500, 40))

    async def answer(request):
        # What the test's own server has unpacked already.
        message = json.loads(await request.read())
        count = len(message["ids"]) * 3 // 4 // 32
        return web.json_response({"outlines": [""] * count})

    script.say(answer)
    assert await remote.fetch_outlines(names) == [b""] * 1_500
    assert len(script.requests) == 2


async def test_folder_whose_pages_lead_in_a_circle_is_not_listed_for_ever(remote, script):
    script.say((200, JSON, b'{"entries": [], "next": "again"}'))
    with pytest.raises(NotDrystone):
        await remote.list_folder(ROOT_ID)

    assert len(script.requests) <= 3


# --- the bell -------------------------------------------------------------------------------------


async def hear(remote, count):
    heads = remote.listen()
    heard = [await anext(heads) for _ in range(count)]
    await heads.aclose()
    return heard


def ring(*texts, close_code=1000, reason=b""):
    async def answer(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for text in texts:
            await socket.send_str(text)
        await socket.close(code=close_code, message=reason)
        return socket

    return answer


async def test_bell_is_opened_again_and_tells_that_something_may_be_missed(remote, script, waits):
    script.say(ring('{"namespace_id": "BwcHBwcHBwcHBwcHBwcHBw==", "head": 5}', "junk"), ring())

    assert await hear(remote, 4) == [0, 5, 0, 0]
    assert waits == [0.5]


async def test_bell_is_opened_again_when_the_server_advises(remote, script, waits):
    script.say(ring(close_code=1012, reason=b"retry_after_s=17.25"), ring())

    assert await hear(remote, 2) == [0, 0]
    assert waits == [17.25]


@pytest.mark.parametrize(
    ("reason", "wait_s"),
    [(b"retry_after_s=1e9", 0.5), (b"retry_after_s=-3", 0.5), (b"retry_after_s=99999999", 300.0)],
)
async def test_bell_follows_no_advice_that_is_none(remote, script, waits, reason, wait_s):
    script.say(ring(close_code=1012, reason=reason), ring())
    await hear(remote, 2)

    assert waits == [wait_s]


async def test_bell_of_a_revoked_device_says_so(remote, script, waits):
    script.say(ring(close_code=bell._REVOKED_CLOSE_CODE))
    with pytest.raises(Refused) as caught:
        await hear(remote, 2)

    assert caught.value.code == "device-revoked"
    assert "drystone login" in caught.value.advice


async def test_where_no_bell_opens_it_is_polled_with_the_cursor_read_last(remote, script, waits):
    page = b'{"entries": [], "gone": [], "cursor": "mark", "head": 5}'
    script.say((200, JSON, page))
    await remote.read_changes("", None)
    script.say(
        (404, "text/plain", b"no sockets here"),
        (200, JSON, b'{"changed": false, "backoff_s": 3.0}'),
        (200, JSON, b'{"changed": true}'),
    )

    assert await hear(remote, 1) == [0]
    assert [url.path for _, url, _, _ in script.requests] == [
        "/v1/bell", "/v1/changes/wait", "/v1/changes/wait",
    ]  # fmt: skip
    assert script.requests[1][1].query["cursor"] == "mark"
    assert 3.0 in waits


async def test_bell_that_cannot_be_reached_is_tried_ever_more_rarely(remote, script, waits):
    script.say(None)
    heads = remote.listen()
    listening = asyncio.ensure_future(anext(heads))
    while len(waits) < 9:
        assert not listening.done()
        await asyncio.wait([listening], timeout=0.001)
    listening.cancel()
    await asyncio.wait([listening])

    assert waits[:9] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


async def test_session_that_is_closed_twice_stays_closed(url):
    closed = HttpSession(url)
    await closed.close()
    await closed.close()
    with pytest.raises((ServerAway, RuntimeError, aiohttp.ClientError)):
        await list_devices(closed)
