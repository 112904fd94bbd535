# SPDX-License-Identifier: Apache-2.0
"""Idle devices: what many open bells cost the server, and how soon all of them have rung.

``python -m benchmarks.sockets --count 10000 --workers 2`` starts a real server with its defaults on
loopback, opens so many bells of as many devices of one account, lets them be, and then commits one
folder a few times: each bell has to tell of it. The bells are plain sockets in this process, read
without asyncio, so that little of the time is theirs; but they share the processors with it.
"""

import argparse
import base64
import hashlib
import http.client
import json
import resource
import secrets
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import Meter
from drystone.cli.output import format_table
from drystone.core.ids import ID_BYTES, ROOT_ID, DeviceId, FileId, NamespaceId, Rev, Seq
from drystone.core.journal.change import Commit, Create
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.metadata import Device, Unit
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.testing.servers import ServerProcess
from drystone.wire.changes import commit_to_wire
from drystone.wire.codec import encode

AT_ONCE: Final = 200
"""Bells that are being opened at the same time."""
IDLE_S: Final = 10.0
RINGS: Final = 5
SPARE_FILES: Final = 500
PER_ADDRESS: Final = 20_000
"""Connections from one loopback address: the kernel has some 28,000 ports for each."""

_KEY: Final = base64.b64encode(bytes(16)).decode()


class Report(NamedTuple):
    """What was found; memory in KiB, CPU in seconds."""

    bells: int
    workers: int
    per_worker: list[int]
    open_s: float
    open_cpu_s: float
    kib_per_bell: float
    idle_cpu_percent: float
    first_heard_ms: float
    half_heard_ms: float
    all_heard_ms: float
    all_heard_ms_worst: float
    ring_cpu_ms: float


