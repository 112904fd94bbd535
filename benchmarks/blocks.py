# SPDX-License-Identifier: Apache-2.0
"""The server's block path alone: what taking and giving blocks costs it.

``python -m benchmarks.blocks [DIR]`` starts a server that knows nothing but blocks, in a process
of its own, over real files and a real database in a temporary folder. It sends new raw blocks of
1 to 4 MiB, then the files of DIR up to 256 KiB as small compressed blocks (made up ones without
DIR), fetches all of them again, and serves plain files of 4 MiB beside that for comparison. What
comes back is verified. Packs are sealed as a server's are, or with ``--plain`` are not.
"""

import argparse
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import NamedTuple, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.processes import Meter
from drystone.cli.memory import keep_freed_memory
from drystone.cli.output import format_table
from drystone.core.content.coding import RAW_ONLY, decode_frame, encode_block
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer, block_id
from drystone.core.ids import AccountId, BlockId, DeviceId, NamespaceId
from drystone.core.limits import GIB, KIB, MIB, SMALL_FILE_BYTES_MAX
from drystone.server.faces.native import blocks as face
from drystone.server.faces.native.call import Call
from drystone.server.ports.metadata import Account
from drystone.server.ports.objects import Objects
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service.actor import Actor
from drystone.server.service.blocks import Blocks
from drystone.server.service.service import Service
from drystone.server.service.writer import Writer
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_sealed import (
    MASTER_KEY_BYTES,
    MasterKey,
    SealedObjects,
    make_keyring,
)
from drystone.server.storage.packs import ObjectPacks
from drystone.wire.bundle import BundleReader, BundleWriter
from drystone.wire.codec import decode_body, encode
from drystone.wire.messages import Fetch, PutAnswer

Endpoint = Callable[[Request], Awaitable[Response]]

NAMESPACE = NamespaceId(bytes(15) + b"\1")
ACTOR = Actor(AccountId(bytes(16)), "bench", DeviceId(bytes(16)), "bench", NAMESPACE)
PLAIN_BYTES = 4 * MIB
SMALL_PER_BUNDLE = 2_000
LARGE_PER_BUNDLE = 64


class Measured(NamedTuple):
    """What one kind of request cost."""

    name: str
    blocks_count: int
    plain_bytes: int
    seconds: float
    cpu_s: float
    peak_mb: float
    client_cpu_s: float


# --- the server -----------------------------------------------------------------------------------


def serve(folder: Path, listening: socket.socket, *, seals: bool) -> None:
    """Serves blocks, and plain files for comparison, until killed."""
    keep_freed_memory()
    metadata = SqliteMetadata(folder / "metadata.db")
    metadata.write(
        lambda unit: unit.accounts.add_account(
            Account(ACTOR.account_id, "bench", "", NAMESPACE, created_ns=0)
        )
    )
    writer = Writer(metadata)
    packs = ObjectPacks(open_objects(folder / "objects", seals=seals))
    blocks = Blocks(packs, metadata, writer, SystemClock(), Measures())
    service = SimpleNamespace(blocks=blocks)
    plain = folder / "plain"
    plain.write_bytes(Random(0).randbytes(PLAIN_BYTES))

    def endpoint(run: Callable[[Call], Awaitable[Response]]) -> Endpoint:
        async def answer(request: Request) -> Response:
            return await run(Call(request, cast("Service", service), ACTOR, ""))

        return answer

    async def serve_plain(_: Request) -> Response:
        return Response(plain.read_bytes())

    routes = [Route("/plain", serve_plain)]
    routes += [
        Route(operation.path, endpoint(operation.run), methods=[operation.method])
        for operation in face.OPERATIONS
    ]
    config = uvicorn.Config(
        Starlette(routes=routes),
        http="httptools",
        lifespan="off",
        access_log=False,
        timeout_keep_alive=600,  # The load keeps its connection, however long others take.
    )
    uvicorn.Server(config).run(sockets=[listening])


