# SPDX-License-Identifier: Apache-2.0
"""Metrics of a real server: where they are told, what they hold, and what they must not."""

import asyncio
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drystone.testing.real_devices import RealDevice
from drystone.testing.servers import CHEAP_PASSWORDS, ServerFailed, ServerProcess
from tests.integration.listening import listen_while

PASSWORD = "correct horse"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """What a server tells after two devices have synced, one what the other had sent, and where."""
    folder = tmp_path_factory.mktemp("metrics")
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_METRICS": "127.0.0.1:0"}
    with ServerProcess(folder / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        device = RealDevice(folder / "laptop", server.url, "anna", "laptop")
        device.folder.mkdir(parents=True)
        device.log_in()
        (device.folder / "secret-name.txt").write_bytes(b"x" * 50_000)
        (device.folder / "same again.txt").write_bytes(b"x" * 50_000)
        asyncio.run(listen_while(server.url, PASSWORD, device.sync))
        other = RealDevice(folder / "desk", server.url, "anna", "desk")
        other.folder.mkdir(parents=True)
        other.log_in()
        (other.folder / "same here.txt").write_bytes(b"x" * 50_000)
        other.sync()
        url = find_url(server)
        yield url, urllib.request.urlopen(url).read().decode(), server


def find_url(server):
    return re.search(r"http://127\.0\.0\.1:\d+/metrics", server.read_log())[0]


def families_of(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def total(text, name, **labels):
    """Returns the sum of the samples of this name that have these labels."""
    return sum(
        sample.value
        for family in families_of(text).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_sync_is_seen_in_every_count_it_touches(scraped):
    _, text, _ = scraped

    assert total(text, "drystone_requests_total", route="/v1/blocks", status="200") == 1
    assert total(text, "drystone_body_bytes_total", kind="blocks", direction="received") > 0
    assert total(text, "drystone_body_bytes_total", kind="messages", direction="sent") > 0
    assert total(text, "drystone_blocks_asked_total", answer="missing") == 1
    assert total(text, "drystone_blocks_asked_total", answer="held") == 1
    assert total(text, "drystone_blocks_put_total", outcome="stored") == 1
    assert total(text, "drystone_blocks_put_plain_bytes_total") == 50_000
    assert 0 < total(text, "drystone_blocks_put_stored_bytes_total") < 50_000
    assert total(text, "drystone_changes_total", outcome="accepted") == 3
    assert total(text, "drystone_commit_seconds_count") >= 1
    assert total(text, "drystone_commit_group_works_count") >= 2
    assert total(text, "drystone_store_requests_total", outcome="ok") >= 1
    assert total(text, "drystone_bell_rings_total") >= 1
    assert total(text, "drystone_bell_lag_seconds_count") >= 1
    assert 0 < total(text, "drystone_bell_lag_seconds_sum") < 60
    assert total(text, "drystone_bell_told_total") >= 1
    assert total(text, "drystone_bell_heard_lag_seconds_count") == 0, "there is no other worker"
    assert total(text, "drystone_info") == 1


def test_every_metric_is_described_with_its_kind_and_labels(scraped):
    _, text, _ = scraped
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    for family in families_of(text).values():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert all(sample.labels["worker"] == "0" for sample in family.samples)
        told = {label for sample in family.samples for label in sample.labels}
        labels = sorted(told - {"le", "worker"})
        shown = ", ".join(f"`{label}`" for label in labels)
        assert rows[name].startswith(f"{family.type} | {shown or '–'} | "), name


def test_no_metric_tells_who_or_what(scraped):
    _, text, server = scraped

    assert not re.search("anna|laptop|desk|secret-name|same again|same here", text)
    assert not re.search(r'"[^"]*[0-9a-f]{32}[^"]*"', text), "ids are no labels"
    assert str(server.data_dir) not in text


def test_nothing_else_is_told_there_and_no_metrics_where_devices_ask(scraped):
    url, _, server = scraped
    for elsewhere in (url.replace("/metrics", "/v1/health"), server.url + "/metrics"):
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(elsewhere)
        told.value.close()
        assert told.value.code == 404


def test_paths_that_nobody_serves_are_counted_as_one(scraped):
    url, _, server = scraped
    for path in ("/x1", "/x2", "/v1/nothing"):
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(server.url + path)
        told.value.close()
    request = urllib.request.Request(server.url + "/v1/health", method="PURGE")
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(request)
    told.value.close()
    text = urllib.request.urlopen(url).read().decode()

    assert total(text, "drystone_requests_total", route="unknown", method="other") >= 4
    assert "/x1" not in text
    assert "PURGE" not in text


def test_without_the_setting_nothing_listens(tmp_path):
    with ServerProcess(tmp_path / "data") as server:
        assert "/metrics" not in server.read_log()


def test_an_address_that_is_taken_stops_the_start(tmp_path, scraped):
    url, _, _ = scraped
    where = url.removeprefix("http://").removesuffix("/metrics")
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_METRICS": where}
    with pytest.raises(ServerFailed, match="cannot listen on"):
        ServerProcess(tmp_path / "data", environment=environment).start()
