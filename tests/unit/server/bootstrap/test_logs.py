# SPDX-License-Identifier: Apache-2.0

import json
import logging

import pytest
import structlog

from drystone.server.bootstrap.watching.logs import configure_logs
from drystone.server.settings import ServerSettings


@pytest.fixture(autouse=True)
def _logs_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def fail_knowing(secret, log):
    try:
        raise ValueError(len(secret))
    except ValueError:
        log.exception("failed", request_id="r")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_traceback_is_told_without_local_variables(capsys, log_format):
    configure_logs(ServerSettings(log_format=log_format))
    fail_knowing("hunter2", structlog.get_logger())
    told = capsys.readouterr().err

    assert "ValueError: 7" in told
    assert "hunter2" not in told


def test_lines_for_machines_are_json_from_the_chosen_level_on(capsys):
    configure_logs(ServerSettings(log_format="json", log_level="warning"))
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud", count=3)
    logging.getLogger("uvicorn.error").info("quiet")
    logging.getLogger("uvicorn.error").error("from a library")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [line["event"] for line in lines] == ["loud", "from a library"]
    assert lines[0]["count"] == 3


def test_what_uvicorn_says_of_refused_bells_is_left_out(capsys):
    configure_logs(ServerSettings(log_format="json"))
    logging.getLogger("uvicorn.error").error("ASGI callable returned without completing handshake.")

    assert capsys.readouterr().err == ""
