# SPDX-License-Identifier: Apache-2.0
"""Folders of the simulator: virtual time, a network and a disk that take as long as chance says."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Final

from drystone.core.tree.entry import Kind
from drystone.testing.world.drawing import draw_nature
from drystone.testing.world.running import World
from drystone.testing.world.script import Script
from drystone.testing.world.stage.chance import Chance

_WAIT_S: Final = (0.02, 0.3, 3.0, 60.0)
"""How long ``go_on`` lasts."""


class SimulatedFolders:
    """Implements ``Folders`` in a world of its own.

    Args:
        devices_count: How many devices it has.
        seed: Of what they are like and of all chance.
    """

    def __init__(self, devices_count: int, seed: int) -> None:
        self.devices_count = devices_count
        names = [chr(ord("a") + number) for number in range(devices_count)]
        chance = Chance(seed).stream("natures")
        natures = {name: draw_nature(chance) for name in names}
        # Worlds are full of circles, and what the collector finalises is no part of them.
        self._was_enabled = gc.isenabled()
        gc.disable()
        self._world = World(Script(seed, natures, ()))
        self._world.begin()
        self._names = names

    def read(self, device: int, path: str) -> bytes | None:
        inode = self._world.devices[self._names[device]].disk.find(path)
        return None if inode is None or inode.kind != Kind.FILE else inode.content

    def write(self, device: int, path: str, content: bytes) -> bytes | None:
        before = self.read(device, path)
        user = self._world.users[self._names[device]]
        folder = path.rpartition("/")[0]
        if folder:
            user.mkdir(folder)
        user.put(path, content)
        return before

    def delete(self, device: int, path: str) -> bytes | None:
        before = self.read(device, path)
        self._world.users[self._names[device]].remove(path)
        return before

    def go_on(self, device: int, much: int) -> None:
        self._world.timeline.run_until_complete(asyncio.sleep(_WAIT_S[much]))

    def leave(self, device: int) -> None:
        link = self._world.devices[self._names[device]].link
        if link.is_up:
            link.is_up = False
            link.break_off()

    def come_back(self, device: int) -> None:
        self._world.devices[self._names[device]].link.is_up = True

    def rest(self) -> Sequence[dict[str, bytes]]:
        world = self._world
        for device in world.devices.values():
            device.link.is_up = True
        world.timeline.run_until_complete(world.come_to_rest())
        listings = [device.disk.hand.list_tree() for device in world.devices.values()]
        return [
            {path: what for path, what in listing.items() if isinstance(what, bytes)}
            for listing in listings
        ]

    def close(self) -> None:
        self._world.end()
        if self._was_enabled:
            gc.enable()
            gc.collect()
