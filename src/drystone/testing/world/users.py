# SPDX-License-Identifier: Apache-2.0
"""Users: what people do in their folders. What cannot be done there and then is not done."""

from collections.abc import Callable
from typing import Any

from drystone.core.names.ignore import IGNORE_FILE_NAME
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.disk import Inode
from drystone.testing.fakes.narrow import find_shown, holds_name
from drystone.testing.world.ledger import Ledger, make_content
from drystone.testing.world.stage.disk import WorldDisk


class User:
    """Somebody at one device.

    Args:
        name: Of the device.
        disk: Its folder.
        ledger: Where is written down what was made and destroyed.

    Attributes:
        deeds: What they can do, by name; see the methods.
    """

    def __init__(self, name: str, disk: WorldDisk, ledger: Ledger) -> None:
        self._name = name
        self._disk = disk
        self._ledger = ledger
        self.deeds: dict[str, Callable[..., None]] = {
            deed.__name__: self._as_shown(deed)
            for deed in (
                self.write, self.save, self.mkdir, self.remove, self.move, self.replace,
                self.swap, self.nest, self.make_file, self.make_folder, self.copy,
                self.chmod, self.touch, self.link, self.append, self.recase, self.fill,
                self.encrypt, self.empty, self.rule,
            )
        }  # fmt: skip

    # --- contents ----------------------------------------------------------------------------

    def write(self, path: str, number: int, size: str = "small") -> None:
        """Writes a file in place, or makes it."""
        self.put(path, make_content(number, size))

    def put(self, path: str, content: bytes) -> None:
        """As ``write``, with any content."""
        inode = self._disk.find(path)
        if not self._has_folder(path) or (inode is not None and inode.kind != Kind.FILE):
            return
        if inode is not None:
            self._ledger.destroy(self._name, inode)
        self._put(path, content)

    def append(self, path: str, number: int) -> None:
        """Adds a line to a file, as logs do."""
        inode = self._disk.find(path)
        if inode is not None and inode.kind == Kind.FILE and len(inode.content) < 2_000:
            before = inode.content
            self._ledger.destroy(self._name, inode)
            self._put(path, before + make_content(number))

    def save(self, path: str, number: int, size: str = "small") -> None:
        """Writes beside and renames over, as editors do."""
        inode = self._disk.find(path)
        if not self._has_folder(path) or (inode is not None and inode.kind != Kind.FILE):
            return
        if inode is not None:
            self._ledger.destroy(self._name, inode)
        beside = path + ".part"
        self._put(beside, make_content(number, size))
        self._disk.hand.rename(beside, path)
        self._disk.note_change(path)

    def rule(self, path: str, rules: str) -> None:
        """Writes an ignore file into a folder."""
        path = f"{path}/{IGNORE_FILE_NAME}" if path else IGNORE_FILE_NAME
        inode = self._disk.find(path)
        if not self._has_folder(path) or (inode is not None and inode.kind != Kind.FILE):
            return
        if inode is not None:
            self._ledger.destroy(self._name, inode)
        self._put(path, rules.encode())

    def copy(self, path: str, new_path: str) -> None:
        """Copies a file to where nothing stands."""
        inode = self._disk.find(path)
        if inode is not None and inode.kind == Kind.FILE and self._is_free(new_path):
            self._put(new_path, inode.content)

    # --- many at once ------------------------------------------------------------------------

    def fill(self, number: int, count: int) -> None:
        """Unpacks an archive at the top of the folder."""
        for one in range(number, number + count):
            if self._is_free(f"f{one}"):
                self._put(f"f{one}", make_content(one, "long"))

    def encrypt(self, number: int) -> None:
        """A stranger's program makes noise of all files at the top of the folder."""
        for name in sorted(self._disk.hand.list_tree()):
            inode = self._disk.find(name)
            if "/" not in name and inode is not None and inode.kind == Kind.FILE:
                self._ledger.destroy(self._name, inode)
                self._put(name, make_content(number, "noise"))
                number += 1

    def empty(self) -> None:
        """Deletes all there is."""
        for name in sorted(self._disk.hand.list_tree()):
            if "/" not in name:
                self.remove(name)

    # --- places ------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        """Makes a folder where nothing stands."""
        if self._is_free(path):
            self._disk.hand.make_folder(path)
            self._disk.note_change(path)

    def link(self, path: str, target: str) -> None:
        """Makes a symlink where nothing stands."""
        if self._is_free(path) and self._disk.traits.holds_symlinks:
            self._disk.hand.make_symlink(path, target)
            self._disk.note_change(path)

    def remove(self, path: str) -> None:
        """Deletes whatever stands there, with all below it."""
        inode = self._disk.find(path)
        if inode is not None and path:
            self._ledger.destroy(self._name, inode)
            self._disk.hand.remove(path)
            self._disk.note_change(path)

    def move(self, path: str, new_path: str) -> None:
        """Moves something to where nothing stands, or only changes its case."""
        inode = self._disk.find(path)
        if inode is not None and (self._is_free(new_path) or inode is self._disk.find(new_path)):
            self._move(path, new_path)

    def recase(self, path: str) -> None:
        """Renames something to the same letters in the other case."""
        above, slash, name = path.rpartition("/")
        new_path = above + slash + name.swapcase()
        inode = self._disk.find(path)
        if name and inode is not None and self._disk.find(new_path) in (None, inode):
            self._move(path, new_path)

    def replace(self, path: str, new_path: str) -> None:
        """Moves a file over another one."""
        source, target = self._disk.find(path), self._disk.find(new_path)
        if source is None or target is None or source is target:
            return
        if source.kind == target.kind == Kind.FILE:
            self._ledger.destroy(self._name, target)
            self._move(path, new_path)

    def swap(self, path: str, other_path: str) -> None:
        """Exchanges two names."""
        one, other = self._disk.find(path), self._disk.find(other_path)
        if one is None or other is None or one is other or _is_below(path, other_path):
            return
        if not _is_below(other_path, path):
            self._move(path, path + ".swap")
            self._move(other_path, path)
            self._move(path + ".swap", other_path)

    def nest(self, path: str, name: str) -> None:
        """Puts a new folder in the place of something, and that inside."""
        if path and self._disk.find(path) is not None and self._is_legal(name):
            self._move(path, path + ".swap")
            self.mkdir(path)
            self._move(path + ".swap", f"{path}/{name}")

    def make_file(self, path: str, number: int) -> None:
        """Replaces a folder by a file of the same name."""
        self.remove(path)
        self.write(path, number)

    def make_folder(self, path: str) -> None:
        """Replaces a file by a folder of the same name."""
        self.remove(path)
        self.mkdir(path)

    # --- attributes --------------------------------------------------------------------------

    def chmod(self, path: str, mode: int) -> None:
        """Changes permission bits of a file or folder."""
        inode = self._disk.find(path)
        if inode is not None and inode.kind in (Kind.FILE, Kind.FOLDER) and path:
            self._ledger.move(self._name, inode)
            self._disk.hand.set_mode(path, mode | (0o700 if inode.kind == Kind.FOLDER else 0))
            self._disk.note_change(path)

    def touch(self, path: str, mtime_s: int) -> None:
        """Sets the mtime of a file, perhaps to 1970."""
        inode = self._disk.find(path)
        if inode is not None and inode.kind == Kind.FILE:
            self._ledger.move(self._name, inode)
            self._disk.hand.touch(path, mtime_s * 1_000_000_000)
            self._disk.note_change(path)

    # --- inside ------------------------------------------------------------------------------

    def _as_shown(self, deed: Callable[..., None]) -> Callable[..., None]:
        """Returns a deed that is done to what people take for a path, whatever the disk shows."""
        is_of_all = deed.__name__ in ("fill", "encrypt", "empty")
        if is_of_all or not self._disk.traits.names.is_narrow:
            return deed
        count = 2 if deed.__name__ in ("replace", "swap", "copy") else 1

        def do(*args: Any) -> None:
            paths, rest = [*map(self._shown, args[:count])], args[count:]
            if deed.__name__ == "move":
                # Whoever gives a new name writes it as they like.
                above, slash, name = rest[0].rpartition("/")
                rest = (self._shown(above) + slash + name,)
            deed(*paths, *rest)

        return do

    def _shown(self, path: str) -> str:
        shown: list[str] = []
        inode: Inode | None = self._disk.root
        for name in path.split("/") if path else ():
            found = name if inode is None else find_shown(inode.names, name)
            inode = None if inode is None else inode.names.get(found)
            shown.append(found)
        return "/".join(shown)

    def _put(self, path: str, content: bytes) -> None:
        self._ledger.write(self._name, content)
        self._disk.hand.write(path, content)
        self._disk.note_change(path)

    def _move(self, path: str, new_path: str) -> None:
        above = new_path.rpartition("/")[0]
        if _is_below(above, path) or not self._has_folder(new_path):
            return
        inode = self._disk.require(path)
        self._ledger.move(self._name, inode)
        self._disk.hand.rename(path, new_path)
        self._disk.note_change(path)
        self._disk.note_change(new_path)

    def _folder(self, path: str) -> Inode | None:
        inode = self._disk.find(path)
        return inode if inode is not None and inode.kind == Kind.FOLDER else None

    def _has_folder(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        return bool(name) and self._is_legal(name) and self._folder(above) is not None

    def _is_legal(self, name: str) -> bool:
        return holds_name(name, self._disk.traits.names)

    def _is_free(self, path: str) -> bool:
        return self._has_folder(path) and self._disk.find(path) is None


def _is_below(path: str, folder: str) -> bool:
    """Tells whether a path is a folder's or lies below it."""
    return path == folder or path.startswith(f"{folder}/")
