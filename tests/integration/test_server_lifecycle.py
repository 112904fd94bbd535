# SPDX-License-Identifier: Apache-2.0
"""A server's life: first start, stop, crash, restart, and what it refuses to start on."""

import asyncio
import json
import shutil
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
from contextlib import closing

import aiohttp
import pytest

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.core import limits
from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.journal.change import Create
from drystone.core.tree.entry import Entry, Kind
from drystone.server.bootstrap import open_admin
from drystone.server.settings import ServerSettings
from drystone.testing.servers import CHEAP_PASSWORDS, ServerFailed, ServerProcess
from drystone.testing.service import until

PASSWORD = "correct horse"


def folder(number):
    file_id = FileId(number.to_bytes(16, "big"))
    return Create(Entry(file_id, ROOT_ID, f"f{number}", Kind.FOLDER, None, 0o755, 0, "", Rev(0)))


async def join(server):
    """Returns a session and a remote of a new device of anna."""
    session = HttpSession(server.url)
    signed_in = await sign_in(session, "anna", PASSWORD, "laptop")
    await session.close()
    session = HttpSession(server.url, signed_in.token)
    return signed_in, HttpRemote(session, signed_in.namespace_id)


async def ask(server, path, token=""):
    """Returns the status and the code (if it is a problem) that one request gets."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as plain,
        plain.get(server.url + path, headers=headers) as response,
    ):
        answer = json.loads(await response.read() or b"{}")
        return response.status, answer.get("code")


async def find_account(server):
    """Returns the name of the account that anna's password opens."""
    signed_in, remote = await join(server)
    await remote.close()
    return signed_in.account


# --- starting -------------------------------------------------------------------------------------


def test_first_start_makes_a_private_data_directory_and_tells_what_to_do(tmp_path):
    with ServerProcess(tmp_path / "new" / "data") as server:
        said = server.read_log()
        modes = {
            path.relative_to(server.data_dir).as_posix(): stat.S_IMODE(path.stat().st_mode)
            for path in (server.data_dir, *server.data_dir.rglob("*"))
        }

    assert server.url in said
    assert "drystone admin add-account" in said
    assert modes["."] == 0o700
    assert modes["keys/cursor.key"] == 0o600
    assert modes["metadata.db"] == 0o600
    assert not [name for name, mode in modes.items() if mode & 0o077]


def test_later_start_keeps_keys_and_accounts_and_does_not_ask_for_an_account(server):
    key = (server.data_dir / "keys" / "cursor.key").read_bytes()
    assert server.stop() == 0
    said_before = len(server.read_log())
    server.start()

    assert "add-account" not in server.read_log()[said_before:]
    assert (server.data_dir / "keys" / "cursor.key").read_bytes() == key


def test_account_can_be_added_before_the_first_start(tmp_path):
    settings = ServerSettings(
        data_dir=tmp_path / "data", password_memory_kib=1024, password_rounds=1
    )
    with open_admin(settings) as admin:
        admin.add_account("anna", PASSWORD)
    with ServerProcess(tmp_path / "data") as server:
        assert asyncio.run(find_account(server)) == "anna"
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_second_server_on_the_same_data_directory_is_refused(server):
    other = ServerProcess(server.data_dir)
    other.log_path = server.log_path.with_name("other.log")
    with pytest.raises(ServerFailed) as caught:
        other.start()

    assert f"another server (process {server.pid})" in str(caught.value)
    assert asyncio.run(ask(server, "/v1/ready")) == (200, None)


def test_data_directory_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    data_dir = tmp_path / "data"
    with ServerProcess(data_dir) as server:
        server.stop()
    (data_dir / "format").write_text("drystone data directory, format 3\n")
    before = {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}
    with pytest.raises(ServerFailed, match="has format 3") as caught:
        server.start()

    assert "newer version" in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before


def test_database_of_a_newer_version_is_refused(tmp_path):
    with ServerProcess(tmp_path / "data") as server:
        server.stop()
        connection = sqlite3.connect(tmp_path / "data" / "metadata.db")
        connection.execute("INSERT INTO schema_version (number, name) VALUES (9999, 'later')")
        connection.commit()
        connection.close()
        with pytest.raises(ServerFailed, match="9999"):
            server.start()


def test_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    precious = tmp_path / "home" / "letter.txt"
    precious.parent.mkdir()
    precious.write_text("dear")
    with pytest.raises(ServerFailed, match="not a data directory"):
        ServerProcess(precious.parent).start()

    assert [path.name for path in precious.parent.iterdir() if path.name != "setup.lock"] == [
        "letter.txt"
    ]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_in_use_is_refused_by_name_before_anything_is_made(tmp_path, workers):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_WORKERS": workers}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailed, match=f"cannot listen on 127.0.0.1 port {port}"):
            ServerProcess(tmp_path / "data", environment=environment).start(port)
    assert not (tmp_path / "data").exists()


