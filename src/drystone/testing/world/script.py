# SPDX-License-Identifier: Apache-2.0
"""Scripts: what a world is like and what happens to it, as text that can be kept and replayed."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from drystone.testing.world.stage.device import DeviceNature

_FORMAT = 1


class Act(NamedTuple):
    """Something that is done to a world.

    Attributes:
        at_s: When, in virtual seconds.
        who: A device (``a``, ``b``, …) or ``server``.
        deed: What; see ``deeds`` and ``accidents``.
        args: Of the deed.
    """

    at_s: float
    who: str
    deed: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.at_s:9.3f}  {self.who:6}  {self.deed} {' '.join(map(repr, self.args))}"


class Script(NamedTuple):
    """A whole world, from which its run follows.

    Attributes:
        seed: Of all that the acts leave open.
        devices: What they are like, by name.
        acts: In the order of time.
        workers: Of the server. Several share a database as PostgreSQL is one: it outlives them, and
            can be put back beneath them.
    """

    seed: int
    devices: dict[str, DeviceNature]
    acts: tuple[Act, ...]
    workers: int = 1

    def encode(self) -> str:
        """Returns it as JSON, an act a line."""
        devices = {name: nature._asdict() for name, nature in self.devices.items()}
        lines = ",\n".join(f"    {json.dumps(act)}" for act in self.acts)
        workers = f'  "workers": {self.workers},\n' if self.workers > 1 else ""
        return (
            f'{{\n  "format": {_FORMAT},\n  "seed": {self.seed},\n{workers}'
            f'  "devices": {json.dumps(devices)},\n  "acts": [\n{lines}\n  ]\n}}\n'
        )

    def with_acts(self, acts: Sequence[Act]) -> "Script":
        """Returns the same world with other acts."""
        return self._replace(acts=tuple(acts))


def decode_script(text: str) -> Script:
    """Reads what ``Script.encode`` wrote.

    Raises:
        ValueError: It did not.
    """
    told = json.loads(text)
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise ValueError("this is not a script of a world")
    try:
        devices = {name: DeviceNature(**nature) for name, nature in told["devices"].items()}
        acts = tuple(
            Act(float(at_s), who, deed, tuple(args)) for at_s, who, deed, args in told["acts"]
        )
        return Script(int(told["seed"]), devices, acts, int(told.get("workers", 1)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("this script of a world is damaged") from error