def open_objects(folder: Path, *, seals: bool) -> Objects:
    """Returns a store of files, sealed under a key that nobody will ever need again."""
    files = FileObjects(folder)
    if not seals:
        return files
    keyring = make_keyring(MasterKey(os.urandom(MASTER_KEY_BYTES)), holds_plain=False)
    return SealedObjects(files, keyring, lambda: keyring)


# --- the load -------------------------------------------------------------------------------------


class Load:
    """Sends and fetches bundles over one connection, and counts what that costs the server."""

    def __init__(self, port: int, server_pid: int) -> None:
        self._port = port
        self._buffer = bytearray(MIB)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, blocksize=MIB)
        self._server = Meter(server_pid)

    def put(self, name: str, frames: Sequence[Frame], per_bundle: int) -> Measured:
        """Sends frames in bundles of so many."""
        bundles = [make_bundle(part) for part in split(frames, per_bundle)]

        def send() -> None:
            stored = 0
            for bundle in bundles:
                path = f"/v1/blocks?namespace={NAMESPACE.hex()}"
                self._connection.request("PUT", path, bundle)
                stored += decode_body(PutAnswer, self._read(), None).stored_blocks
            assert stored == len(frames), f"{stored} of {len(frames)} blocks were new"

        return self._measure(name, frames, send)

    def fetch(self, name: str, frames: Sequence[Frame], per_bundle: int) -> Measured:
        """Fetches these blocks in bundles of so many."""
        requests = [
            encode(Fetch(NAMESPACE, b"".join(frame.block_id for frame in part)))
            for part in split(frames, per_bundle)
        ]
        self._connection.request("POST", "/v1/blocks/fetch", requests[0])
        found = [frame.block_id for frame in read_bundle(self._read())]
        assert found == [frame.block_id for frame in frames[:per_bundle]], "others came back"

        def receive() -> None:
            lengths = [self._receive_all("POST", "/v1/blocks/fetch", body) for body in requests]
            assert sum(lengths) > sum(len(frame.payload) for frame in frames)

        return self._measure(name, frames, receive)

    def get_plain(self, name: str, count: int) -> Measured:
        """Fetches a plain file of 4 MiB so many times."""
        frame = Frame(BlockId(bytes(32)), PLAIN_BYTES, 0, b"")

        def receive() -> None:
            for _ in range(count):
                assert self._receive_all("GET", "/plain", b"") > PLAIN_BYTES

        return self._measure(name, [frame] * count, receive)

    def _receive_all(self, method: str, path: str, body: bytes) -> int:
        """Makes a request and returns how many bytes came back, which are not looked at."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        length = 0
        with socket.create_connection(("127.0.0.1", self._port)) as plug:
            plug.sendall(head.encode() + body)
            while count := plug.recv_into(self._buffer):
                length += count
        return length

    def _read(self) -> bytes:
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, body[:500]
        return body

    def _measure(self, name: str, frames: Sequence[Frame], work: Callable[[], None]) -> Measured:
        self._server.reset()
        cpu_s, started_s = time.process_time(), time.perf_counter()
        work()
        seconds = time.perf_counter() - started_s
        cpu_s = time.process_time() - cpu_s
        cost = self._server.cost()
        plain_bytes = sum(frame.plain_bytes for frame in frames)
        return Measured(name, len(frames), plain_bytes, seconds, cost.cpu_s, cost.peak_mb, cpu_s)


def make_bundle(frames: Sequence[Frame]) -> bytes:
    """Returns a whole bundle."""
    writer = BundleWriter()
    parts: list[Buffer] = [writer.begin()]
    for frame in frames:
        parts += writer.frame(frame)
    return b"".join([*parts, writer.end()])


def read_bundle(bundle: bytes) -> Iterator[Frame]:
    """Yields the frames of a whole bundle, verified."""
    reader = BundleReader()
    for frame in reader.feed(bundle):
        decode_frame(frame, lambda _: None)
        yield frame
    reader.finish()


def split(frames: Sequence[Frame], count: int) -> Iterator[Sequence[Frame]]:
    """Yields so many frames at a time."""
    for start in range(0, len(frames), count):
        yield frames[start : start + count]


def make_large(total_bytes: int) -> list[Frame]:
    """Returns raw blocks of 256 KiB to 4 MiB, 1.3 MiB on average, as a chunker makes them."""
    random = Random(1)
    frames: list[Frame] = []
    while total_bytes > 0:
        length = min(4 * MIB, int(256 * KIB + random.expovariate(1 / MIB)))
        block = random.randbytes(length)
        frames.append(encode_block(block_id(block), block, RAW_ONLY))
        total_bytes -= length
    return frames


def make_small(folder: Path | None, count_max: int) -> list[Frame]:
    """Returns compressed blocks: distinct small files of a folder, or text made up of words."""
    found: dict[BlockId, Frame] = {}
    for block in iter_files(folder) if folder else iter_texts():
        name = block_id(block)
        found.setdefault(name, encode_block(name, block))
        if len(found) >= count_max:
            break
    return list(found.values())


def iter_files(folder: Path) -> Iterator[bytes]:
    """Yields each regular file of at most 256 KiB, none empty."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink() and 0 < path.stat().st_size <= SMALL_FILE_BYTES_MAX:
                yield path.read_bytes()


