# SPDX-License-Identifier: Apache-2.0
"""Bad input: wrong URL, no server, wrong password, a device that was revoked."""

import socket

import pytest

from drystone.client.bootstrap import list_devices, login, revoke_device
from drystone.core.errors import DrystoneError
from drystone.testing.answers import FalseServer
from drystone.testing.real_devices import PASSWORD, RealDevice, converge


def refusal(act, *arguments):
    """Returns the error that a call ends with: it must say what to do."""
    with pytest.raises(DrystoneError) as caught:
        act(*arguments)
    assert caught.value.message
    assert caught.value.advice
    return caught.value


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# --- wrong URL ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://sync.example.org",
        "http://",
        "127.0.0.1:8440",
        "http://host:port",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://a b",
        "http://a\x00b",
        "http://anna:secret@127.0.0.1:8440",
        "http://127.0.0.1:8440/?x=1",
        "http://127.0.0.1:8440/#x",
    ],
)
def test_text_that_is_no_url_of_a_server_is_refused(tmp_path, url):
    device = RealDevice(tmp_path, url, "anna", "one")
    error = refusal(device.log_in)

    assert error.code == "bad-server-url"
    assert "http://127.0.0.1:8440" in error.advice
    assert "secret" not in error.message
    assert not device.settings.credentials_path.exists()


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"<html>hello", "text/html"), (b"{}", "application/json"), (b"", "application/json")],
)
def test_server_of_something_else_is_told_from_ours(tmp_path, body, media_type):
    with FalseServer() as other:
        other.answer(200, body, {"Content-Type": media_type})
        device = RealDevice(tmp_path, other.url, "anna", "one")
        error = refusal(device.log_in)

    assert error.code == "not-a-drystone-server"
    assert other.url in error.message
    assert "drystone serve" in error.advice
    assert not device.settings.credentials_path.exists()


def test_server_that_speaks_no_http_is_told_from_ours(tmp_path):
    with FalseServer() as other:
        other.say_at_once(b"SSH-2.0-OpenSSH_9.2\r\n")
        error = refusal(RealDevice(tmp_path, other.url, "anna", "one").log_in)

    assert error.code in ("not-a-drystone-server", "server-away")
    assert other.url in error.message


def test_tls_to_a_server_that_speaks_none_is_refused(shared_server, tmp_path):
    url = shared_server.url.replace("http:", "https:")
    error = refusal(RealDevice(tmp_path, url, "anna", "one").log_in)

    assert error.code == "tls-failed"
    assert url in error.message


def test_url_is_kept_in_one_way_however_it_was_typed(shared_server, join):
    device = join("one")
    for typed in (f" {shared_server.url}/ ", shared_server.url.replace("http", "HTTP")):
        told = login(device.settings, typed, device.account, PASSWORD)

        assert told.url == shared_server.url


# --- no server ------------------------------------------------------------------------------------


def test_no_server_is_told_at_once(tmp_path, free_port):
    url = f"http://127.0.0.1:{free_port}"
    error = refusal(RealDevice(tmp_path, url, "anna", "one").log_in)

    assert error.code == "server-away"
    assert f"{url} cannot be reached: connection refused" in error.message


def test_host_without_address_is_told(tmp_path):
    url = "http://no-such-host.invalid:8440"
    error = refusal(RealDevice(tmp_path, url, "anna", "one").log_in)

    assert error.code == "server-away"
    assert url in error.message


def test_server_that_went_away_costs_nothing_but_time(server, tmp_path):
    devices = [RealDevice(tmp_path / name, server.url, "anna", name) for name in ("one", "two")]
    one, two = devices
    for device in devices:
        device.log_in()
    one.write("kept", b"before")
    converge(one, two)
    port = server.port
    server.stop()
    one.write("new", b"while it was away")
    one.write("kept", b"edited")
    (two.folder / "kept").rename(two.folder / "moved")
    before = [device.look() for device in devices]
    errors = [refusal(device.sync) for device in devices]

    assert {error.code for error in errors} == {"server-away"}
    assert [device.look() for device in devices] == before

    server.start(port)
    converge(one, two)
    assert (two.read("moved"), two.read("new")) == (b"edited", b"while it was away")


# --- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("anna", ""), ("", "")]
)
def test_wrong_password_and_unknown_account_are_refused_alike(
    shared_server, tmp_path, account, password
):
    device = RealDevice(tmp_path, shared_server.url, account, "one")
    error = refusal(device.log_in, password)

    assert error.code == "sign-in-failed"
    assert error.message == "the account name or the password is wrong"
    assert not device.settings.credentials_path.exists()


def test_wrong_password_leaves_an_earlier_sign_in_alone(join):
    device = join("one")
    refusal(device.log_in, "wrong")
    device.write("file", b"x")

    assert device.sync().uploaded_count == 1


def test_device_without_a_sign_in_is_told_to_sign_in(shared_server, tmp_path):
    device = RealDevice(tmp_path, shared_server.url, "anna", "one")
    device.write("file", b"x")
    error = refusal(device.sync)

    assert error.code == "not-logged-in"
    assert f"drystone login {shared_server.url}" in error.advice
    assert not device.control.exists()


def test_revoked_device_keeps_its_files_and_goes_on_after_signing_in_again(join):
    one, two = join("one"), join("two")
    one.write("kept", b"x")
    converge(one, two)
    ids = {line.name: line.device_id for line in list_devices(one.settings)}
    revoke_device(one.settings, ids["two"])
    two.write("from-two", b"not sent yet")
    one.write("from-one", b"sent")
    one.sync()
    before = two.look()
    error = refusal(two.sync)

    assert error.code == "device-revoked"
    assert "drystone login" in error.advice
    assert two.look() == before

    two.log_in()
    converge(two, one)
    assert sorted(one.look()) == ["from-one", "from-two", "kept"]