def test_setting_that_does_not_fit_is_refused_by_name(tmp_path):
    environment = {"DRYSTONE_SERVER_READ_THREADS": "many"}
    with pytest.raises(ServerFailed, match="read_threads is 'many'"):
        ServerProcess(tmp_path / "data", environment=environment).start()


def test_settings_file_in_the_data_directory_counts(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "drystone.toml").write_text('log_level = "error"\n')
    with ServerProcess(tmp_path / "data") as server:
        server.stop()

        assert "server.started" not in server.read_log()


def test_listening_to_all_without_tls_is_warned_of(tmp_path):
    command = ServerProcess(tmp_path)._command[:-2]
    with ServerProcess(tmp_path / "data", command=[*command, "--host", "0.0.0.0"]) as server:
        assert "without TLS" in server.read_log()
        assert server.url.startswith("http://127.0.0.1:")


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_stops_at_once_with_exit_code_zero(server, number):
    server.signal(number)

    assert server.wait() == 0
    assert not (server.data_dir / "serving.json").exists()


def test_server_stops_although_nobody_reads_its_log_any_more(tmp_path):
    command = [sys.executable, "-m", "drystone", "serve", "--json", "--port", "0", "--data-dir"]
    with subprocess.Popen(
        [*command, str(tmp_path / "data")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while b"is_first_start" not in (line := process.stdout.readline()):
            assert line, "it ended"
        process.stdout.close()
        process.terminate()
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.asyncio
async def test_request_in_flight_is_finished_while_new_ones_are_told_to_come_again(server):
    signed_in, remote = await join(server)
    body = b'{"account": "anna", "password": "correct horse", "device_name": "late"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body[:10])
    async with (
        aiohttp.ClientSession() as plain,
        plain.ws_connect(
            f"{server.url}/v1/bell?namespace={signed_in.namespace_id.hex()}",
            headers={"Authorization": f"Bearer {signed_in.token}"},
        ) as bell,
    ):
        await bell.receive()
        server.signal()
        closing = await bell.receive()
        told = await ask(server, "/v1/ready")
        writer.write(body[10:])
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    await remote.close()

    assert closing.data == 1012
    assert closing.extra.startswith("retry_after_s=")
    assert told == (503, "server-stopping")
    assert answer.startswith(b"HTTP/1.1 201")
    assert await asyncio.to_thread(server.wait) == 0


@pytest.mark.asyncio
async def test_second_signal_does_not_wait_for_what_is_in_flight(server):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    await writer.drain()
    while (await ask(server, "/v1/ready")) != (200, None):
        continue
    server.signal()
    while (await ask(server, "/v1/ready"))[0] != 503:
        continue
    server.signal()

    assert await asyncio.to_thread(server.wait) == 0
    writer.close()


@pytest.mark.asyncio
async def test_server_does_not_wait_for_what_is_in_flight_for_ever(tmp_path):
    environment = {"DRYSTONE_SERVER_STOP_GRACE_S": "0.2"}
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        await writer.drain()
        assert await ask(server, "/v1/health") == (200, None)
        server.signal()

        assert await asyncio.to_thread(server.wait) == 0
        writer.close()


@pytest.mark.asyncio
async def test_server_that_a_newer_one_has_outgrown_tells_devices_to_ask_again_and_stops(server):
    signed_in, remote = await join(server)
    await remote.close()
    with closing(sqlite3.connect(server.data_dir / "metadata.db")) as newer:
        newer.execute("ALTER TABLE brake RENAME TO brakes")
        newer.execute("INSERT INTO schema_version (number, name) VALUES (9999, 'later')")
        newer.commit()
    path = f"/v1/namespaces/{signed_in.namespace_id.hex()}/brakes"

    assert await ask(server, path, signed_in.token) == (503, "program-outgrown")
    assert await asyncio.to_thread(server.wait) == 4
    assert "server.stopped" in server.read_log()


# --- crashes --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_killed_server_has_every_acknowledged_commit_after_its_restart(server):
    _, remote = await join(server)
    acknowledged = []

    async def commit_for_ever(lane):
        number = lane
        while True:
            number += 10
            result = await remote.commit([folder(number)], Seq(0), f"k{number}")
            acknowledged.append((number, result.outcomes[0].seq))

    lanes = [asyncio.ensure_future(commit_for_ever(lane)) for lane in range(4)]
    await until(lambda: len(acknowledged) >= 100)
    server.kill()
    for lane in lanes:
        lane.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
    cursor_before = remote._cursor
    port = server.port
    server.start(port)
    page = await remote.read_changes(cursor_before, None)
    found = {stored.entry.name: stored.seq for stored in page.entries}

    assert {f"f{number}": seq for number, seq in acknowledged}.items() <= found.items()
    assert [stored.seq for stored in page.entries] == list(range(1, page.head + 1))

    # What was not acknowledged can be sent again, with the same key.
    again = [await remote.commit([folder(n)], Seq(0), f"k{n}") for n, _ in acknowledged[-5:]]
    assert [r.outcomes[0].seq for r in again] == [seq for _, seq in acknowledged[-5:]]
    await remote.close()


@pytest.mark.asyncio
async def test_cursors_and_tokens_outlive_a_restart(server):
    _, remote = await join(server)
    result = await remote.commit([folder(1)], Seq(0), "k")
    port = server.port
    assert await asyncio.to_thread(server.stop) == 0
    server.start(port)
    page = await remote.read_changes(result.cursor, None)
    await remote.close()

    assert (page.entries, page.reset, page.head) == ([], False, 1)


# --- the operator beside it -----------------------------------------------------------------------


@pytest.mark.asyncio
async def test_disabling_an_account_beside_the_server_counts_at_once(server):
    signed_in, remote = await join(server)
    assert await ask(server, "/v1/account", signed_in.token) == (200, None)
    settings = ServerSettings(data_dir=server.data_dir, password_memory_kib=1024, password_rounds=1)
    async with (
        aiohttp.ClientSession() as plain,
        plain.ws_connect(
            f"{server.url}/v1/bell?namespace={signed_in.namespace_id.hex()}",
            headers={"Authorization": f"Bearer {signed_in.token}"},
        ) as bell,
    ):
        await bell.receive()
        with open_admin(settings) as admin:
            admin.disable("anna")
        assert await ask(server, "/v1/account", signed_in.token) == (401, "device-revoked")
        closing = await bell.receive(timeout=120)
        with open_admin(settings) as admin:
            admin.enable("anna")
        assert await ask(server, "/v1/account", signed_in.token) == (200, None)
    await remote.close()

    assert closing.data == 4401


# --- TLS, proxies ---------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """Paths of a fresh certificate for the loopback, and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    how = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x"
    how += " -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *how.split(), "-out", paths[0], "-keyout", paths[1]]
    subprocess.run(command, check=True, capture_output=True)
    return paths


@pytest.mark.asyncio
async def test_server_speaks_tls_and_the_client_must_trust_it(tmp_path, certificate):
    certificate, key = certificate
    environment = {
        "DRYSTONE_SERVER_TLS_CERTIFICATE": str(certificate),
        "DRYSTONE_SERVER_TLS_KEY": str(key),
    }
    trusting = ssl.create_default_context(cafile=certificate)
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        async with aiohttp.ClientSession() as plain:
            async with plain.get(server.url + "/v1/health", ssl=trusting) as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await plain.get(server.url + "/v1/health")

        assert server.url.startswith("https://127.0.0.1:")


def test_certificate_that_cannot_be_used_is_refused_by_name(tmp_path):
    (tmp_path / "junk.pem").write_text("junk")
    for name in ("missing.pem", "junk.pem"):
        environment = {
            "DRYSTONE_SERVER_TLS_CERTIFICATE": str(tmp_path / name),
            "DRYSTONE_SERVER_TLS_KEY": str(tmp_path / name),
        }
        with pytest.raises(ServerFailed, match="cannot be used"):
            ServerProcess(tmp_path / "data", environment=environment).start()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("trusted", "is_limited"), [("127.0.0.1", False), ("10.9.9.9", True)])
@pytest.mark.asyncio
async def test_address_told_by_a_proxy_counts_only_if_the_proxy_is_trusted(
    tmp_path, trusted, is_limited
):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_TRUSTED_PROXIES": trusted}
    body = {"account": "anna", "password": "guess", "device_name": "x"}
    statuses = []
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        async with aiohttp.ClientSession() as plain:
            for number in range(limits.SIGN_IN_FAILURES_MAX + 1):
                headers = {"X-Forwarded-For": f"192.0.2.{number}"}
                async with plain.post(
                    server.url + "/v1/devices", json=body, headers=headers
                ) as response:
                    statuses.append(response.status)

    assert statuses[:-1] == [401] * limits.SIGN_IN_FAILURES_MAX
    assert statuses[-1] == (429 if is_limited else 401)
