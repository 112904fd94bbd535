# SPDX-License-Identifier: Apache-2.0
"""Readiness with each part taken away: a real database, a real store, a full disk, a stop."""

import json
import signal
import time
import urllib.error
import urllib.request

import pytest

from drystone.core.errors import DrystoneError
from drystone.server.bootstrap.watching.checking import check_database, check_store
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.objects_cloud import CloudObjects, parse_location
from drystone.testing.postgres import PostgresServer
from drystone.testing.servers import ServerProcess
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server


def ask(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def ask_until(server, status):
    """Asks whether it is ready until the answer is this one: parts are checked at intervals."""
    while (told := ask(server.url + "/v1/ready"))[0] != status:
        time.sleep(0.2)
    return told


def test_a_server_that_started_is_alive_and_ready(shared_server):
    assert ask(shared_server.url + "/v1/health")[0] == 200
    status, answer = ask(shared_server.url + "/v1/ready")

    assert (status, answer["status"], answer["parts"]) == (200, "ready", ["database", "disk"])


def test_without_its_database_a_server_is_alive_and_says_that_it_is_not_ready(tmp_path):
    with PostgresServer(tmp_path / "postgres") as postgres:
        url = postgres.make_database()
        environment = {"DRYSTONE_SERVER_DATABASE": url}
        with ServerProcess(tmp_path / "data", environment=environment) as server:
            was_ready = ask(server.url + "/v1/ready")
            postgres.stop()
            told = ask_until(server, 503)
            is_alive = ask(server.url + "/v1/health")[0] == 200
            postgres.start()
            ask_until(server, 200)
            log = server.read_log()

    status, problem = told
    assert was_ready[0] == 200
    assert (status, problem["code"], problem["retryable"]) == (503, "not-ready", True)
    assert "database (server-database-unreachable)" in problem["detail"]
    assert url not in json.dumps(problem)
    assert is_alive
    troubles = [json.loads(line) for line in log.splitlines() if "ready.trouble" in line]
    assert troubles
    assert "connection" in troubles[0]["what"], "the operator is told what was said"
    assert troubles[0]["what"] not in json.dumps(problem)
    assert "ready.again" in log


def test_a_database_that_is_away_is_found_out_and_again_when_it_is_back(tmp_path):
    with PostgresServer(tmp_path / "postgres") as postgres:
        metadata = PostgresMetadata(postgres.make_database(), wait_s=0.5)
        check_database(metadata)
        postgres.stop()
        with pytest.raises(DrystoneError) as told:
            check_database(metadata)
        postgres.start()
        check_database(metadata)
        metadata.close()

    assert told.value.code == "server-database-unreachable"


def test_a_store_that_is_away_is_found_out_and_again_when_it_is_back(tmp_path, monkeypatch):
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with S3Server(tmp_path / "s3") as store:
        bucket = store.make_bucket()
        objects = CloudObjects(parse_location(store.url(bucket)))
        check_store(objects)
        left = list(objects.iter_names())
        store.stop()
        with pytest.raises(DrystoneError) as told:
            check_store(objects)

    assert not left
    assert told.value.code == "server-storage-away"


def test_a_server_of_one_process_ends_in_order_when_its_terminal_does(tmp_path):
    with ServerProcess(tmp_path / "data") as server:
        server.signal(signal.SIGHUP)
        code = server.wait()

        assert (code, "server.stopped" in server.read_log()) == (0, True)
