# SPDX-License-Identifier: Apache-2.0
"""The machine: does at random what people do, and compares what they see with the model."""

import re
from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from drystone.testing.blackbox.folders import Folders
from drystone.testing.blackbox.model import Model

DEVICES_MAX: Final = 3
PATHS: Final = ("a.txt", "b", "docs/c.txt")
COMMON: Final = b"the same everywhere"
"""What several people write, so that it must not come to a conflict."""

_COPY: Final = re.compile(r" \(conflicted copy, [^()]*\)")

devices = st.integers(0, DEVICES_MAX - 1)
paths = st.sampled_from(PATHS)


class FolderMachine(RuleBasedStateMachine):
    """See the module. A test says how to open its folders.

    What people do to one path is no matter of another one, so there is a model for each.
    """

    open_folders: Callable[[int, int], Folders]
    """Returns new empty folders: on how many devices, and a seed of whatever is left to chance. A
    method of the test's."""

    def __init__(self) -> None:
        super().__init__()
        self._folders: Folders | None = None
        self._models: dict[str, Model] = {}
        self._number = 0
        self._is_sound = True

    @initialize(devices_count=st.integers(2, DEVICES_MAX), seed=st.integers(0, 1 << 30))
    def begin(self, devices_count: int, seed: int) -> None:
        self._folders = self.open_folders(devices_count, seed)
        self._models = {path: Model(devices_count) for path in PATHS}

    @rule(device=devices, path=paths)
    def read(self, device: int, path: str) -> None:
        device %= self.folders.devices_count
        self._models[path].read(device, self.folders.read(device, path))

    @rule(device=devices, path=paths)
    def write(self, device: int, path: str) -> None:
        self._number += 1
        self._write(device, path, b"value %d\n" % self._number)

    @rule(device=devices, path=paths)
    def write_the_same(self, device: int, path: str) -> None:
        self._write(device, path, COMMON)

    @rule(device=devices, path=paths)
    def delete(self, device: int, path: str) -> None:
        device %= self.folders.devices_count
        self._models[path].write(device, None, self.folders.delete(device, path))

    @rule(device=devices, much=st.integers(0, 3))
    def go_on(self, device: int, much: int) -> None:
        self.folders.go_on(device % self.folders.devices_count, much)

    @rule(device=devices)
    def leave(self, device: int) -> None:
        self.folders.leave(device % self.folders.devices_count)

    @rule(device=devices)
    def come_back(self, device: int) -> None:
        self.folders.come_back(device % self.folders.devices_count)

    @rule()
    def rest(self) -> None:
        self._is_sound = False
        first, *others = self.folders.rest()
        for number, other in enumerate(others, 1):
            assert other == first, f"device {number} has not what device 0 has"
        copies: dict[str, list[bytes]] = {path: [] for path in PATHS}
        for path, content in first.items():
            original = _COPY.sub("", path)
            assert original in copies, f"nobody wrote {path!r}"
            if original != path:
                copies[original].append(content)
        for path, model in self._models.items():
            model.rest(first.get(path), copies[path])
        self._is_sound = True

    def teardown(self) -> None:
        if self._folders is None:
            return
        try:
            # What has failed is told once.
            if self._is_sound and not any(model.is_broken for model in self._models.values()):
                self.rest()
        finally:
            self._folders.close()

    @property
    def folders(self) -> Folders:
        """What is tested."""
        assert self._folders is not None
        return self._folders

    def _write(self, device: int, path: str, content: bytes) -> None:
        device %= self.folders.devices_count
        self._models[path].write(device, content, self.folders.write(device, path, content))
