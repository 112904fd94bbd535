# SPDX-License-Identifier: Apache-2.0
"""The native protocol, spoken with a real server: what it does, and what it refuses."""

import asyncio
import io
import json

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from drystone.client.adapters.remote_http import (
    HttpRemote,
    HttpSession,
    list_devices,
    read_account,
    revoke_device,
    sign_in,
)
from drystone.core import limits
from drystone.core.content import zstd
from drystone.core.content.coding import encode_block
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.journal.change import Accepted, Create, Delete, Refusal
from drystone.core.tree.entry import Entry, Kind
from drystone.wire.messages import Problem

pytestmark = pytest.mark.asyncio

PASSWORD = "correct horse"
numbers = iter(range(1, 1 << 30))


def create(name, parent_id=ROOT_ID, *, kind=Kind.FILE, content=EMPTY_CONTENT):
    content = content if kind is Kind.FILE else None
    file_id = FileId(next(numbers).to_bytes(16, "big"))
    return Create(Entry(file_id, parent_id, name, kind, content, 0o644, 0, "", Rev(0)))


class Device:
    """A signed-in device: its session, its remote, and plain HTTP beside them."""

    def __init__(self, url, signed_in, plain):
        self.url = url
        self.signed_in = signed_in
        self.session = HttpSession(url, signed_in.token)
        self.remote = HttpRemote(self.session, signed_in.namespace_id)
        self.namespace = signed_in.namespace_id.hex()
        self.plain = plain

    async def ask(self, method, path, *, status=None, **options):
        headers = {"Authorization": f"Bearer {self.signed_in.token}", **options.pop("headers", {})}
        async with self.plain.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            body = await response.read()
            assert status is None or response.status == status, body
            if response.status >= 400:
                assert response.content_type == "application/problem+json"
                problem = msgspec.json.decode(body, type=Problem)
                assert problem.status == response.status
                assert problem.request_id == response.headers["Request-Id"]
                return problem
            return json.loads(body) if body else None


@pytest_asyncio.fixture
async def plain():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def join(shared_server, plain):
    """Signs in devices, and closes them at the end."""
    joined = []

    async def sign_in_device(account="anna", name="laptop"):
        session = HttpSession(shared_server.url)
        try:
            device = Device(
                shared_server.url, await sign_in(session, account, PASSWORD, name), plain
            )
        finally:
            await session.close()
        joined.append(device)
        return device

    yield sign_in_device
    for device in joined:
        await device.session.close()


@pytest_asyncio.fixture
async def anna(join):
    return await join()


# --- who asks -------------------------------------------------------------------------------------


async def test_account_tells_who_one_is(anna):
    view = await read_account(anna.session)

    assert (view.account, view.device_name) == ("anna", "laptop")
    assert view.namespace_id == anna.signed_in.namespace_id


async def test_wrong_password_is_refused(shared_server, plain):
    body = {"account": "anna", "password": "wrong", "device_name": "x"}
    async with plain.post(shared_server.url + "/v1/devices", json=body) as response:
        problem = await response.json(content_type=None)

    assert (response.status, problem["code"]) == (401, "sign-in-failed")
    assert problem["detail"] == "the account name or the password is wrong"


async def test_request_without_a_good_token_is_refused(shared_server, plain):
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="}):
        async with plain.get(shared_server.url + "/v1/account", headers=headers) as response:
            problem = await response.json(content_type=None)

        assert (response.status, problem["code"]) == (401, "sign-in-required")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_revoked_device_is_refused_and_its_bell_closed(anna, join):
    phone = await join(name="phone")
    async with anna.plain.ws_connect(
        f"{phone.url}/v1/bell?namespace={phone.namespace}",
        headers={"Authorization": f"Bearer {phone.signed_in.token}"},
    ) as bell:
        await bell.receive()
        await revoke_device(anna.session, phone.signed_in.device_id)
        closing = await bell.receive()
    problem = await phone.ask("GET", "/v1/account", status=401)
    lines = {line.device_id: line for line in await list_devices(anna.session)}

    assert closing.data == 4401
    assert problem.code == "device-revoked"
    assert lines[phone.signed_in.device_id].revoked
    assert lines[anna.signed_in.device_id].current


