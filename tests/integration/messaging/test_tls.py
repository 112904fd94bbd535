# SPDX-License-Identifier: Apache-2.0
"""TLS to servers of messages: authorities of one's own, and nothing said where there is no TLS."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from drystone.core.ids import NamespaceId
from drystone.server.ports.brokers.lines import Line, LineLost
from drystone.server.ports.brokers.publishing import Message, OutletAway
from drystone.server.storage import nats, valkey
from drystone.testing.brokers.nats import NatsServer

pytestmark = pytest.mark.asyncio

NAMESPACE = NamespaceId(b"n" * 16)


class Certificate(NamedTuple):
    """Files of a certificate for the loopback, signed with its own key."""

    path: Path
    key_path: Path

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.path, self.key_path)
        return context


def make_certificate(folder: Path) -> Certificate:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    made.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


@pytest.fixture
def ours(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path / "theirs")


@pytest_asyncio.fixture
async def valkey_port(valkey, ours) -> AsyncIterator[int]:
    """Where TLS ends in front of a Valkey: the one that tests bring speaks none itself."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                writer.write(piece)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ours.context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest_asyncio.fixture
async def nats_port(ours, tmp_path) -> AsyncIterator[int]:
    words = ["--tls", "--tlscert", str(ours.path), "--tlskey", str(ours.key_path)]
    with NatsServer(tmp_path / "nats", token="sesame", options=words) as server:
        yield server.port


async def ring_from_one_to_the_other(one: Line, two: Line) -> tuple[NamespaceId, int]:
    heard: asyncio.Queue[tuple[NamespaceId, int]] = asyncio.Queue()
    for line in (one, two):
        await line.open(lambda *ring: heard.put_nowait(ring), lambda _: None)
    await two.subscribe([NAMESPACE])
    await two.check()
    await one.publish([(NAMESPACE, 7)])
    try:
        return await asyncio.wait_for(heard.get(), 120)
    finally:
        for line in (one, two):
            await line.close()


async def refuse(line: Line) -> str:
    """Returns why a line is not opened."""
    with pytest.raises(LineLost) as caught:
        await line.open(lambda *_: None, lambda _: None)
    await line.close()
    return str(caught.value)


async def test_valkey_with_authorities_of_one_s_own(valkey_port, ours, theirs) -> None:
    url = f"valkeys://127.0.0.1:{valkey_port}/0?ca="
    address = valkey.parse_address(f"{url}{ours.path}")
    lines = [valkey.ValkeyLine(address, worker) for worker in ("one", "two")]

    assert await ring_from_one_to_the_other(*lines) == (NAMESPACE, 7)
    for authorities in (f"?ca={theirs.path}", ""):
        other = valkey.parse_address(f"valkeys://127.0.0.1:{valkey_port}/0{authorities}")
        assert "certificate" in (await refuse(valkey.ValkeyLine(other, "three"))).lower()


async def test_the_cache_in_a_valkey_with_tls(valkey_port, ours, theirs) -> None:
    def keep_and_find(authorities: Path) -> bytes | None:
        url = f"valkeys://127.0.0.1:{valkey_port}/2?ca={authorities}"
        cache = valkey.ValkeyCache(valkey.parse_address(url), wait_s=20)
        try:
            cache.put(b"name", b"value", 60)
            return cache.get([b"name"])[0]
        finally:
            cache.close()

    assert await asyncio.to_thread(keep_and_find, ours.path) == b"value"
    assert await asyncio.to_thread(keep_and_find, theirs.path) is None


async def test_nats_with_authorities_of_one_s_own(nats_port, ours, theirs) -> None:
    url = f"tls://sesame@127.0.0.1:{nats_port}"
    address = nats.parse_address(f"{url}?ca={ours.path}")
    lines = [nats.NatsLine(address, worker) for worker in ("one", "two")]

    assert await ring_from_one_to_the_other(*lines) == (NAMESPACE, 7)
    for more in (f"?ca={theirs.path}", ""):
        other = nats.NatsLine(nats.parse_address(f"{url}{more}"), "three")
        assert "certificate" in (await refuse(other)).lower()
    stream = nats.NatsStream(address)
    await stream.publish([Message("topic", "id", b"body")])
    await stream.close()


async def test_a_nats_without_tls_is_told_nothing_if_the_address_asks_for_it(ours) -> None:
    heard = b""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(b'INFO {"server_id":"x","auth_required":true,"max_payload":1048576}\r\n')
        while piece := await reader.read(65_536):
            heard += piece
            writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = nats.parse_address(f"tls://anna:hush@127.0.0.1:{port}?ca={ours.path}")

    assert "TLS" in await refuse(nats.NatsLine(address, "one"))
    stream = nats.NatsStream(address)
    with pytest.raises(OutletAway, match="TLS"):
        await stream.publish([Message("topic", "id", b"body")])
    await stream.close()
    server.close()
    assert heard == b""


@pytest.mark.parametrize(
    ("parse", "error", "schemes"),
    [
        (valkey.parse_address, valkey.ValkeyUnusable, ("valkey", "valkeys")),
        (nats.parse_address, nats.NatsUnusable, ("nats", "tls")),
    ],
)
async def test_authorities_that_are_none_are_told_at_the_start(
    parse, error, schemes, ours, tmp_path
) -> None:
    plain, secure = schemes
    (tmp_path / "text").write_text("no certificate")
    for url in (
        f"{secure}://:hush@host/?ca={tmp_path / 'missing'}",
        f"{secure}://:hush@host/?ca={tmp_path / 'text'}",
        f"{secure}://:hush@host/?ca=",
        f"{plain}://:hush@host/?ca={ours.path}",
    ):
        with pytest.raises(error) as caught:
            parse(url)
        assert "hush" not in f"{caught.value}"
