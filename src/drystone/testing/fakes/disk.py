# SPDX-License-Identifier: Apache-2.0
"""A disk in memory, obviously right: the reference for the ``Disk`` port.

``FakeDisk`` is what the client sees; ``FakeDisk.hand`` is the person at the machine, who
changes the same folder behind the client's back.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from drystone.client.ports import (
    ChangedMeanwhile,
    DiskFull,
    DiskProblem,
    DiskTraits,
    FolderListing,
    NameTooLong,
    NewFile,
    NoSymlinks,
    NotThere,
    Observed,
    ReadFile,
    ReadOutcome,
    RootGone,
    Skipped,
    StagedFile,
    Stat,
    Unreadable,
    UnsafeName,
    WriteOutcome,
)
from drystone.core import limits
from drystone.core.errors import Unavailable
from drystone.core.names.path import find_name_fault
from drystone.core.names.standing import ALL_NAMES, NameTraits
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.narrow import WIDE, check_names, names_of

_TICK_NS = 1_000_000_000


class Inode:
    """A file, folder, symlink or special file (``kind`` None), under any number of names."""

    def __init__(
        self, kind: Kind | None, ino: int, at_ns: int, traits: NameTraits = ALL_NAMES
    ) -> None:
        self.kind = kind
        self.ino = ino
        self.mode = 0o755 if kind == Kind.FOLDER else 0o644
        self.mtime_ns = self.ctime_ns = self.birth_ns = at_ns
        self.content = b""
        self.target = ""
        self.name_traits = traits
        self.names: dict[str, Inode] = names_of(traits)
        self.dev = 0
        self.is_readable = True

    def take_mode(self, mode: int) -> None:
        """Sets the permission bits that an entry with this mode gets."""
        kept, usual = (0o700, 0o755) if self.kind == Kind.FOLDER else (0o400, 0o644)
        self.mode = (mode | kept) & 0o777 if mode else usual

    def stat(self) -> Stat:
        """Returns the fingerprint."""
        assert self.kind is not None
        return Stat(
            self.kind,
            len(self.content),
            self.mtime_ns,
            self.ctime_ns,
            self.ino,
            self.dev,
            0o777 if self.kind == Kind.SYMLINK else self.mode,
        )


class FakeVolume:
    """Inodes, their names, and what can be held of both.

    Attributes:
        traits: What it can hold.
        now_ns: Its clock.
        root: The folder in which everything is.
    """

    def __init__(self, start_ns: int, traits: DiskTraits) -> None:
        self.traits = traits
        self.now_ns = start_ns
        self._inos = count(100)
        self.root = self.new_inode(Kind.FOLDER)

    def tick(self) -> int:
        """Lets the clock go on and returns it."""
        self.now_ns += _TICK_NS
        return self.now_ns

    def new_inode(self, kind: Kind | None) -> Inode:
        """Returns something new, under no name yet."""
        inode = Inode(kind, next(self._inos), self.tick(), self.traits.names)
        if not self.traits.holds_modes:
            inode.mode = 0o755
        return inode

    def find(self, path: str) -> Inode | None:
        """Returns what stands at a path, without following links."""
        inode: Inode | None = self.root
        for name in path.split("/") if path else ():
            if inode is None or inode.kind != Kind.FOLDER:
                return None
            inode = inode.names.get(name)
        return inode

    def require(self, path: str) -> Inode:
        """Returns what stands at a path, or raises ``NotThere``."""
        check_safe_path(path)
        inode = self.find(path)
        if inode is None:
            raise NotThere(f"{path!r} is not there")
        return inode

    def open_above(self, path: str) -> tuple[Inode, str]:
        """Returns the folder that holds a path, and the path's name."""
        check_safe_path(path)
        above, _, name = path.rpartition("/")
        folder = self.require(above)
        if folder.kind != Kind.FOLDER:
            raise NotThere(f"{above!r} is no folder")
        return folder, name

    def set_mode(self, inode: Inode, mode: int) -> None:
        """Gives an inode permission bits, if the disk holds any."""
        if self.traits.holds_modes:
            inode.mode = mode

    def dress(self, inode: Inode, mode: int) -> None:
        """Gives an inode the permission bits that an entry with this mode gets."""
        if self.traits.holds_modes:
            inode.take_mode(mode)

    def round(self, mtime_ns: int) -> int:
        """Returns a time as the disk can hold it."""
        return mtime_ns // self.traits.mtime_step_ns * self.traits.mtime_step_ns


