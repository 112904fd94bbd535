# SPDX-License-Identifier: Apache-2.0
"""The disk of a world's device: stamps by the device's clock, and tells watchers what changed.

``WorldDisk`` is what lasts; ``MortalDisk`` is the door to it for one life of the client.
"""

from collections.abc import Callable, Collection, Iterator
from random import Random

from drystone.client.ports import DiskTraits, FolderListing, Stat
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.disk import FakeDisk, Inode
from drystone.testing.fakes.narrow import WIDE


class WorldDisk(FakeDisk):
    """A fake disk whose stamps are as coarse as told.

    Args:
        clock: Tells UTC nanoseconds; may jump.
        step_ns: Stamps are rounded down to multiples of this.
        traits: What it can hold.

    Attributes:
        tell: Is told the folder of each change: what a watcher could know.
        check_content: Is told each content that the client puts somewhere.
        changes_count: Changes by whomever.
        is_fragile: What would survive a loss of power is kept in mind: it costs time.
        is_lying: It says that it has flushed, and has not.
        unseen: Contents that the client discarded with a folder, and that were not there when it
            last looked into that: somebody has written them since.
    """

    def __init__(self, clock: Callable[[], int], step_ns: int, traits: DiskTraits = WIDE) -> None:
        self._clock = clock
        self._step_ns = step_ns
        self.tell: Callable[[str], None] = lambda _: None
        self.check_content: Callable[[str, bytes], None] = lambda _, __: None
        self.changes_count = 0
        self.is_fragile = self.is_lying = False
        self.unseen: set[bytes] = set()
        self._looked: dict[int, dict[str, bytes]] = {}
        self._durable: Inode | None = None
        super().__init__(traits=traits)

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

    def list_folder(self, path: str) -> FolderListing:
        listing = super().list_folder(path)
        folder = self.require(path)
        self._looked[folder.ino] = {name: one.content for name, one in folder.names.items()}
        return listing

    def discard(self, path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        super().discard(path, expected, stock)
        for folder in _walk(self.trash[-1][1]):
            looked = self._looked.get(folder.ino, {})
            for name, inode in folder.names.items():
                if inode.kind == Kind.FILE and looked.get(name) != inode.content:
                    self.unseen.add(inode.content)
        self.note_change(path)

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        super().set_attributes(path, mode, mtime_ns, expected)
        inode = self.require(path)
        inode.mtime_ns = inode.mtime_ns // self._step_ns * self._step_ns
        self.note_change(path)
        return inode.stat()

    def flush(self) -> None:
        super().flush()
        if not self.is_lying:
            self.write_back()

    def write_back(self) -> None:
        """What is there now survives a loss of power, as it does after a while by itself."""
        if self.is_fragile:
            self._durable = _copy(self.root)

    def lose_power(self, how: str, chance: Random) -> None:
        """Loses what was not written back.

        Args:
            how: ``reverted``: all of it; ``torn``: names are kept, and of each new content all,
                a beginning, or nothing; anything else: nothing.
            chance: Which.
        """
        durable = self._durable
        if durable is None or how not in ("reverted", "torn"):
            return
        self.changes_count += 1
        if how == "reverted":
            self.root = _copy(durable)
            return
        known = {inode.ino: inode.content for inode in _walk(durable)}
        for inode in _walk(self.root):
            if inode.kind == Kind.FILE and known.get(inode.ino) != inode.content:
                length = len(inode.content)
                kept = chance.choice((0, length // 2, length))
                inode.content = inode.content[:kept]

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


def _copy(inode: Inode) -> Inode:
    """Returns the same inode, and all below it, as other objects."""
    copy = Inode(inode.kind, inode.ino, inode.ctime_ns, inode.name_traits)
    copy.mode, copy.mtime_ns, copy.birth_ns = inode.mode, inode.mtime_ns, inode.birth_ns
    copy.content, copy.target = inode.content, inode.target
    for name, child in inode.names.items():
        copy.names[name] = _copy(child)
    return copy


def _walk(inode: Inode) -> Iterator[Inode]:
    yield inode
    for child in inode.names.values():
        yield from _walk(child)
