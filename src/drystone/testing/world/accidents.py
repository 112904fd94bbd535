# SPDX-License-Identifier: Apache-2.0
"""Accidents: what machines, networks and disks do wrong, and what heals all of it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from drystone.testing.world.script import Act
from drystone.testing.world.stage.device import WorldDevice
from drystone.testing.world.stage.server import WorldServer
from drystone.testing.world.stage.timeline import Timeline


class Scene(Protocol):
    """What accidents happen to."""

    @property
    def timeline(self) -> Timeline: ...

    @property
    def devices(self) -> Mapping[str, WorldDevice]: ...

    @property
    def server(self) -> WorldServer: ...

    def note(self, *what: object) -> None:
        """Something happened, for the trace."""
        ...


class Accidents:
    """Does accidents.

    Args:
        scene: To whom.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._timeline = scene.timeline
        self._of_device: dict[str, Callable[..., None]] = {}
        self._of_server: dict[str, Callable[..., None]] = {}

    def perform(self, act: Act) -> None:
        """Does one."""
        if act.who == "server":
            self._of_server[act.deed](*act.args)
        else:
            self._of_device[act.deed](self._scene.devices[act.who], *act.args)

    def heal(self) -> None:
        """Ends all that is wrong: from now on everything works, and everybody runs."""
        self._scene.note("heal")
        self._scene.server.start()
        for device in self._scene.devices.values():
            self._heal(device)

    def _heal(self, device: WorldDevice) -> None:
        device.link.is_up = True
        device.start()
