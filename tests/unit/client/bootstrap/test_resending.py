# SPDX-License-Identifier: Apache-2.0
"""Resending: what a server lost is sent again, in requests that it can answer in time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from drystone.client.bootstrap import resending
from drystone.client.bootstrap.resending import Resend, list_files
from drystone.client.steps.upload import Upload
from drystone.core.ids import ROOT_ID
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import make_noise
from drystone.testing.devices import MemoryDevice
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


@pytest.fixture
def objects():
    return FaultyObjects(MemoryObjects())


@pytest_asyncio.fixture
async def one(objects):
    server = MemoryServer(objects)
    device = MemoryDevice(server, await server.sign_in(), "one")
    device.hand.write("small", make_noise(1)[0])
    device.hand.write("large", make_noise(1, 3_000_000, seed=1)[0])
    device.hand.make_folder("folder")
    device.hand.write("folder/below", make_noise(1, 300, seed=2)[0])
    device.hand.write("empty", b"")
    await device.sync()
    yield device
    device.close()
    server.close()


def files_of(device):
    files, folders = [], [(ROOT_ID, "")]
    while folders:
        found, below = list_files(device.state, *folders.pop())
        files += found
        folders += below
    return files


async def check(device, files):
    with ThreadPoolExecutor(1) as threads:
        upload = Upload(device.disk, device.state, device.remote, threads, lambda _: None)
        resend = Resend(device.remote, upload)
        await resend.check(files)
    return resend


async def test_files_as_they_were_synced_are_listed(one):
    assert sorted(file.path for file in files_of(one)) == ["folder/below", "large", "small"]


async def test_what_is_lost_is_sent_again_and_nothing_else(one, objects):
    files = files_of(one)
    one.remote.sent_blocks.clear()
    resend = await check(one, files)
    assert (resend.files_count, resend.lacking_count, resend.failures) == (3, 0, [])
    assert one.remote.sent_blocks == []

    for name in [stat.name for stat in objects.iter_names()]:
        objects.delete(name)
    resend = await check(one, files)
    assert resend.sent_count == resend.lacking_count == resend.blocks_count
    assert len(one.remote.sent_blocks) == len(set(one.remote.sent_blocks)) == resend.sent_count
    assert (await check(one, files)).lacking_count == 0


async def test_server_is_asked_for_no_more_than_it_reads_in_time(one, monkeypatch):
    monkeypatch.setattr(resending, "_ASKED_BYTES", 1_500_000)
    asked = []
    ask = one.remote.ask

    async def note(block_ids, *, verify=False):
        asked.append((len(block_ids), verify))
        return await ask(block_ids, verify=verify)

    monkeypatch.setattr(one.remote, "ask", note)
    resend = await check(one, files_of(one))

    assert len(asked) > 1
    assert all(verify for _, verify in asked)
    assert sum(count for count, _ in asked) == resend.blocks_count


async def test_large_file_whose_manifest_is_not_known_is_told(one):
    files = [
        file._replace(manifest=b"") if file.path == "large" else file for file in files_of(one)
    ]
    resend = await check(one, files)

    [(path, error)] = resend.failures
    assert (path, error.code) == ("large", "manifest-unknown")
    assert "another device" in error.advice
    assert resend.blocks_count == 2