async def test_device_of_another_account_cannot_be_revoked(anna, join):
    bert = await join("bert")
    problem = await bert.ask("DELETE", f"/v1/devices/{anna.signed_in.device_id.hex()}", status=404)

    assert problem.code == "device-not-found"
    await anna.ask("GET", "/v1/account", status=200)


# --- commits and changes --------------------------------------------------------------------------


async def test_file_is_put_committed_and_fetched_back(anna):
    data = b"some bytes " * 1000
    name = block_id(data)
    assert await anna.remote.ask([name]) == [name]

    async def bundle():
        yield [encode_block(name, data)]

    assert await anna.remote.put_blocks(bundle()) == 1
    assert await anna.remote.ask([name]) == []
    content = Content(len(data), name, False, content_hash_of_block_id(name))
    page = await anna.remote.read_changes("", None)
    result = await anna.remote.commit([create("whole", content=content)], page.head, "whole-1")
    [outcome] = result.outcomes
    found = await anna.remote.find_entry("/whole")
    fetched = [
        block
        async for group in anna.remote.fetch_blocks([(name, None)], lambda _: None)
        for block in group
    ]

    assert isinstance(outcome, Accepted)
    assert found.entry.content == content
    assert fetched == [(name, data)]


async def test_commit_sent_twice_is_answered_alike_and_done_once(anna):
    changes = [create("twice", kind=Kind.FOLDER), create("twice", kind=Kind.FOLDER)]
    first = await anna.remote.commit(changes, Seq(0), "twice-key")
    again = await anna.remote.commit(changes, Seq(0), "twice-key")
    other = await anna.ask(
        "POST",
        f"/v1/namespaces/{anna.namespace}/commits",
        json={"changes": [{"do": "delete", "id": "A" * 22 + "==", "base_rev": 1}]},
        headers={"Idempotency-Key": "twice-key"},
        status=409,
    )

    assert first == again
    assert [type(outcome) for outcome in first.outcomes] == [Accepted, Refusal]
    assert other.code == "idempotency-key-reused"


async def test_changes_are_read_page_by_page(anna):
    start = await anna.remote.read_changes("", None)
    while start.has_more:
        start = await anna.remote.read_changes(start.cursor, None)
    folder = create("paged", kind=Kind.FOLDER)
    files = [create(f"f{number:05}", folder.entry.file_id) for number in range(9_000)]
    result = await anna.remote.commit([folder, *files[:3000]], start.head, "paged-0")
    for number in (1, 2):
        part = files[3000 * number : 3000 * (number + 1)]
        result = await anna.remote.commit(part, result.head, f"paged-{number}")
    first = await anna.remote.read_changes(start.cursor, None)
    second = await anna.remote.read_changes(first.cursor, None)
    third = await anna.remote.read_changes(second.cursor, None)
    names = [stored.entry.name for stored in (*first.entries, *second.entries)]

    assert first.has_more
    assert not second.has_more
    assert names == ["paged", *(change.entry.name for change in files)]
    assert (third.entries, third.cursor) == ([], second.cursor)
    assert result.cursor == second.cursor

    listed, after = await anna.remote.list_below(folder.entry.file_id, "")
    rest, end = await anna.remote.list_below(folder.entry.file_id, after)
    assert len(listed) + len(rest) == 9_000
    assert end == ""


async def test_deleted_entries_and_revisions_are_told(anna):
    change = create("short-lived")
    made = await anna.remote.commit([change], Seq(0), "short-1")
    rev = made.outcomes[0].rev
    await anna.remote.commit([Delete(change.entry.file_id, rev)], made.head, "short-2")
    deleted, _ = await anna.remote.list_deleted("")
    history = await anna.remote.list_revisions(change.entry.file_id)

    assert deleted[0].entry.name == "short-lived"
    assert [line.device for _, line in history] == ["laptop", "laptop"]


async def test_namespaces_of_others_look_as_if_they_did_not_exist(anna, join):
    bert = await join("bert")
    answers = []
    for namespace in (anna.namespace, "00" * 16):
        problem = await bert.ask("GET", f"/v1/changes?namespace={namespace}", status=404)
        answers.append(problem.detail.replace(namespace, "NAMESPACE"))
        await bert.ask("GET", f"/v1/namespaces/{namespace}/entries?parent={'00' * 16}", status=404)
        await bert.ask("GET", f"/v1/changes/wait?namespace={namespace}", status=404)
        await bert.ask(
            "POST",
            f"/v1/namespaces/{namespace}/commits",
            json={"changes": [{"do": "delete", "id": "A" * 22 + "==", "base_rev": 1}]},
            status=404,
        )

    assert answers[0] == answers[1]


