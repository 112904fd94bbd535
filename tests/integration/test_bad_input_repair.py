# SPDX-License-Identifier: Apache-2.0
"""What the server's disk lost is told, and healed by a device that still has it."""

import os
import random
import subprocess
import sys
from contextlib import contextmanager

import pytest

from drystone.cli.exit_codes import ExitCode
from drystone.client.bootstrap import list_problems
from drystone.core.content.frame import HEADER_BYTES, decode_header
from drystone.core.content.hashing import PACK_TAG
from drystone.testing.real_devices import converge, list_incoming, list_packs
from drystone.testing.servers import PLAIN_OBJECTS, ServerProcess
from tests.integration.cli_user import User

MIB = 1 << 20


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """Keeps packs as they are, so that this module can put its fingers on single frames."""
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with ServerProcess(data_dir, environment=PLAIN_OBJECTS) as server:
        yield server


@pytest.fixture
def pair(join):
    return join("one"), join("two")


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    """Runs ``drystone doctor`` on a device; returns what it said."""

    def run(device, *arguments):
        return User(device.home, monkeypatch).run("doctor", *arguments)

    return run


def noise(device, length):
    """Bytes that no other test has sent."""
    return random.Random(f"{device.account} {length}").randbytes(length)


def overwrite(pack, offset, length=16):
    """Damages a file in place, as a bad sector does."""
    where = [f"of={pack}", "bs=1", f"seek={offset}", f"count={length}", "conv=notrunc"]
    subprocess.run(["dd", "if=/dev/zero", *where], check=True, capture_output=True)


def find_payload(pack, number):
    """Returns where the payload of a frame begins."""
    content, position = pack.read_bytes(), len(PACK_TAG)
    for _ in range(number):
        position += HEADER_BYTES + decode_header(content, position).stored_bytes
    return position + HEADER_BYTES


@contextmanager
def new_packs(server):
    """Lists the packs that come into being while the context lasts."""
    before, found = set(list_packs(server)), []
    yield found
    found += [pack for pack in list_packs(server) if pack not in before]


def test_block_that_rotted_on_the_server_is_healed_by_a_device_that_has_it(
    shared_server, pair, doctor
):
    one, two = pair
    with new_packs(shared_server) as packs:
        for number in range(5):
            one.write(f"d/f{number}", noise(one, 1_000 + number))
        one.sync()
    [pack] = packs
    overwrite(pack, find_payload(pack, 2) + 100)
    summary = two.sync()
    [row] = two.told.problems

    assert summary.unsettled_count == 1
    assert row.code == "corrupt-block"
    assert "cannot be read back" in row.message
    assert "drystone doctor --repair" in row.advice
    assert one.look().keys() - two.look().keys() == {row.path}

    said = doctor(two, "--repair")
    # What it does not have it is not asked for; that it lacks it is told all the same.
    assert "all are whole" in said.out
    assert "one path in it is in trouble" in said.out
    assert said.code == ExitCode.PROBLEMS

    said = doctor(one, "--repair", one.folder)
    assert said.code == 0, said
    assert "read back 5 blocks of 5 files: 1 were missing or damaged, 1 of them were" in said.out
    assert list_incoming(shared_server) == []

    converge(two, one)
    assert list_problems(two.settings, two.folder) == []
    said = doctor(one, "--repair", one.folder)
    assert "read back 5 blocks of 5 files: all are whole" in said.out


def test_damage_that_nobody_met_yet_is_found_and_healed(shared_server, pair, doctor):
    one, two = pair
    with new_packs(shared_server) as packs:
        one.write("d/large", noise(one, 9 * MIB))
        one.write("d/small", noise(one, 2_000))
        one.sync()
    for pack in packs:
        if pack == packs[0]:
            pack.unlink()
        else:
            overwrite(pack, 2_000, 1_000)

    said = doctor(one, "--repair")
    assert said.code == 0, said
    assert two.sync().unsettled_count == 0
    converge(two, one)


def test_damaged_block_is_sent_by_whoever_saves_the_same_content(shared_server, pair):
    one, two = pair
    with new_packs(shared_server) as packs:
        one.write("file", noise(one, 5_000))
        one.sync()
    [pack] = packs
    pack.write_bytes(pack.read_bytes()[:1_000])
    assert two.sync().unsettled_count == 1
    one.write("copy", noise(one, 5_000))
    one.sync()

    converge(two, one)


def test_file_that_cannot_be_repaired_from_here_is_told_and_others_are(shared_server, pair, doctor):
    one, two = pair
    with new_packs(shared_server) as packs:
        one.write("edited", noise(one, 5_000))
        one.write("gone", noise(one, 5_001))
        one.write("kept", noise(one, 5_002))
        one.sync()
    for pack in packs:
        pack.unlink()
    one.write("edited", b"other content by now")
    (one.folder / "gone").unlink()
    said = doctor(one, "--repair")

    assert said.code == 7
    assert f"{one.folder}/edited" in said.out
    assert f"{one.folder}/gone" in said.out
    assert "3 were missing or damaged, 1 of them were sent again" in said.out

    # Nobody needs them: what is current is sent by the next sync.
    converge(one, two)
    assert sorted(two.look()) == ["edited", "kept"]


def test_repair_does_not_need_the_folder_to_be_let_go_by_the_daemon(
    shared_server, pair, doctor, monkeypatch
):
    one, two = pair
    with new_packs(shared_server) as packs:
        one.write("file", noise(one, 5_000))
        one.sync()
    for pack in packs:
        pack.unlink()
    user = User(one.home, monkeypatch)
    # By a process that ends, as a shell does, so that it is nobody's child here.
    subprocess.run(
        [sys.executable, "-m", "drystone", "start"],
        check=True,
        capture_output=True,
        env={**os.environ, "DRYSTONE_CONFIG_DIR": str(one.settings.config_dir)},
    )
    try:
        assert user.run("sync", one.folder, "--once").code == 0
        said = doctor(one, "--repair")
        assert said.code == 0, said
        assert "1 were missing or damaged, 1 of them were sent again" in said.out
    finally:
        assert user.run("stop").code == 0
    converge(two, one)


def test_repair_without_a_server_says_so(shared_server, join, relay, doctor):
    one = join("one", relay.url)
    one.write("file", b"x")
    one.sync()
    relay.close()
    said = doctor(one, "--repair", one.folder)

    assert "cannot be reached" in said.out
    assert "Check that it runs" in said.out


def test_folder_is_named_only_for_a_repair(join, doctor):
    one = join("one")

    assert doctor(one, one.folder).code == 2
    assert doctor(one, "--repair", one.home).code == 3
