# SPDX-License-Identifier: Apache-2.0
"""Paths as long as they may be: what stands there changes places like anything else."""

import pytest

from drystone.core import limits
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio


def make_deep_folder(device: MemoryDevice, path_bytes: int) -> str:
    path = "d" * (path_bytes % 201 or 1)
    while True:
        device.hand.make_folder(path)
        if len(path) + 201 > path_bytes:
            return path
        path += "/" + "d" * 200


@pytest.mark.parametrize("kind", ["files", "folders"])
async def test_two_change_places_where_no_name_is_short_enough_for_a_detour(kind: str) -> None:
    server = MemoryServer()
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    folder = make_deep_folder(one, limits.PATH_BYTES_MAX - 6)
    assert limits.PATH_BYTES_MAX - 49 < len(folder) < limits.PATH_BYTES_MAX - 3
    for name in ("a", "b"):
        if kind == "files":
            one.hand.write(f"{folder}/{name}", name.encode())
        else:
            one.hand.make_folder(f"{folder}/{name}")
            one.hand.write(f"{folder}/{name}/{name}", name.encode())
    await settle([one, two])
    one.hand.rename(f"{folder}/a", "away")
    one.hand.rename(f"{folder}/b", f"{folder}/a")
    one.hand.rename("away", f"{folder}/b")
    before = one.hand.list_tree()

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree() == before
    assert not one.state.problems() + two.state.problems()
    one.close()
    two.close()
    server.close()
