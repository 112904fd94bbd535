# SPDX-License-Identifier: Apache-2.0
"""The disk of a world's device: stamps by the device's clock, and tells watchers what changed.

``WorldDisk`` is what lasts; ``MortalDisk`` is the door to it for one life of the client.
"""

from collections.abc import Callable

from drystone.client.ports import Stat
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.disk import FakeDisk, Inode


class WorldDisk(FakeDisk):
    """A fake disk whose stamps are as coarse as told.

    Args:
        clock: Tells UTC nanoseconds; may jump.
        step_ns: Stamps are rounded down to multiples of this.

    Attributes:
        tell: Is told the folder of each change: what a watcher could know.
        check_content: Is told each content that the client puts somewhere.
        changes_count: Changes by whomever.
    """

    def __init__(self, clock: Callable[[], int], step_ns: int) -> None:
        self._clock = clock
        self._step_ns = step_ns
        self.tell: Callable[[str], None] = lambda _: None
        self.check_content: Callable[[str, bytes], None] = lambda _, __: None
        self.changes_count = 0
        super().__init__()

    def tick(self) -> int:
        self.now_ns = self._clock() // self._step_ns * self._step_ns
        return self.now_ns

    def make_folder(self, path: str, mode: int) -> Stat:
        stat = super().make_folder(path, mode)
        self.note_change(path)
        return stat

    def move(self, path: str, new_path: str, expected: Stat) -> Stat:
        stat = super().move(path, new_path, expected)
        self.note_change(path)
        self.note_change(new_path)
        return stat

    def discard(self, path: str, expected: Stat) -> None:
        super().discard(path, expected)
        self.note_change(path)

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        super().set_attributes(path, mode, mtime_ns, expected)
        inode = self.require(path)
        inode.mtime_ns = inode.mtime_ns // self._step_ns * self._step_ns
        self.note_change(path)
        return inode.stat()

    def note_change(self, path: str) -> None:
        """Something changed at a path."""
        self.changes_count += 1
        above = path.rpartition("/")[0]
        self.tell(above)
        inode = self.find(path)
        if inode is not None and inode.kind == Kind.FOLDER:
            self.tell(path)

    def _put(self, inode: Inode, path: str, expected: Stat | None) -> Stat:
        inode.mtime_ns = inode.mtime_ns // self._step_ns * self._step_ns
        if inode.kind == Kind.FILE:
            self.check_content(path, inode.content)
        stat = super()._put(inode, path, expected)
        self.note_change(path)
        return stat
