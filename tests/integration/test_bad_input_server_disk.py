# SPDX-License-Identifier: Apache-2.0
"""Bad input: the server's disk is full, or gives back other bytes than were written."""

import os
import random
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from drystone.core.content import zstd
from drystone.core.content.frame import HEADER_BYTES, Codec, decode_header
from drystone.core.content.hashing import PACK_TAG
from drystone.core.errors import DrystoneError
from drystone.testing.real_devices import RealDevice, converge, list_incoming, list_packs
from drystone.testing.servers import PLAIN_OBJECTS, ServerFailed, ServerProcess

MIB = 1 << 20


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)


def can_mount():
    """Tells whether this process may make a small filesystem of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="needs root, to mount a small filesystem")


# --- no room --------------------------------------------------------------------------------------


@contextmanager
def files_no_longer_than(server, bytes_max):
    """Lets the server write no file beyond a length: the nearest thing to a full disk that needs
    no privilege.
    """
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limit)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """Keeps packs as they are, so that this module can put its fingers on single frames."""
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with ServerProcess(data_dir, environment=PLAIN_OBJECTS) as server:
        yield server


def test_full_server_takes_nothing_too_large_and_all_else_goes_on(shared_server, join):
    one, two = join("one"), join("two")
    one.write("d/kept", b"x")
    converge(one, two)
    two.write("from-two", b"on its way to one")
    two.sync()
    one.write("large", noise(14 * MIB))
    one.write("d/kept", b"edited")
    with files_no_longer_than(shared_server, 6 * MIB):
        before = one.look()
        with pytest.raises(DrystoneError) as caught:
            one.sync()
        two.write("small", b"fits")
        uploaded_count = two.sync().uploaded_count

        assert caught.value.code == "server-storage-full"
        assert "no room to write" in caught.value.message
        assert "server's data directory" in caught.value.advice
        assert one.read("from-two") == b"on its way to one", "what comes down is not held up"
        assert before.items() <= one.look().items()
        assert uploaded_count == 1
        assert list_incoming(shared_server) == []
    converge(one, two)

    assert two.read("large") == one.read("large")


def test_server_whose_database_cannot_grow_says_so_and_goes_on_later(server, tmp_path):
    one, two = (RealDevice(tmp_path / name, server.url, "anna", name) for name in ("one", "two"))
    for device in (one, two):
        device.log_in()
    one.write("kept", b"x")
    converge(one, two)
    one.write("new", b"y")
    with files_no_longer_than(server, 4096):
        with pytest.raises(DrystoneError) as caught:
            one.sync()
        unsettled_count = two.sync().unsettled_count

        assert caught.value.code in ("server-database-trouble", "server-database-full")
        assert caught.value.advice
        assert caught.value.retryable
        assert unsettled_count == 0, "reading needs no room"
    converge(one, two)

    assert two.read("new") == b"y"
    assert list_incoming(server) == []


@needs_mount
def test_server_on_a_disk_that_is_really_full_goes_on_once_there_is_room(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=12m none {disk} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-m", "drystone", "serve"]
    with MountedServer(disk / "data", command=command) as server:
        server.enter("admin", "add-account", "anna", "--password-stdin")
        one = RealDevice(tmp_path / "one", server.url, "anna", "one")
        two = RealDevice(tmp_path / "two", server.url, "anna", "two")
        for device in (one, two):
            device.log_in()
        one.write("small", b"x")
        converge(one, two)
        one.write("large", noise(20 * MIB))
        before = one.look()
        with pytest.raises(DrystoneError) as caught:
            one.sync()

        assert caught.value.code in ("server-storage-full", "server-database-full")
        assert caught.value.advice
        assert one.look() == before

        server.run("mount", "-o", "remount,size=200m", str(disk))
        converge(one, two)
        assert server.run("ls", f"{disk}/data/objects/.incoming") == ""


class MountedServer(ServerProcess):
    """A server whose data directory is in a mount namespace of its own."""

    def run(self, *command, typed=""):
        """Runs a command where the server sees its disk; returns what it says."""
        enter = ["nsenter", "-t", str(self.pid), "-m"]
        done = subprocess.run(
            [*enter, *command], input=typed, capture_output=True, text=True, check=True
        )
        return done.stdout

    def enter(self, *arguments):
        """Runs one of our commands on the data directory."""
        command = [sys.executable, "-m", "drystone", *arguments, "--data-dir", str(self.data_dir)]
        self.run(*command, typed="correct horse\n")

    def start(self, port=0):
        # Where it listens stands in a file that only it can see: so it is told a port.
        import socket
        import time

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self._environment},
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"
        deadline_s = time.monotonic() + 120
        while self.url not in self.read_log():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise ServerFailed(self.read_log())
            time.sleep(0.02)
        return self


# --- other bytes than were written ----------------------------------------------------------------


class Damage:
    """The one pack that some small files lie in, and ways to damage it."""

    def __init__(self, path):
        self.path = path
        self.whole = path.read_bytes()
        self.frames = []
        position = len(PACK_TAG)
        while position < len(self.whole):
            header = decode_header(self.whole, position)
            self.frames.append((position, header))
            position += HEADER_BYTES + header.stored_bytes

    def write(self, content):
        """Puts other bytes in its place."""
        self.path.unlink(missing_ok=True)
        self.path.write_bytes(content)

    def mend(self):
        """Brings it back, as from a backup."""
        self.write(self.whole)

    def flip(self, offset):
        """Inverts one byte."""
        self.write(
            self.whole[:offset] + bytes([self.whole[offset] ^ 255]) + self.whole[offset + 1 :]
        )

    def put_payload(self, payload):
        """Puts another payload into the first compressed frame, as long as it was."""
        position, header = next(f for f in self.frames if f[1].codec == Codec.ZSTD)
        start = position + HEADER_BYTES
        filled = payload.ljust(header.stored_bytes, b"\0")
        assert len(filled) == header.stored_bytes
        self.write(self.whole[:start] + filled + self.whole[start + header.stored_bytes :])
        return header


@pytest.fixture
def packed(shared_server, join):
    """A device with five small files on the server, another with none, and their pack."""
    one, two = join("one"), join("two")
    known = set(list_packs(shared_server))
    # Of this account alone: what the server has already would lie in another pack.
    chance = random.Random(one.account)
    for number in range(5):
        lines = [
            b"line %d of a text that compresses\n" % chance.randrange(1 << 40) for _ in range(90)
        ]
        one.write(f"d/f{number}", b"".join(lines))
    one.sync()
    [pack] = set(list_packs(shared_server)) - known
    return one, two, Damage(pack)


def sync_and_see(one, two):
    """Syncs a device from a damaged server; returns its problems by path."""
    summary = two.sync()
    theirs, ours = one.look(), two.look()
    assert summary.problems_count == summary.unsettled_count == len(two.told.problems)
    assert all(look == theirs[path] for path, look in ours.items() if look.kind == "file")
    assert {row.path for row in two.told.problems} == theirs.keys() - ours.keys()
    assert all(row.message and row.advice for row in two.told.problems)
    assert two.list_stage() == []
    return {row.path: row for row in two.told.problems}


def test_flipped_byte_costs_one_file_until_it_is_mended(packed):
    one, two, damage = packed
    position, _ = damage.frames[0]
    for offset in (position, position + HEADER_BYTES + 20):
        damage.flip(offset)
        problems = sync_and_see(one, two)

        assert len(problems) == 1
        assert {row.code for row in problems.values()} == {"corrupt-block"}
    damage.mend()
    converge(two, one)


def test_pack_that_is_cut_off_costs_the_files_behind_the_cut(packed):
    one, two, damage = packed
    position, _ = damage.frames[2]
    damage.write(damage.whole[: position + 10])
    problems = sync_and_see(one, two)

    assert len(problems) == 3
    assert {row.code for row in problems.values()} == {"corrupt-block"}
    assert all("its pack is cut off" in row.message for row in problems.values())
    assert all("backup" in row.advice for row in problems.values())

    damage.mend()
    converge(two, one)


def test_missing_pack_costs_its_files_and_others_go_on(packed):
    one, two, damage = packed
    one.write("elsewhere", b"in another pack")
    one.sync()
    damage.path.unlink()
    problems = sync_and_see(one, two)

    assert len(problems) == 5
    assert all("its pack is missing" in row.message for row in problems.values())
    assert two.read("elsewhere") == b"in another pack"

    damage.mend()
    converge(two, one)


def test_pack_of_a_large_file_that_is_cut_off_leaves_nothing_of_it(shared_server, join):
    one, two = join("one"), join("two")
    known = set(list_packs(shared_server))
    one.write("large", noise(9 * MIB, seed=3))
    one.sync()
    [pack] = set(list_packs(shared_server)) - known
    damage = Damage(pack)
    damage.write(damage.whole[: 5 * MIB])
    two.write("small", b"goes on")
    summary = two.sync()

    assert summary.uploaded_count == 1
    assert two.list_problems().keys() == {"large"}
    assert sorted(two.look()) == ["small"]
    assert two.list_stage() == []

    damage.mend()
    converge(two, one)


def test_stored_frame_that_would_burst_is_not_unpacked(packed):
    one, two, damage = packed
    header = damage.put_payload(zstd.compress(bytes(4 * MIB), 1))
    [row] = sync_and_see(one, two).values()

    # It arrived as one at the device, which asked again; then the server looked at it, too.
    assert row.code == "corrupt-block"
    assert "cannot be read back" in row.message
    assert f"{header.plain_bytes} are allowed" in row.message

    silent = bytearray(zstd.compress(bytes(4 * MIB), 1))
    # The field that tells the content size: a frame that claims what it should, and is a bomb.
    assert silent[4] >> 6 == 2
    start = 5 + (not silent[4] >> 5 & 1)
    silent[start : start + 4] = header.plain_bytes.to_bytes(4, "little")
    damage.put_payload(bytes(silent))
    [row] = sync_and_see(one, two).values()

    assert row.code == "corrupt-block"
    assert "cannot be read back" in row.message

    damage.mend()
    converge(two, one)


# --- a newer version's data directory -------------------------------------------------------------


def test_data_directory_of_a_newer_version_is_left_alone_and_served_again_later(server, tmp_path):
    one, two = (RealDevice(tmp_path / name, server.url, "anna", name) for name in ("one", "two"))
    for device in (one, two):
        device.log_in()
    one.write("kept", b"x")
    converge(one, two)
    port = server.port
    server.stop()
    mark = server.data_dir / "format"
    known = mark.read_text()
    mark.write_text("drystone data directory, format 3\n")
    before = {path: path.read_bytes() for path in server.data_dir.rglob("*") if path.is_file()}
    with pytest.raises(ServerFailed, match="has format 3") as caught:
        server.start(port)
    one.write("new", b"y")
    with pytest.raises(DrystoneError) as away:
        one.sync()

    assert "newer version" in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before
    assert away.value.code == "server-away"

    mark.write_text(known)
    server.start(port)
    converge(one, two)
    assert two.read("new") == b"y"
