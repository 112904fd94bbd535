# SPDX-License-Identifier: Apache-2.0
"""Relay: passes bytes on unchanged, counts them, and can cut the line."""

import contextlib
import socket
import threading

import pytest

from drystone.cli.demo.relay import Relay, Traffic


@pytest.fixture
def echo_port():
    """A server that sends back what it gets, in upper case, until the other side ends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            while piece := connection.recv(65_536):
                connection.sendall(piece.upper())

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def relay(echo_port):
    relay = Relay(echo_port)
    yield relay
    relay.close()


def read_all(connection):
    pieces = []
    while piece := connection.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def test_what_goes_in_comes_out_and_is_counted(relay):
    before = relay.traffic
    sent = b"abc" * 300_000
    with socket.create_connection(("127.0.0.1", relay.port)) as connection:
        connection.settimeout(120)
        sender = threading.Thread(
            target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR))
        )
        sender.start()
        received = read_all(connection)
        sender.join()

    assert received == sent.upper()
    assert relay.traffic.since(before) == Traffic(len(sent), len(sent))
    assert relay.traffic.total_bytes == 2 * len(sent)


def test_cutting_ends_connections_and_mending_lets_new_ones_through(relay):
    with socket.create_connection(("127.0.0.1", relay.port)) as connection:
        connection.settimeout(120)
        connection.sendall(b"x")
        assert connection.recv(1) == b"X"
        relay.cut()
        assert read_all(connection) == b""

    with socket.create_connection(("127.0.0.1", relay.port)) as refused:
        refused.settimeout(120)
        with contextlib.suppress(ConnectionError):
            assert refused.recv(1) == b""

    relay.mend()
    with socket.create_connection(("127.0.0.1", relay.port)) as connection:
        connection.settimeout(120)
        connection.sendall(b"y")
        assert connection.recv(1) == b"Y"


def test_a_server_that_is_away_ends_the_connection():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    relay = Relay(port)
    with socket.create_connection(("127.0.0.1", relay.port)) as connection:
        connection.settimeout(120)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""
    relay.close()
    relay.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", relay.port), timeout=120)