class FakeDisk(FakeVolume):
    """See ``Disk``. Its clock goes on by a second with every change.

    Args:
        start_ns: What its clock shows at first.
        traits: What it can hold.

    Attributes:
        hand: The person at the machine.
        trash: What was replaced or deleted: paths and what stood there.
        staged_count: Files being built.
        kept: What was staged under a key and is to be gone on with.
        room_bytes: How many bytes may still be written; None: as many as you like.
    """

    def __init__(self, start_ns: int = 1_700_000_000 * _TICK_NS, traits: DiskTraits = WIDE) -> None:
        super().__init__(start_ns, traits)
        self.trash: list[tuple[str, Inode]] = []
        self.staged_count = 0
        self.kept: dict[str, bytes] = {}
        self.room_bytes: int | None = None
        self.is_root_gone = False
        self.flushed_count = 0
        self.hand = FakeHand(self)

    def true_path(self, standing: str) -> str:
        return standing

    def standing_path(self, path: str) -> str:
        return path

    # --- looking -----------------------------------------------------------------------------

    def check_root(self) -> None:
        if self.is_root_gone:
            raise RootGone("the folder is gone", advice="Bring it back.")

    def list_folder(self, path: str) -> FolderListing:
        folder = self.require(path)
        if folder.kind != Kind.FOLDER:
            raise NotThere(f"{path!r} is no folder")
        if not folder.is_readable:
            raise Unreadable(f"{path!r} may not be read")
        listing = FolderListing([], [])
        for name, inode in folder.names.items():
            _show(listing, name, inode)
        return listing

    def find_stat(self, path: str) -> Stat | None:
        check_safe_path(path)
        inode = self.find(path)
        return None if inode is None or inode.kind is None else inode.stat()

    def find_birth_ns(self, path: str) -> int:
        check_safe_path(path)
        inode = self.find(path)
        return 0 if inode is None else inode.birth_ns

    @contextmanager
    def open_file(self, path: str) -> Iterator[ReadFile]:
        yield FakeReadFile(self._require_file(path))

    def read_small(self, path: str, bytes_max: int) -> tuple[Stat, bytes]:
        inode = self._require_file(path)
        if len(inode.content) > bytes_max:
            raise ChangedMeanwhile(f"{path!r} is larger than it was")
        return inode.stat(), inode.content

    def read_many(
        self, folder_path: str, names: Sequence[str], bytes_max: int
    ) -> list[ReadOutcome]:
        if self.require(folder_path).kind != Kind.FOLDER:
            raise NotThere(f"{folder_path!r} is no folder")
        outcomes: list[ReadOutcome] = []
        for name in names:
            try:
                if "/" in name:
                    raise UnsafeName(f"{name!r} is no name")
                path = f"{folder_path}/{name}" if folder_path else name
                outcomes.append(self.read_small(path, bytes_max))
            except (DiskProblem, Unavailable) as error:
                outcomes.append(error)
        return outcomes

    # --- making ------------------------------------------------------------------------------

    def make_folder(self, path: str, mode: int) -> Stat:
        folder, name = self.open_above(path)
        inode = folder.names.get(name)
        is_made = inode is None
        if inode is None:
            inode = folder.names[name] = self.new_inode(Kind.FOLDER)
        if inode.kind != Kind.FOLDER:
            raise ChangedMeanwhile(f"something else stands at {path!r}")
        if is_made or mode:
            before = inode.mode
            self.dress(inode, mode)
            if inode.mode != before and not is_made:
                inode.ctime_ns = self.tick()
        return inode.stat()

    def make_symlink(self, path: str, target: str, mtime_ns: int, expected: Stat | None) -> Stat:
        if not target or "\0" in target:
            raise UnsafeName(f"{path!r} points to nothing that is a path")
        if not self.traits.holds_symlinks:
            raise NoSymlinks(f"{path!r} is a symlink, and this disk cannot hold one")
        inode = self.new_inode(Kind.SYMLINK)
        inode.target, inode.mtime_ns = target, self.round(mtime_ns)
        inode.content = target.encode()
        return self._put(inode, path, expected)

    def write_small(
        self, path: str, data: bytes, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        inode = self.new_inode(Kind.FILE)
        inode.content, inode.mtime_ns = bytes(data), self.round(mtime_ns)
        self.dress(inode, mode)
        self._take_room(path, len(data))
        return self._put(inode, path, expected)

    def write_many_new(self, folder_path: str, files: Sequence[NewFile]) -> list[WriteOutcome]:
        if self.require(folder_path).kind != Kind.FOLDER:
            raise NotThere(f"{folder_path!r} is no folder")
        outcomes: list[WriteOutcome] = []
        for file in files:
            path = f"{folder_path}/{file.name}" if folder_path else file.name
            try:
                if "/" in file.name:
                    raise UnsafeName(f"{file.name!r} is no name")
                outcomes.append(self.write_small(path, file.data, file.mode, file.mtime_ns, None))
            except (DiskProblem, Unavailable) as error:
                outcomes.append(error)
                if isinstance(error, DiskFull):
                    return outcomes + [error] * (len(files) - len(outcomes))
        return outcomes

    def stage(self, size_bytes: int, key: str = "") -> StagedFile:
        self._take_room("a large file", size_bytes)
        staged = FakeStagedFile(self, size_bytes, key)
        staged.is_continued = key in self.kept
        staged.content[:] = self.kept.pop(key, bytes(size_bytes))
        return staged

    def swap_in(
        self, staged: StagedFile, path: str, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        assert isinstance(staged, FakeStagedFile)
        stat = self.write_small(path, bytes(staged.content), mode, mtime_ns, expected)
        staged.drop()
        return stat

    # --- changing ----------------------------------------------------------------------------

    def move(self, path: str, new_path: str, expected: Stat) -> Stat:
        folder, name = self.open_above(path)
        new_folder, new_name = self.open_above(new_path)
        inode = self._require_expected(path, expected)
        if new_name in new_folder.names:
            raise ChangedMeanwhile(f"something stands at {new_path!r}")
        if f"{new_path}/".startswith(f"{path}/"):
            raise DiskProblem(f"{path!r} cannot be moved into itself")
        new_folder.names[new_name] = inode
        del folder.names[name]
        inode.ctime_ns = self.tick()
        return inode.stat()

    def take_stock(self, path: str) -> frozenset[int]:
        return _take_stock(self.require(path), path)

    def discard(self, path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        folder, name = self.open_above(path)
        inode = self._require_expected(path, expected)
        if stock is not None and not _take_stock(inode, path) <= set(stock):
            raise ChangedMeanwhile(f"{path!r} holds what nobody has seen")
        self.trash.append((path, inode))
        del folder.names[name]

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        inode = self._require_expected(path, expected)
        self.dress(inode, mode)
        if inode.kind != Kind.FOLDER:
            inode.mtime_ns = self.round(mtime_ns)
        inode.ctime_ns = self.tick()
        return inode.stat()

    # --- the whole ---------------------------------------------------------------------------

    def flush(self) -> None:
        self.flushed_count += 1

    def purge_trash(self, now_ns: int) -> int:
        had_any = bool(self.trash) and now_ns - self.now_ns > limits.TRASH_KEEP_S * _TICK_NS
        if had_any:
            self.trash.clear()
        return int(had_any)

    def close(self) -> None:
        pass

    # --- inside ------------------------------------------------------------------------------

    def _require_file(self, path: str) -> Inode:
        inode = self.require(path)
        if inode.kind != Kind.FILE:
            raise NotThere(f"{path!r} is no file")
        if not inode.is_readable:
            raise Unreadable(f"{path!r} may not be read")
        return inode

    def _require_expected(self, path: str, expected: Stat) -> Inode:
        check_safe_path(path)
        inode = self.find(path)
        if inode is None or inode.kind is None or not _is_expected(inode.stat(), expected):
            raise ChangedMeanwhile(f"{path!r} is not what it was")
        return inode

    def _put(self, inode: Inode, path: str, expected: Stat | None) -> Stat:
        folder, name = self.open_above(path)
        if len(name.encode()) > limits.NAME_BYTES_MAX:
            raise NameTooLong(f"{name!r} is too long")
        if expected is not None:
            before = self._require_expected(path, expected)
            if before.kind == Kind.FOLDER:
                raise ChangedMeanwhile(f"a folder stands at {path!r}")
            self.trash.append((path, before))
        elif name in folder.names:
            raise ChangedMeanwhile(f"something stands at {path!r}")
        folder.names[name] = inode
        return inode.stat()

    def _take_room(self, path: str, size_bytes: int) -> None:
        if self.room_bytes is None:
            return
        if size_bytes > self.room_bytes:
            raise DiskFull(f"the disk is full: {path!r} was not written")
        self.room_bytes -= size_bytes


class FakeReadFile:
    """See ``ReadFile``."""

    def __init__(self, inode: Inode) -> None:
        self.stat = inode.stat()
        self._inode = inode

    def read_into(self, buffer: memoryview, offset_bytes: int) -> int:
        found = self._inode.content[offset_bytes : offset_bytes + len(buffer)]
        buffer[: len(found)] = found
        return len(found)

    def next_data(self, offset_bytes: int) -> int:
        return min(offset_bytes, self.stat.size_bytes)

    def is_unchanged(self) -> bool:
        return self._inode.stat()[1:4] == self.stat[1:4]


class FakeStagedFile:
    """See ``StagedFile``."""

    def __init__(self, disk: FakeDisk, size_bytes: int, key: str = "") -> None:
        self.content = bytearray(size_bytes)
        self.is_continued = False
        self._disk = disk
        self._key = key
        self._is_dropped = False
        disk.staged_count += 1

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        self.content[offset_bytes : offset_bytes + len(data)] = data

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return bytes(self.content[offset_bytes : offset_bytes + length_bytes])

    def keep(self) -> None:
        if self._key and not self._is_dropped:
            self._disk.kept[self._key] = bytes(self.content)
        self.drop()

    def drop(self) -> None:
        if not self._is_dropped:
            self._is_dropped = True
            self._disk.staged_count -= 1


class FakeHand:
    """The person at the machine. Paths are as for the disk; nothing is checked for them."""

    def __init__(self, disk: FakeDisk) -> None:
        self._disk = disk

    def write(self, path: str, content: bytes) -> None:
        """Writes a file in place, making it if it is missing."""
        folder, name = self._disk.open_above(path)
        inode = folder.names.get(name)
        if inode is None:
            inode = folder.names[name] = self._disk.new_inode(Kind.FILE)
        inode.content = content
        inode.mtime_ns = inode.ctime_ns = self._disk.tick()

    def write_silently(self, path: str, content: bytes) -> None:
        """Writes within the clock's tick: no stamp changes."""
        self._disk.require(path).content = content

    def read(self, path: str) -> bytes:
        """Returns what a file holds."""
        return self._disk.require(path).content

    def make_folder(self, path: str) -> None:
        """Makes a folder."""
        folder, name = self._disk.open_above(path)
        folder.names[name] = self._disk.new_inode(Kind.FOLDER)

    def make_symlink(self, path: str, target: str) -> None:
        """Makes a symlink."""
        folder, name = self._disk.open_above(path)
        inode = folder.names[name] = self._disk.new_inode(Kind.SYMLINK)
        inode.target, inode.content = target, target.encode()

    def make_pipe(self, path: str) -> None:
        """Makes a pipe."""
        folder, name = self._disk.open_above(path)
        folder.names[name] = self._disk.new_inode(None)

    def link(self, path: str, new_path: str) -> None:
        """Gives a file a second name."""
        inode = self._disk.require(path)
        folder, name = self._disk.open_above(new_path)
        folder.names[name] = inode
        inode.ctime_ns = self._disk.tick()

    def rename(self, path: str, new_path: str) -> None:
        """Renames, replacing what stands at the new path."""
        folder, name = self._disk.open_above(path)
        new_folder, new_name = self._disk.open_above(new_path)
        inode = folder.names[name]
        check_names(new_folder.names, new_name)
        del folder.names[name]
        new_folder.names[new_name] = inode
        inode.ctime_ns = self._disk.tick()

    def remove(self, path: str) -> None:
        """Removes a file or a folder with all below it."""
        folder, name = self._disk.open_above(path)
        del folder.names[name]

    def set_mode(self, path: str, mode: int) -> None:
        """Changes permission bits."""
        inode = self._disk.require(path)
        self._disk.set_mode(inode, mode)
        inode.ctime_ns = self._disk.tick()

    def touch(self, path: str, mtime_ns: int) -> None:
        """Sets the mtime."""
        inode = self._disk.require(path)
        inode.mtime_ns, inode.ctime_ns = self._disk.round(mtime_ns), self._disk.tick()

    def list_tree(self) -> dict[str, bytes | str | None]:
        """Returns all there is: content of files, targets of symlinks, None for folders."""
        found: dict[str, bytes | str | None] = {}
        _collect(self._disk.root, "", found)
        return found

    def list_trash(self) -> list[tuple[str, bytes]]:
        """Returns paths and contents of the files in the trash, sorted."""
        found: dict[str, bytes | str | None] = {}
        lines: list[tuple[str, bytes]] = []
        for path, inode in self._disk.trash:
            if inode.kind == Kind.FOLDER:
                found.clear()
                _collect(inode, path, found)
                lines += [(p, c) for p, c in found.items() if isinstance(c, bytes)]
            elif inode.kind == Kind.FILE:
                lines.append((path, inode.content))
        return sorted(lines)


def check_safe_path(path: str) -> None:
    """Accepts a path below the root, or raises ``DiskProblem``."""
    for name in path.split("/") if path else ():
        # A name that is only too long is refused when something is to have it.
        if find_name_fault(name[:50]) or "/" in name or "\0" in name:
            raise UnsafeName(f"{path!r} cannot be a path here")
        if name.casefold() == ".drystone":
            raise UnsafeName(f"{path!r} lies in the control folder")


def _is_expected(stat: Stat, expected: Stat) -> bool:
    if expected.kind == Kind.FOLDER:
        return stat.kind == expected.kind and stat.ino == expected.ino
    return stat[:6] == expected[:6]


def _collect(folder: Inode, path: str, found: dict[str, bytes | str | None]) -> None:
    for name, inode in folder.names.items():
        place = f"{path}/{name}" if path else name
        if inode.kind == Kind.FOLDER:
            found[place] = None
            _collect(inode, place, found)
        elif inode.kind is not None:
            found[place] = inode.target if inode.kind == Kind.SYMLINK else inode.content


def _show(listing: FolderListing, name: str, inode: Inode) -> None:
    if find_name_fault(name):
        shown = ascii(name)[1:-1]
        stat = None if inode.kind is None else inode.stat()
        code = "name-too-long" if name.isascii() else "name-not-utf8"
        listing.skipped.append(Skipped(shown, code, "it cannot be a name", stat))
    elif inode.kind is None:
        listing.skipped.append(Skipped(name, "special-file", "it is a pipe"))
    else:
        listing.observed.append(Observed(name, inode.stat(), inode.target))


def _take_stock(folder: Inode, path: str) -> frozenset[int]:
    if folder.kind != Kind.FOLDER:
        raise NotThere(f"{path!r} is no folder")
    return frozenset(_iter_stock(folder, ""))


def _iter_stock(folder: Inode, path: str) -> Iterator[int]:
    for name, inode in folder.names.items():
        place = f"{path}/{name}"
        if inode.kind == Kind.FOLDER:
            yield hash((place, inode.ino))
            yield from _iter_stock(inode, place)
        else:
            size_bytes = len(inode.content) + len(inode.target)
            yield hash((place, inode.ino, size_bytes, inode.mtime_ns, inode.ctime_ns))
