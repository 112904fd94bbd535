# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, devices, accounts: as typed, with good and bad input."""

import socket
import threading

import pytest

from drystone.cli.exit_codes import ExitCode
from tests.integration.cli_user import PASSWORD, User


@pytest.fixture
def user(tmp_path, monkeypatch):
    return User(tmp_path / "laptop", monkeypatch)


def log_in(user, url, password=PASSWORD, account="anna"):
    return user.run("login", url, "-u", account, "--password-stdin", "--json", typed=password)


def test_a_device_signs_in_is_listed_and_signs_out(user, shared_server):
    user.log_in(shared_server.url)
    listed = user.ask("devices", "list")
    current = [device for device in listed if device["is_current"]]
    assert [device["name"] for device in current] == ["laptop"]
    assert "this device" in user.run("devices", "list").out

    assert user.ask("logout") == {"url": shared_server.url}
    said = user.run("devices", "list", "--json")
    assert said.code == ExitCode.REFUSED
    assert said.problem["code"] == "not-logged-in"


def test_a_revoked_device_is_told_so(tmp_path, monkeypatch, shared_server):
    one, two = (User(tmp_path / name, monkeypatch) for name in ("one", "lost"))
    for user in (one, two):
        user.log_in(shared_server.url)

    asked = one.run("devices", "revoke", "lost")
    assert asked.code == ExitCode.USAGE
    assert "--yes" in asked.err
    assert two.run("ls").code == ExitCode.OK

    revoked = one.ask("devices", "revoke", "lost", "--yes")
    assert revoked["name"] == "lost"
    said = two.run("ls", "--json")
    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "device-revoked")
    assert "revoked" in one.run("devices", "list", "--all").out


def test_a_device_that_is_not_clear_is_not_revoked(user, shared_server):
    user.log_in(shared_server.url)

    said = user.run("devices", "revoke", "no-such", "--yes", "--json")

    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "device-unclear")


@pytest.mark.parametrize(
    ("account", "password"), [("anna", "wrong horse"), ("nobody", PASSWORD), ("anna", "x")]
)
def test_wrong_name_and_wrong_password_are_told_alike(user, shared_server, account, password):
    said = log_in(user, shared_server.url, password, account)

    assert said.code == ExitCode.REFUSED
    assert said.problem["code"] == "sign-in-failed"
    assert "name or the password" in said.problem["message"]
    assert not (user.home / "config" / "credentials.json").exists()


@pytest.mark.parametrize("url", ["localhost:1", "ftp://localhost", "http://[", "nonsense"])
def test_what_is_no_url_is_refused(user, url):
    said = log_in(user, url)

    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, "bad-server-url")
    assert "http" in said.problem["advice"]


def test_a_server_that_is_away_is_unavailable(user):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]

    said = log_in(user, f"http://127.0.0.1:{port}")

    assert (said.code, said.problem["code"]) == (ExitCode.UNAVAILABLE, "server-away")
    assert said.problem["message"].endswith("connection refused")
    assert said.problem["retryable"]


def test_another_kind_of_server_is_told_apart(user):
    def answer(connection):
        with connection:
            connection.recv(65_536)
            page = b"<h1>It works!</h1>"
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(page) + page)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: answer(listener.accept()[0]), daemon=True).start()
        said = log_in(user, f"http://127.0.0.1:{listener.getsockname()[1]}")

    assert (said.code, said.problem["code"]) == (
        ExitCode.MISCONFIGURED,
        "not-a-drystone-server",
    )


def test_operators_keep_accounts_beside_the_server(user, server):
    flags = ("--data-dir", server.data_dir)
    made = user.run(
        "admin", "add-account", "carl", "--password-stdin", *flags, typed="long enough\n"
    )
    assert made.code == ExitCode.OK
    assert "drystone login" in made.out
    names = [line["name"] for line in user.ask("admin", "list-accounts", *flags)]
    assert names == ["anna", "carl"]
    assert "carl" in user.run("admin", "list-accounts", *flags).out

    assert log_in(user, server.url, "long enough", "carl").code == ExitCode.OK
    user.ask("admin", "disable-account", "carl", "--yes", *flags)
    assert user.run("ls", "--json").code == ExitCode.REFUSED
    user.ask("admin", "enable-account", "carl", *flags)
    user.ask("admin", "set-password", "carl", "--password-stdin", *flags, typed="another one\n")
    assert log_in(user, server.url, "long enough", "carl").code == ExitCode.REFUSED
    assert log_in(user, server.url, "another one", "carl").code == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "typed", "code"),
    [
        (("add-account", "anna", "--password-stdin"), PASSWORD, "account-exists"),
        (("add-account", "dora", "--password-stdin"), "short", "unfit-password"),
        (("disable-account", "nobody", "--yes"), "", "account-not-found"),
    ],
)
def test_what_an_operator_may_not_do_is_refused(user, shared_server, arguments, typed, code):
    said = user.run(
        "admin", *arguments, "--data-dir", shared_server.data_dir, "--json", typed=typed
    )

    assert (said.code, said.problem["code"]) == (ExitCode.REFUSED, code)


def test_a_second_server_on_the_same_data_is_misconfigured(user, shared_server):
    said = user.run("serve", "--data-dir", shared_server.data_dir, "--port", "0", "--json")

    assert (said.code, said.problem["code"]) == (ExitCode.MISCONFIGURED, "data-dir-in-use")


def test_storage_is_told_to_the_operator(user, shared_server):
    totals = user.ask("admin", "storage", "--data-dir", shared_server.data_dir)

    assert totals.keys() >= {"blocks", "plain_bytes", "stored_bytes", "packs", "pack_bytes"}
    assert "blocks" in user.run("admin", "storage", "--data-dir", shared_server.data_dir).out