# --- bad input ------------------------------------------------------------------------------------


async def test_forged_cursor_is_refused(anna):
    page = await anna.remote.read_changes("", None)
    forged = page.cursor[:-2] + ("AA" if page.cursor[-2:] != "AA" else "BB")
    for cursor in ("junk", forged):
        problem = await anna.ask(
            "GET", f"/v1/changes?namespace={anna.namespace}&cursor={cursor}", status=400
        )
        assert problem.code == "cursor-invalid"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"changes": 7}', b'{"changes": []}', b"\xff\xfe", b"[" * 100_000]
)
async def test_garbage_json_is_refused(anna, body):
    problem = await anna.ask(
        "POST", f"/v1/namespaces/{anna.namespace}/commits", data=body, status=400
    )

    assert problem.code == "malformed-message"
    assert not problem.retryable


async def test_garbage_compression_is_refused(anna):
    path = f"/v1/namespaces/{anna.namespace}/commits"
    headers = {"Content-Encoding": "zstd"}
    for body in (b"junk", zstd.compress(b"{}", 1)[:-3]):
        problem = await anna.ask("POST", path, data=body, headers=headers, status=400)
        assert problem.code == "malformed-message"
    headers = {"Content-Encoding": "br"}
    await anna.ask("POST", path, data=b"{}", headers=headers, status=400)


async def test_body_that_would_grow_too_large_is_refused(anna):
    bomb = zstd.compress(b" " * (limits.REQUEST_JSON_BYTES_MAX + 1), 1)
    problem = await anna.ask(
        "POST",
        f"/v1/namespaces/{anna.namespace}/commits",
        data=bomb,
        headers={"Content-Encoding": "zstd"},
        status=413,
    )

    assert len(bomb) < 10_000
    assert problem.code == "message-too-large"


async def test_body_that_is_too_large_is_refused(anna):
    body = b" " * (limits.REQUEST_JSON_BYTES_MAX + 1)
    problem = await anna.ask(
        "POST", f"/v1/namespaces/{anna.namespace}/commits", data=io.BytesIO(body), status=413
    )

    assert problem.code == "body-too-large"


