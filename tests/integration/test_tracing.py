# SPDX-License-Identifier: Apache-2.0
"""Traces of a real server, taken by a real receiver of OTLP over HTTP."""

import asyncio
import gzip
import re
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from drystone.testing.real_devices import RealDevice
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from tests.integration.listening import listen_while

PASSWORD = "correct horse"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """Takes traces on a port of the loopback."""

    def __init__(self):
        self.bodies = []
        self.paths = set()
        collector = self

        class Take(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.paths.add(self.path)
                collector.bodies.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def spans(self):
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def attributes_of(span):
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The spans of a sync and of one request with a traceparent, by id, and all bytes sent."""
    folder = tmp_path_factory.mktemp("traced")
    collector = Collector()
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_TRACING": collector.url}
    try:
        with ServerProcess(folder / "data", environment=environment) as server:
            server.add_account("anna", PASSWORD)
            device = RealDevice(folder / "laptop", server.url, "anna", "laptop")
            device.folder.mkdir(parents=True)
            device.log_in()
            device.write("secret-name", b"x" * 50_000)
            asyncio.run(listen_while(server.url, PASSWORD, device.sync))
            request = urllib.request.Request(
                server.url + "/v1/ready?token=secret-query",
                headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
            )
            with urllib.request.urlopen(request) as answer:
                request_id = answer.headers["Request-Id"]
            assert server.stop() == 0
    finally:
        collector.close()
    return collector, {span.span_id: span for span in collector.spans()}, request_id


def test_each_request_is_a_span_with_its_route_status_and_request_id(traced):
    collector, spans, _ = traced
    requests = [
        attributes_of(span)
        for span in spans.values()
        if span.kind == 2 and span.name != "bell.open"
    ]
    bells = [span for span in spans.values() if span.name == "bell.open"]
    routes = {(told["http.request.method"], told["http.route"]) for told in requests}

    assert collector.paths == {"/v1/traces"}
    assert ("PUT", "/v1/blocks") in routes
    assert bells
    assert all(attributes_of(span)["http.route"] == "/v1/bell" for span in bells)
    assert ("POST", "/v1/namespaces/{namespace}/commits") in routes
    assert all(re.fullmatch("[0-9a-f]{16}", told["drystone.request_id"]) for told in requests)
    assert all(told["http.response.status_code"] >= 200 for told in requests)


def test_units_of_work_and_store_requests_are_parts_of_their_request(traced):
    _, spans, _ = traced

    def request_of(span):
        while span.parent_span_id in spans:
            span = spans[span.parent_span_id]
        return span.name

    parts = {(span.name, request_of(span)) for span in spans.values() if span.kind == 1}

    assert ("database.write", "POST /v1/namespaces/{namespace}/commits") in parts
    assert ("database.read", "POST /v1/blocks/ask") in parts
    assert ("store.put", "PUT /v1/blocks") in parts
    # Whom a commit rings for is part of what it caused.
    assert ("bell.ring", "POST /v1/namespaces/{namespace}/commits") in parts
    assert ("database.read", "bell.open") in parts
    assert ("database.write", "PUT /v1/blocks") in parts


def test_a_callers_trace_is_gone_on_with(traced):
    _, spans, request_id = traced
    [span] = [span for span in spans.values() if span.trace_id.hex() == TRACE]

    assert span.parent_span_id.hex() == PARENT
    assert span.name == "GET /v1/ready"
    assert attributes_of(span)["drystone.request_id"] == request_id


def test_traces_hold_no_names_and_no_secrets(traced):
    collector, _, _ = traced
    sent = b"".join(collector.bodies)

    for secret in (b"secret", b"anna", b"laptop", PASSWORD.encode()):
        assert secret not in sent


def test_a_collector_that_is_away_holds_nothing_up(tmp_path):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_TRACING": "http://127.0.0.1:9"}
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        with urllib.request.urlopen(server.url + "/v1/ready") as answer:
            assert answer.status == 200
        assert server.stop() == 0


def test_without_the_setting_nothing_of_it_is_imported():
    program = """
import sys, drystone.server.bootstrap
print(*(name for name in sys.modules if name.startswith(("opentelemetry", "prometheus"))))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert said.stdout.split() == []
