# SPDX-License-Identifier: Apache-2.0
"""The last wall: whatever reaches a log line, no secret leaves in it."""

import io
import json
import logging
import sys

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from drystone.server.bootstrap.watching.hiding import find_secrets, hide_secrets
from drystone.server.bootstrap.watching.logs import configure_logs
from drystone.server.settings import ServerSettings

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~.+*!$()%"
secrets = st.text(ALPHABET, min_size=8, max_size=40).map(lambda text: f"S3cr3t{text}T3rc3S")

# How a secret comes into a text by accident: what libraries and clients put around it.
ACCIDENTS = (
    "connection to postgresql://drystone:{}@db.inside:5432/sync failed",
    "GET https://bucket.example/packs/1a?X-Amz-Credential=AKIA&X-Amz-Signature={}",
    "GET https://a.blob.example/c/p?sv=2024&sig={} gave 403",
    "GET /v1/changes?namespace=00&cursor={}",
    "headers: {{'Authorization': 'Bearer {}'}}",
    "authorization: Bearer {}",
    "Basic {}",
    '{{"account": "anna", "password": "{}"}}',
    "password={} host=db.inside",
    "PGPASSWORD={}",
    "AWS_SECRET_ACCESS_KEY={}",
    "aws_secret_access_key: {}",
    "x-amz-security-token: {}",
    "redis://:{}@cache.inside:6379/0 refused",
    "nats://drystone:{}@bus.inside:4222",
    "AccountName=a;AccountKey={};EndpointSuffix=x",
)


@given(st.sampled_from(ACCIDENTS), secrets)
def test_what_looks_like_a_secret_is_hidden(accident, secret):
    shown = hide_secrets(accident.format(secret))

    assert secret not in shown
    assert secret[6:-6] not in shown


@given(
    st.sampled_from(("postgresql", "redis", "nats", "rediss")),
    st.text(ALPHABET + "@:/#?& ", min_size=8, max_size=30),
    st.text(max_size=10),
)
def test_a_secret_of_the_settings_is_hidden_wherever_it_stands(scheme, password, around):
    from urllib.parse import quote

    known = find_secrets([f"{scheme}://user:{quote(password, safe='')}@host:1/x", "none", 3])
    shown = hide_secrets(f"{around}{password}{around} and {quote(password, safe='')}", known)

    assert password in known
    assert password not in shown.replace(around, "") or password in around


def test_what_is_no_secret_stays():
    told = "server.started http://127.0.0.1:8440 works=3 code=server-busy token_count 5, a secret"

    assert hide_secrets(told) == told


def test_addresses_without_passwords_give_no_secrets():
    assert find_secrets(["postgresql://db/x", "postgresql://user@db/x", "sqlite", "s3://b/x"]) == (
        frozenset()
    )


# --- through everything that writes lines ---------------------------------------------------------


@pytest.fixture
def _logs_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("_logs_as_before")
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_no_way_into_the_log_lets_a_secret_through(monkeypatch, log_format, accident):
    secret, known = "S3cr3tValue", "Kn0wnPassword"
    written = io.StringIO()
    written.fileno = lambda: 2
    monkeypatch.setattr(sys, "stderr", written)
    database = f"postgresql://drystone:{known}@db/x"
    configure_logs(ServerSettings(log_format=log_format, log_level="debug", database=database))
    text = accident.format(secret) + " " + known
    log = structlog.get_logger()
    library = logging.getLogger("a.library")

    log.info("told", value=text, deep={"er": [text, (text,)]}, error=ValueError(text))
    library.warning("told %s", text)
    for tell in (log.exception, library.exception):
        try:
            try:
                raise KeyError(text)
            except KeyError as error:
                raise RuntimeError(text) from error
        except RuntimeError:
            tell("failed")
    lines = written.getvalue()

    assert "RuntimeError" in lines
    assert secret not in lines
    assert known not in lines
    if log_format == "json":
        assert [json.loads(line)["event"] for line in lines.splitlines()]