async def test_sign_in_bodies_of_strangers_are_small(shared_server, plain):
    body = b'{"account": "' + b"a" * 20_000 + b'", "password": "p", "device_name": "d"}'
    async with plain.post(shared_server.url + "/v1/devices", data=body) as response:
        assert response.status == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown-route"),
        ("GET", "/", 404, "unknown-route"),
        ("GET", "/v1/account/", 404, "unknown-route"),
        ("PATCH", "/v1/account", 405, "method-not-allowed"),
        ("GET", "/v1/changes", 400, "bad-parameter"),
        ("GET", "/v1/changes?namespace=xyz", 400, "malformed-id"),
        ("GET", "/v1/namespaces/NS/entries", 400, "bad-parameter"),
        ("GET", "/v1/namespaces/NS/entries?parent=1", 400, "malformed-id"),
        ("GET", "/v1/namespaces/NS/entries?path=relative", 400, "invalid-path"),
        ("GET", "/v1/namespaces/NS/entries?path=/no/such", 404, "entry-not-found"),
        ("GET", "/v1/namespaces/NS/deleted?after=x", 400, "page-invalid"),
        ("GET", "/v1/changes/wait?namespace=NS&timeout_s=soon", 400, "bad-parameter"),
        ("GET", "/v1/changes/wait?namespace=NS&timeout_s=nan", 400, "bad-parameter"),
        ("DELETE", "/v1/devices/12", 400, "malformed-id"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(anna, method, path, status, code):
    problem = await anna.ask(method, path.replace("NS", anna.namespace), status=status)

    assert problem.code == code
    assert problem.detail


async def test_unknown_protocol_is_refused(anna):
    problem = await anna.ask("GET", "/v1/account", headers={"Drystone-Protocol": "999"}, status=426)

    assert problem.code == "protocol-unknown"


async def test_upload_that_breaks_off_leaves_the_server_well(anna):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(anna.url.rpartition(":")[2]))
    head = (
        f"POST /v1/namespaces/{anna.namespace}/commits HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {anna.signed_in.token}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    await anna.ask("GET", "/v1/account", status=200)
    assert reader is not None


# --- the bell -------------------------------------------------------------------------------------


async def test_bell_tells_the_head_at_once_and_when_it_moves(anna, join):
    phone = await join(name="phone")
    head = (await anna.remote.read_changes("", None)).head
    async with anna.plain.ws_connect(
        f"{anna.url}/v1/bell?namespace={anna.namespace}",
        headers={"Authorization": f"Bearer {anna.signed_in.token}"},
    ) as bell:
        first = await bell.receive_json()
        result = await phone.remote.commit([create(f"rung{head}")], head, f"rung-{head}")
        second = await bell.receive_json()

    assert first["head"] == head
    assert second["head"] == result.head


async def test_bell_needs_a_token_and_a_namespace_one_may_open(anna, join):
    bert = await join("bert")
    for token, namespace, status in (
        (None, anna.namespace, 401),
        ("junk", anna.namespace, 401),
        (bert.signed_in.token, anna.namespace, 404),
        (bert.signed_in.token, "junk", 400),
    ):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await anna.plain.ws_connect(
                f"{anna.url}/v1/bell?namespace={namespace}", headers=headers
            )

        assert caught.value.status == status


async def test_oldest_bell_of_a_device_makes_room(anna, join):
    phone = await join(name="phone")
    bells = [
        await anna.plain.ws_connect(
            f"{phone.url}/v1/bell?namespace={phone.namespace}",
            headers={"Authorization": f"Bearer {phone.signed_in.token}"},
        )
        for _ in range(limits.BELL_CONNECTIONS_PER_DEVICE_MAX + 1)
    ]
    for bell in bells:
        assert (await bell.receive()).type == aiohttp.WSMsgType.TEXT
    closing = await bells[0].receive()

    assert closing.data == 4409
    assert closing.extra.startswith("retry_after_s=")
    for bell in bells:
        await bell.close()


async def test_long_poll_ends_when_something_is_committed(anna, join):
    phone = await join(name="phone")
    page = await anna.remote.read_changes("", None)
    while page.has_more:
        page = await anna.remote.read_changes(page.cursor, None)
    path = f"/v1/changes/wait?namespace={anna.namespace}&cursor={page.cursor}"
    nothing = await anna.ask("GET", f"{path}&timeout_s=0", status=200)
    waiting = asyncio.ensure_future(anna.ask("GET", f"{path}&timeout_s=60", status=200))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await phone.remote.commit([create(f"polled{page.head}")], page.head, f"polled-{page.head}")

    assert nothing == {"changed": False}
    assert await waiting == {"changed": True}


async def test_client_hears_of_commits_through_its_own_adapter(anna, join):
    phone = await join(name="phone")
    page = await phone.remote.read_changes("", None)
    heads = phone.remote.listen()
    assert await anext(heads) == 0
    result = await anna.remote.commit([create(f"heard{page.head}")], page.head, f"h-{page.head}")
    async with asyncio.timeout(120):
        while await anext(heads) != result.head:
            continue
    await heads.aclose()


# --- documents and health -------------------------------------------------------------------------


async def test_health_and_documents_need_no_token(shared_server, plain):
    for path in ("/v1/health", "/v1/ready"):
        async with plain.get(shared_server.url + path) as response:
            assert response.status == 200
            assert (await response.json())["protocol"] == 1
    async with plain.get(shared_server.url + "/v1/openapi.json") as response:
        document = await response.json()

    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/v1/changes"]["get"]["responses"]["200"]["content"]


async def test_log_holds_no_secret_and_no_query(shared_server, anna):
    await anna.ask("GET", f"/v1/changes?namespace={anna.namespace}&cursor=junk", status=400)
    with pytest.raises(DrystoneError):
        await anna.remote.find_entry("/secret-path")
    log = shared_server.read_log()

    assert anna.signed_in.token not in log
    assert PASSWORD not in log
    assert "secret-path" not in log