def iter_texts() -> Iterator[bytes]:
    """Yields texts of about 16 KB without end, about as compressible as source code."""
    random = Random(2)
    words = [random.randbytes(random.randint(2, 6)).hex() for _ in range(4_000)]
    while True:
        count = random.randint(20, 3_500)
        yield " ".join(random.choices(words, k=count)).encode()


def show(measured: Sequence[Measured]) -> str:
    """Returns a table of what was measured."""
    head = ("what", "blocks", "MB", "s", "MB/s", "server cpu s", "cpu s/GB", "peak MB", "client")
    rows = [
        (
            m.name,
            f"{m.blocks_count:,}",
            f"{m.plain_bytes / 1e6:,.0f}",
            f"{m.seconds:.2f}",
            f"{m.plain_bytes / 1e6 / m.seconds:,.0f}",
            f"{m.cpu_s:.2f}",
            f"{m.cpu_s / m.plain_bytes * 1e9:.2f}",
            f"{m.peak_mb:.0f}",
            f"{m.client_cpu_s:.2f}",
        )
        for m in measured
    ]
    return "\n".join(format_table(head, rows, right=range(1, len(head))))


def run(
    folder: Path | None, total_bytes: int, small_count: int, *, seals: bool = True
) -> list[Measured]:
    """Starts a server, loads it, and returns what that cost."""
    large, small = make_large(total_bytes), make_small(folder, small_count)
    with tempfile.TemporaryDirectory(prefix="drystone-blocks-") as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [sys.executable, "-m", "benchmarks.blocks", "--serve", name, str(port)]
        command += [] if seals else ["--plain"]
        log = Path(name, "server.log")
        with log.open("ab") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_for(port, server)
            load = Load(port, server.pid)
            measured = [
                load.put("put large raw", large, LARGE_PER_BUNDLE),
                load.fetch("fetch large raw", large, LARGE_PER_BUNDLE),
                load.get_plain("plain files", max(1, total_bytes // PLAIN_BYTES)),
                load.put("put small zstd", small, SMALL_PER_BUNDLE),
                load.fetch("fetch small zstd", small, SMALL_PER_BUNDLE),
            ]
        finally:
            server.terminate()
            server.wait()
    return measured


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Returns once the server answers."""
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server ended before it listened")


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.blocks")
    parser.add_argument("folder", nargs="?", type=Path, help="whose small files to send")
    parser.add_argument("--bytes", type=int, default=GIB, help="of large raw blocks")
    parser.add_argument("--small", type=int, default=80_000, help="small blocks at most")
    parser.add_argument("--plain", action="store_true", help="keep packs unsealed")
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with socket.create_server(("127.0.0.1", int(options.serve[1]))) as listening:
            serve(Path(options.serve[0]), listening, seals=not options.plain)
        return
    print(show(run(options.folder, options.bytes, options.small, seals=not options.plain)))


if __name__ == "__main__":
    main()
