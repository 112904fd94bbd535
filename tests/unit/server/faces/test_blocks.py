# SPDX-License-Identifier: Apache-2.0
"""Blocks through the whole app, without sockets."""

import asyncio
import json

import pytest

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Codec, read_absent
from drystone.core.content.hashing import block_id
from drystone.core.content.outline import encode_outline
from drystone.core.errors import Unavailable
from drystone.core.limits import ASK_BLOCKS_MAX
from drystone.server.faces.native.app import NativeApp
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import frames_of, ids_of, make_noise
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import PASSWORD, MemoryServer
from drystone.wire.bundle import MEDIA_TYPE, BundleReader, BundleWriter
from drystone.wire.codec import decode, decompress_body, encode
from drystone.wire.messages import (
    Ask,
    AskAnswer,
    Fetch,
    OutlineAnswer,
    OutlineAsk,
    PutAnswer,
)

pytestmark = pytest.mark.asyncio

BLOCKS = make_noise(20)
TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(200))


class Caller:
    """Asks the bare app as a signed-in device."""

    def __init__(self, server, token, namespace_id):
        self.app = NativeApp(server.service)
        self.namespace_id = namespace_id
        self._token = token

    async def ask(self, method, path, *pieces, query="", is_cut=False):
        """Returns status, media type and plain body."""
        events = [{"type": "http.request", "body": p, "more_body": True} for p in pieces]
        if is_cut:
            events.append({"type": "http.disconnect"})
        else:
            events.append({"type": "http.request", "body": b"", "more_body": False})
        sent = []

        async def receive():
            if not events:
                await asyncio.Event().wait()
            return events.pop(0)

        async def send(event):
            sent.append(event)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer " + self._token.encode())],
            "client": ("127.0.0.1", 1),
            "scheme": "http",
        }
        await self.app(scope, receive, send)
        headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
        body = b"".join(event.get("body", b"") for event in sent[1:])
        plain = decompress_body(body, headers.get("content-encoding"))
        return sent[0]["status"], headers["content-type"], plain

    async def post(self, path, message, answer):
        status, _, body = await self.ask("POST", path, encode(message))
        assert status == 200, body
        return decode(answer, body)

    async def put(self, *pieces, is_cut=False):
        query = f"namespace={self.namespace_id.hex()}"
        return await self.ask("PUT", "/v1/blocks", *pieces, query=query, is_cut=is_cut)

    async def missing(self, blocks):
        message = Ask(self.namespace_id, b"".join(ids_of(blocks)))
        answer = await self.post("/v1/blocks/ask", message, AskAnswer)
        bits = int.from_bytes(answer.missing, "little")
        return [bool(bits >> i & 1) for i in range(8 * len(answer.missing))]

    async def problem(self, path, message):
        status, media_type, body = await self.ask("POST", path, encode(message))
        assert media_type == "application/problem+json"
        return status, json.loads(body)["code"]


@pytest.fixture
def objects():
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def server(objects):
    server = MemoryServer(objects)
    yield server
    server.close()


async def sign_in(server):
    server.admin.add_account("anna", PASSWORD)
    signed_in = await server.service.accounts.sign_in("anna", PASSWORD, "laptop", "127.0.0.1")
    return Caller(server, signed_in.token, signed_in.actor.root_namespace_id)


def make_bundle(frames, *, has_end=True):
    writer = BundleWriter()
    parts = [writer.begin()]
    for frame in frames:
        parts += writer.frame(frame)
    return b"".join([*parts, writer.end()] if has_end else parts)


def read_bundle(body):
    reader = BundleReader()
    frames = reader.feed(body)
    reader.finish()
    return frames


async def test_blocks_go_in_and_come_out(server):
    anna = await sign_in(server)
    bundle = make_bundle(frames_of(BLOCKS))
    status, _, body = await anna.put(bundle[:100], bundle[100:101], bundle[101:])

    assert status == 200
    assert (decode(PutAnswer, body).blocks, decode(PutAnswer, body).stored_blocks) == (20, 20)
    names = ids_of([*BLOCKS[5:], BLOCKS[0]])
    message = Fetch(anna.namespace_id, b"".join(names))
    status, media_type, body = await anna.ask("POST", "/v1/blocks/fetch", encode(message))
    assert (status, media_type) == (200, MEDIA_TYPE)
    plain = [decode_frame(frame, lambda _: None) for frame in read_bundle(body)]
    assert plain == [*BLOCKS[5:], BLOCKS[0]]


async def test_ask_answers_one_bit_per_block(server):
    anna = await sign_in(server)
    await anna.put(make_bundle(frames_of([BLOCKS[0], BLOCKS[9], BLOCKS[10]])))

    missing = await anna.missing(BLOCKS[:11])
    assert missing == [i not in (0, 9, 10) for i in range(11)] + [False] * 5
    assert await anna.missing([]) == []


