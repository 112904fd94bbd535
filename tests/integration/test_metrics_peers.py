# SPDX-License-Identifier: Apache-2.0
"""Several processes of one server tell their metrics as one."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drystone.server.bootstrap.watching.metrics import serving_metrics
from drystone.server.bootstrap.watching.peers import joined
from drystone.server.ports.watching.measuring import Measures
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess

COUNTED = ("_total", "_bucket", "_count")

PROCESS = """
import asyncio, sys
from pathlib import Path
from drystone.server.bootstrap.watching.metrics import serving_metrics
from drystone.server.ports.watching.measuring import Measures

async def main():
    measures = Measures()
    measures.counter("drystone_x_total", "X.").add(int(sys.argv[3]))
    async with serving_metrics(sys.argv[1], Path(sys.argv[2]), measures):
        print("joined", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def start(where, data_dir, count):
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, where, str(data_dir), str(count)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"joined\n"
    return process


def scrape(where):
    """Returns what each process counted, by its number."""
    with urllib.request.urlopen(f"http://{where}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    told = [line for line in lines if line.startswith("drystone_x_total{")]
    return {line.partition('worker="')[2].partition('"')[0]: line.split()[-1] for line in told}


@pytest.fixture
def where():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    return f"127.0.0.1:{port}"


def test_one_scrape_covers_all_and_whoever_lives_answers(tmp_path, where):
    processes = [start(where, tmp_path, count) for count in (1, 2, 3)]
    try:
        together = scrape(where)
        os.kill(processes[1].pid, signal.SIGSTOP)
        without_one_that_hangs = scrape(where)
        os.kill(processes[1].pid, signal.SIGCONT)
        processes[0].kill()
        processes[0].wait()
        deadline = time.monotonic() + 120
        while True:
            try:
                after = scrape(where)
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                break
        processes.append(start(where, tmp_path, 4))
        again = scrape(where)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()

    assert together == {"0": "1.0", "1": "2.0", "2": "3.0"}
    assert without_one_that_hangs == {"0": "1.0", "2": "3.0"}
    assert after == {"1": "2.0", "2": "3.0"}
    assert again == {"0": "4.0", "1": "2.0", "2": "3.0"}


def scrape_all(where):
    """Returns all samples; waits while another process takes the place of the one that answered."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"http://{where}/metrics") as answer:
                text = answer.read().decode()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            continue
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def workers_in(samples):
    return {dict(labels)["worker"] for name, labels in samples if name == "drystone_info"}


def start_of(samples, worker):
    return samples.get(("process_start_time_seconds", frozenset({("worker", worker)})))


def test_one_scrape_covers_all_workers_and_none_goes_back_unseen(tmp_path, where):
    """What only grows goes back under a label only together with the start of its process."""
    environment = {
        **CHEAP_PASSWORDS,
        "DRYSTONE_SERVER_WORKERS": "2",
        "DRYSTONE_SERVER_METRICS": where,
    }
    seen = []

    def work_until(condition):
        deadline = time.monotonic() + 120
        while not (seen and condition()):
            assert time.monotonic() < deadline
            with suppress(OSError), urllib.request.urlopen(server.url + "/v1/health"):
                pass
            seen.append(scrape_all(where))

    with ServerProcess(tmp_path / "data", environment=environment) as server:
        work_until(lambda: len(workers_in(seen[-1])) == 2)
        os.kill(server.find_workers()[0], signal.SIGKILL)
        work_until(lambda: server.read_log().count("worker.started") == 3)
        work_until(lambda: len(workers_in(seen[-1])) == 2)
        log = server.read_log()
        server.stop()

    starts = {(worker, start_of(told, worker)) for told in seen for worker in workers_in(told)}
    for before, after in pairwise(seen):
        for (name, labels), value in after.items():
            worker = dict(labels)["worker"]
            if start_of(before, worker) == start_of(after, worker):
                assert not name.endswith(COUNTED) or value >= before.get((name, labels), 0), name
    assert len(starts) == 3
    assert f"http://{where}/metrics" in log


@pytest.mark.asyncio
async def test_a_process_that_ended_without_a_goodbye_is_left_out(tmp_path):
    async with joined(tmp_path, Measures().read) as peers:
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(tmp_path / "metrics" / "7.sock"))
        dead.close()

        assert not await peers.has_others()
        assert await peers.gather() == []


@pytest.mark.asyncio
async def test_numbers_of_a_server_are_nobody_elses_business(tmp_path):
    async with serving_metrics("127.0.0.1:0", tmp_path, Measures()):
        folder = tmp_path / "metrics"
        modes = {path.name: path.stat().st_mode & 0o077 for path in (folder, folder / "0.lock")}
        await asyncio.sleep(0)

    assert modes == {"metrics": 0, "0.lock": 0}
    assert not list(folder.glob("*.sock"))