class Bell:
    """One open bell, as a device has it."""

    def __init__(self, address: tuple[str, int], source: str, token: str, namespace: str) -> None:
        self.socket = socket.socket()
        self.socket.bind((source, 0))
        self.socket.connect(address)
        self.received = b""
        self.head = -1
        self._is_open = False
        self.socket.sendall(
            f"GET /v1/bell?namespace={namespace} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        self.socket.setblocking(False)  # noqa: FBT003

    def read(self) -> None:
        """Takes what has come; ``head`` is the last one told, -1 before the first."""
        data = self.socket.recv(4096)
        if not data:
            raise ConnectionError(f"the server hung up: {self.received[:300]!r}")
        self.received += data
        if not self._is_open:
            answer, mark, rest = self.received.partition(b"\r\n\r\n")
            if not mark:
                return
            if b" 101 " not in answer.splitlines()[0]:
                raise ConnectionError(answer.decode(errors="replace"))
            self.received, self._is_open = rest, True
        # Frames of the server are short and not masked: two bytes, then the text.
        while len(self.received) >= 2 and len(self.received) >= 2 + self.received[1]:
            end = 2 + self.received[1]
            if self.received[0] == 0x81:
                self.head = json.loads(self.received[2:end])["head"]
            self.received = self.received[end:]


def make_devices(path: Path, account_name: str, count: int) -> tuple[list[str], str]:
    """Adds devices behind the server's back; returns their tokens, and their namespace."""
    metadata = SqliteMetadata(path)
    tokens = ["ds_" + secrets.token_urlsafe(32) for _ in range(count)]

    def work(unit: Unit) -> NamespaceId:
        account = unit.accounts.find_account(account_name)
        assert account is not None
        now_ns = time.time_ns()
        for number, token in enumerate(tokens):
            device_id = DeviceId(secrets.token_bytes(ID_BYTES))
            token_hash = hashlib.sha256(token.encode()).digest()
            unit.accounts.add_device(
                Device(device_id, account.account_id, f"d{number}", token_hash, now_ns, now_ns)
            )
        return account.root_namespace_id

    namespace_id = metadata.write(work)
    metadata.close()
    return tokens, namespace_id.hex()


class Run:
    """A server and its bells."""

    def __init__(self, server: ServerProcess, tokens: list[str], namespace: str) -> None:
        self._address = ("127.0.0.1", server.port)
        self._tokens = tokens
        self._namespace = namespace
        self._selector = selectors.DefaultSelector()
        self._pids = server.find_workers() or [server.pid]
        self.bells: list[Bell] = []
        self._touched: list[Bell] = []

    def open_all(self) -> None:
        """Opens all bells, some at a time; returns once each has told its first head."""
        for start in range(0, len(self._tokens), AT_ONCE):
            fresh = []
            for number, token in enumerate(self._tokens[start : start + AT_ONCE], start):
                source = f"127.0.0.{2 + number // PER_ADDRESS}"
                bell = Bell(self._address, source, token, self._namespace)
                self._selector.register(bell.socket, selectors.EVENT_READ, bell)
                fresh.append(bell)
            self.bells += fresh
            self._read_until(lambda: all(bell.head >= 0 for bell in fresh))  # noqa: B023

    def ring(self, number: int) -> list[float]:
        """Commits a folder; returns after how many seconds each bell told of it, in order."""
        heads = self.bells[0].head
        file_id = FileId(secrets.token_bytes(ID_BYTES))
        entry = Entry(file_id, ROOT_ID, f"f{number}", Kind.FOLDER, None, 0o755, 0, "", Rev(0))
        body = encode(commit_to_wire(Commit((Create(entry),), Seq(heads)), ""))
        connection = http.client.HTTPConnection(*self._address)
        headers = {"Authorization": f"Bearer {self._tokens[0]}", "Content-Type": "application/json"}
        connection.connect()
        began = time.perf_counter()
        path = f"/v1/namespaces/{self._namespace}/commits"
        connection.request("POST", path, body, headers)
        heard: list[float] = []
        waiting = {bell for bell in self.bells if bell.head == heads}

        def is_over() -> bool:
            now = time.perf_counter() - began
            for bell in [bell for bell in self._touched if bell.head > heads]:
                if bell in waiting:
                    waiting.discard(bell)
                    heard.append(now)
            return not waiting

        self._read_until(is_over)
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        assert answer.status == 200, told
        return heard

    def cpu_s(self) -> float:
        """Returns what all workers have used so far."""
        return sum(Meter(pid).cost().cpu_s for pid in self._pids)

    def resident_kib(self) -> list[float]:
        """Returns what each worker holds in memory."""
        return [Meter(pid).resident_mb() * 1e6 / 1024 for pid in self._pids]

    def count_per_worker(self) -> list[int]:
        """Returns how many sockets each worker has open."""
        counts = []
        for pid in self._pids:
            links = (str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir())
            counts.append(sum(link.startswith("socket:") for link in links))
        return counts

    def _read_until(self, is_over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 300
        while True:
            events = self._selector.select(timeout=10)
            self._touched = [key.data for key, _ in events]
            for bell in self._touched:
                bell.read()
            if is_over():
                return
            assert time.monotonic() < deadline, "bells stay silent"


def measure(count: int, workers: int, folder: Path) -> Report:
    """Runs all of it."""
    environment = {"DRYSTONE_SERVER_WORKERS": str(workers)}
    with ServerProcess(folder / "data", environment=environment) as server:
        server.add_account("bench", "correct horse")
        tokens, namespace = make_devices(server.data_dir / "metadata.db", "bench", count)
        run = Run(server, tokens, namespace)
        before_kib, before_sockets = run.resident_kib(), run.count_per_worker()
        cpu_s, began = run.cpu_s(), time.perf_counter()
        run.open_all()
        open_s, open_cpu_s = time.perf_counter() - began, run.cpu_s() - cpu_s
        time.sleep(2)
        grown_kib = sum(run.resident_kib()) - sum(before_kib)
        cpu_s = run.cpu_s()
        time.sleep(IDLE_S)
        idle_cpu_s = run.cpu_s() - cpu_s
        cpu_s = run.cpu_s()
        rings = []
        for number in range(RINGS):
            rings.append(run.ring(number))
            time.sleep(1)
        ring_cpu_s = (run.cpu_s() - cpu_s) / RINGS
        sockets = [a - b for a, b in zip(run.count_per_worker(), before_sockets, strict=True)]
        server.stop()
    return Report(
        bells=count,
        workers=workers,
        per_worker=sockets,
        open_s=open_s,
        open_cpu_s=open_cpu_s,
        kib_per_bell=grown_kib / count,
        idle_cpu_percent=idle_cpu_s / IDLE_S * 100,
        first_heard_ms=statistics.median(ring[0] for ring in rings) * 1e3,
        half_heard_ms=statistics.median(ring[len(ring) // 2] for ring in rings) * 1e3,
        all_heard_ms=statistics.median(ring[-1] for ring in rings) * 1e3,
        all_heard_ms_worst=max(ring[-1] for ring in rings) * 1e3,
        ring_cpu_ms=ring_cpu_s * 1e3,
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="bells to open")
    parser.add_argument("--workers", type=int, default=2, help="workers of the server")
    parser.add_argument("--workdir", type=Path, help="where the server keeps its data meanwhile")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = arguments.count + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        parser.error(f"this user may open {hard} files, and {wanted} are needed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with tempfile.TemporaryDirectory(dir=arguments.workdir) as folder:
        report = measure(arguments.count, arguments.workers, Path(folder))
    rows = [
        [name, f"{value:.1f}" if isinstance(value, float) else str(value)]
        for name, value in report._asdict().items()
    ]
    print("\n".join(format_table(["what", "value"], rows)))


if __name__ == "__main__":
    main()