async def test_deltas_are_made_where_a_base_is_named(server):
    anna = await sign_in(server)
    changed = TEXT + b"more\n"
    await anna.put(make_bundle(frames_of([TEXT, changed])))
    ids = b"".join(ids_of([changed, TEXT]))
    message = Fetch(anna.namespace_id, ids, block_id(TEXT) + bytes(32))
    _, _, body = await anna.ask("POST", "/v1/blocks/fetch", encode(message))

    first, second = read_bundle(body)
    assert (first.codec, second.codec) == (Codec.DELTA, Codec.RAW)
    assert decode_frame(first, {block_id(TEXT): TEXT}.get) == changed


async def test_outlines_come_in_order(server):
    anna = await sign_in(server)
    await anna.put(make_bundle(frames_of([TEXT])))
    message = OutlineAsk(anna.namespace_id, b"".join(ids_of([b"nobody's", TEXT])))
    answer = await anna.post("/v1/blocks/outline", message, OutlineAnswer)

    assert answer.outlines == [b"", encode_outline(TEXT)]


async def test_upload_that_broke_off_between_frames_is_not_acknowledged(server):
    anna = await sign_in(server)
    status, _, body = await anna.put(make_bundle(frames_of(BLOCKS), has_end=False), is_cut=True)

    assert (status, json.loads(body)["code"]) == (503, "connection-broken")
    assert (await anna.missing(BLOCKS))[:20] == [False] * 20


async def test_upload_without_its_end_is_not_acknowledged(server):
    anna = await sign_in(server)
    _, _, body = await anna.put(make_bundle(frames_of(BLOCKS), has_end=False))

    assert json.loads(body)["code"] == "truncated-bundle"


async def test_upload_of_garbage_is_refused(server):
    anna = await sign_in(server)
    status, _, body = await anna.put(b"this is not a bundle of anything at all, is it?")

    assert (status, json.loads(body)["code"]) == (400, "malformed-bundle")


async def test_bad_frame_is_refused_by_name(server):
    anna = await sign_in(server)
    [frame] = frames_of([TEXT])
    status, _, body = await anna.put(make_bundle([frame._replace(payload=TEXT[::-1])]))

    problem = json.loads(body)
    assert (status, problem["code"]) == (422, "corrupt-block")
    assert frame.block_id.hex() in problem["detail"]
    assert problem["advice"]


async def test_block_that_is_lost_is_told_inside_the_bundle(server, objects):
    anna = await sign_in(server)
    await anna.put(make_bundle(frames_of(BLOCKS[:1])))
    [lost] = [found.name for found in objects.iter_names()]
    await anna.put(make_bundle(frames_of(BLOCKS[1:2])))
    objects.delete(lost)
    message = Fetch(anna.namespace_id, b"".join(ids_of(BLOCKS[:2])))
    status, _, body = await anna.ask("POST", "/v1/blocks/fetch", encode(message))

    first, second = read_bundle(body)
    assert status == 200
    assert first.codec == Codec.ABSENT
    assert read_absent(first)[0] == "corrupt-block"
    assert decode_frame(second, lambda _: None) == BLOCKS[1]


async def test_store_that_fails_in_the_middle_leaves_a_bundle_without_end(server, objects):
    anna = await sign_in(server)
    await anna.put(make_bundle(frames_of(BLOCKS)))
    real = objects.read
    calls = []

    def read(name, ranges):
        calls.append(name)
        if len(calls) > 1:
            raise Unavailable("away")
        return real(name, ranges)

    objects.read = read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 1_000)
        message = Fetch(anna.namespace_id, b"".join(ids_of(BLOCKS)))
        status, _, body = await anna.ask("POST", "/v1/blocks/fetch", encode(message))

    reader = BundleReader()
    assert status == 200
    assert 0 < len(reader.feed(body)) < 20
    with pytest.raises(Exception, match="broke off"):
        reader.finish()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/blocks/ask", Ask),
        ("/v1/blocks/fetch", Fetch),
        ("/v1/blocks/outline", OutlineAsk),
    ],
)
async def test_lists_of_ids_that_are_none_are_refused(server, path, kind):
    anna = await sign_in(server)
    own, many = anna.namespace_id, bytes(32 * (ASK_BLOCKS_MAX + 1))

    assert await anna.problem(path, kind(own, b"x" * 33)) == (400, "malformed-message")
    assert (await anna.problem(path, kind(own, many)))[1] == "message-too-large"
    assert (await anna.problem(path, kind(own, many * 5)))[1] == "body-too-large"
    assert (await anna.problem(path, kind(b"short", b"")))[1] == "malformed-id"
    assert (await anna.problem(path, kind(b"n" * 16, b"")))[1] == "namespace-not-found"


async def test_bases_that_do_not_match_the_ids_are_refused(server):
    anna = await sign_in(server)
    message = Fetch(anna.namespace_id, bytes(64), bytes(32))

    assert await anna.problem("/v1/blocks/fetch", message) == (400, "malformed-message")


async def test_block_that_is_not_held_is_not_found(server):
    anna = await sign_in(server)

    message = Fetch(anna.namespace_id, block_id(b"nobody's"))
    assert await anna.problem("/v1/blocks/fetch", message) == (404, "block-not-found")
