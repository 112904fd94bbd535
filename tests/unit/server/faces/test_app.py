# SPDX-License-Identifier: Apache-2.0
"""The app without sockets: what it makes of errors, and of stopping."""

import asyncio
import json

import pytest

from drystone.core.errors import Corrupt, Misconfigured, Unavailable
from drystone.server.faces.native.app import NativeApp
from drystone.server.faces.native.call import Operation
from drystone.server.faces.native.openapi import describe
from drystone.server.faces.native.operations import DESCRIBED, OPERATIONS
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


class NotEnough(Unavailable):
    code = "not-enough"


@pytest.fixture
def server():
    server = MemoryServer()
    yield server
    server.close()


async def ask(app, method="GET", path="/v1/health", *, headers=(), body=b""):
    """Returns status, headers and body of one request to the bare app."""
    events = [{"type": "http.request", "body": body, "more_body": False}]
    sent = []

    async def receive():
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event):
        sent.append(event)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    await app(scope, receive, send)
    if not sent:
        return None, {}, b""
    fields = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(e.get("body", b"") for e in sent[1:])


def failing(monkeypatch, error):
    async def fail(call):
        raise error

    operation = Operation("GET", "/v1/fail", fail, "Fails.", needs_actor=False)
    monkeypatch.setattr("drystone.server.faces.native.app.OPERATIONS", (*OPERATIONS, operation))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotEnough("wait", retry_after_s=2.6), 503, "not-enough"),
        (Corrupt("damaged"), 500, "corrupt"),
        (Misconfigured("wrong"), 500, "misconfigured"),
        (ValueError("secret detail"), 500, "internal-error"),
        (AssertionError("broken invariant"), 500, "internal-error"),
    ],
)
async def test_every_error_is_told_as_a_problem(server, monkeypatch, error, status, code):
    failing(monkeypatch, error)
    app = NativeApp(server.service)
    told, headers, body = await ask(app, path="/v1/fail")
    problem = json.loads(body)

    assert (told, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["request-id"] == problem["request_id"]
    assert "secret detail" not in body.decode()
    assert headers.get("retry-after") == ("3" if code == "not-enough" else None)
    assert app.in_flight_count == 0


async def test_each_request_has_an_id_of_its_own(server):
    app = NativeApp(server.service)
    ids = {(await ask(app))[1]["request-id"] for _ in range(10)}

    assert len(ids) == 10


async def test_head_is_answered_like_get(server):
    assert (await ask(NativeApp(server.service), "HEAD"))[0] == 200


async def test_answer_that_breaks_off_is_not_followed_by_a_problem(server, monkeypatch):
    async def begin_and_fail(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    async def run(call):
        return begin_and_fail

    operation = Operation("GET", "/v1/half", run, "Breaks off.", needs_actor=False)
    monkeypatch.setattr("drystone.server.faces.native.app.OPERATIONS", (*OPERATIONS, operation))
    status, _, body = await ask(NativeApp(server.service), path="/v1/half")

    assert (status, body) == (200, b"")


async def test_stopping_turns_new_requests_away_and_waits_for_those_in_flight(server, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def run(call):
        begun.set()
        await go_on.wait()
        return await OPERATIONS[-1].run(call)

    operation = Operation("GET", "/v1/slow", run, "Takes long.", needs_actor=False)
    monkeypatch.setattr("drystone.server.faces.native.app.OPERATIONS", (*OPERATIONS, operation))
    app = NativeApp(server.service)
    in_flight = asyncio.ensure_future(ask(app, path="/v1/slow"))
    await begun.wait()
    app.begin_stop()
    idle = asyncio.ensure_future(app.wait_idle())
    status, headers, body = await ask(app, path="/v1/ready")
    await asyncio.sleep(0)

    assert (status, json.loads(body)["code"]) == (503, "server-stopping")
    assert headers["retry-after"] in {"1", "2", "3"}
    assert headers["connection"] == "close"
    assert not idle.done()
    go_on.set()
    assert (await in_flight)[0] == 200
    await idle


# --- the document ---------------------------------------------------------------------------------


async def test_document_tells_of_every_operation_and_message():
    document = describe(DESCRIBED)
    told = {
        (method.upper(), path)
        for path, by_method in document["paths"].items()
        for method in by_method
    }
    text = json.dumps(document)
    references = set(_references(document))
    schemas = document["components"]["schemas"]

    assert told == {(operation.method, operation.path) for operation in DESCRIBED}
    assert {reference.rpartition("/")[2] for reference in references} <= schemas.keys()
    assert {"Problem", "CommitRequest", "WireEntry", "ChangesPage"} <= schemas.keys()
    assert "Returns" not in text.split('"components"')[0]


async def test_operations_have_names_of_their_own():
    document = describe(DESCRIBED)
    names = [
        operation["operationId"]
        for by_method in document["paths"].values()
        for operation in by_method.values()
    ]

    assert len(names) == len(set(names))


def _references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for below in value.values():
            yield from _references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _references(below)


async def test_a_server_that_stops_is_alive_and_not_ready(server):
    app = NativeApp(server.service)
    assert [(await ask(app, path=path))[0] for path in ("/v1/health", "/v1/ready")] == [200, 200]
    app.begin_stop()
    status, headers, body = await ask(app, path="/v1/ready")

    assert (await ask(app, path="/v1/health"))[0] == 200
    assert (status, json.loads(body)["code"]) == (503, "server-stopping")
    assert headers["retry-after"]
