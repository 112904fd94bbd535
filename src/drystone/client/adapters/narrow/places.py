# SPDX-License-Identifier: Apache-2.0
"""Places: which name stands under which, folder by folder, as listed last."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from threading import RLock
from typing import Final

from drystone.client.ports import Disk, NameTooLong, NotThere, UnsafeName
from drystone.core.limits import NAME_BYTES_MAX
from drystone.core.names.standing import (
    NameTraits,
    free_standing_name,
    name_key,
    standing_name,
    true_name,
)

_NAMES_MAX: Final = 200_000
"""Names kept in mind, of the folders used last: some 40 MB, on a narrow disk only."""


_HOSTILE: Final = frozenset({"", ".", ".."})


class FolderNames:
    """What stands in one folder.

    Attributes:
        standing: By true name, the name under which it stands.
        doubles: Names that stand for a true name which another one stands for, too.
        listed_count: How many names were listed.
    """

    __slots__ = ("_keys", "_traits", "doubles", "listed_count", "standing")

    def __init__(self, names: Iterable[str], traits: NameTraits) -> None:
        self._traits = traits
        self._keys: dict[str, str] = {}
        self.standing: dict[str, str] = {}
        self.doubles: list[str] = []
        # The plainest comes first: it has the better claim.
        for name in sorted(names, key=lambda name: (len(name), name)):
            self._keys[name_key(name, traits)] = name
            true = true_name(name, traits)
            if true in self.standing:
                self.doubles.append(name)
            else:
                self.standing[true] = name
        self.listed_count = len(self._keys)

    def find(self, name: str) -> str | None:
        """Returns under which name an entry stands; None if it does not."""
        return self.standing.get(name)

    def choose(self, name: str, *, leaving: str = "", refused: Collection[str] = ()) -> str:
        """Returns the name under which a new entry is to stand.

        Args:
            name: Its true name.
            leaving: What stands here now and will not.
            refused: Names that the disk did not take, though they seemed free.

        Raises:
            NameTooLong: There is none that the disk can hold.
        """
        traits, keys = self._traits, self._keys
        left = name_key(leaving, traits) if leaving else None
        more = {name_key(one, traits) for one in refused}

        def is_taken(key: str) -> bool:
            return (key in keys and key != left) or key in more

        found = free_standing_name(name, is_taken, traits)
        # What is no text at all is the disk's to refuse.
        if len(found.encode(errors="surrogatepass")) > NAME_BYTES_MAX:
            raise NameTooLong(
                f"{name!r} cannot stand on this disk as it is, and its other name {found!r} would"
                " be too long",
                advice="Give it a shorter name.",
            )
        return found

    def add(self, name: str, standing: str) -> None:
        """An entry stands here now."""
        self.standing[name] = standing
        self._keys[name_key(standing, self._traits)] = standing

    def remove(self, name: str, standing: str) -> None:
        """An entry stands here no longer under a name; what has come since is left."""
        if self.standing.get(name) == standing:
            del self.standing[name]
        key = name_key(standing, self._traits)
        if self._keys.get(key) == standing:
            del self._keys[key]


class Places:
    """Finds where entries stand. Safe for several threads.

    What is known may be out of date, as everything that is known of a disk: whoever changes
    something says what is expected to stand there, and the disk looks.

    Args:
        disk: The narrow one.
        traits: Which names the disk cannot hold.

    Attributes:
        lock: Of what is known; held by whoever looks a place up and then changes what is there.
    """

    def __init__(self, disk: Disk, traits: NameTraits) -> None:
        self.lock = RLock()
        self._disk = disk
        self._traits = traits
        self._folders: OrderedDict[str, FolderNames] = OrderedDict()
        self._names_count = 0

    def names(self, folder: str) -> FolderNames:
        """Returns what stands in a folder of the disk, listing it if need be."""
        with self.lock:
            found = self._folders.get(folder)
            if found is None:
                return self.relearn(folder)
            self._folders.move_to_end(folder)
            return found

    def relearn(self, folder: str) -> FolderNames:
        """Lists a folder of the disk again."""
        return self.learn(folder, self._list_names(folder))

    def learn(self, folder: str, names: Iterable[str]) -> FolderNames:
        """Takes note of a listing of a folder of the disk."""
        found = FolderNames(names, self._traits)
        with self.lock:
            self._drop(folder)
            self._folders[folder] = found
            self._names_count += found.listed_count
            while self._names_count > _NAMES_MAX and len(self._folders) > 1:
                self._drop(next(iter(self._folders)))
        return found

    def forget(self, folder: str) -> None:
        """Nothing is known any longer of a folder of the disk and what is below it."""
        below = f"{folder}/"
        with self.lock:
            for known in list(self._folders):
                if known == folder or known.startswith(below):
                    self._drop(known)

    def folder(self, path: str) -> str:
        """Returns where a folder stands.

        Raises:
            UnsafeName: This is no path.
            NotThere: Nothing stands there, though perhaps a twin does.
        """
        standing = ""
        names = path.split("/") if path else []
        for name in names:
            check_name(name, path)
        for name in names:
            found = self.names(standing).find(name) or self.relearn(standing).find(name)
            if found is None:
                self._check_safe(join(standing, name))
                raise NotThere(f"{path!r} is not there", advice="Nothing to do.")
            standing = join(standing, found)
        return standing

    def find(self, path: str) -> str:
        """Returns where something stands; if it does not, where it would plainly stand.

        Raises:
            UnsafeName: This is no path.
            NotThere: Its folder does not stand.
        """
        if not path:
            return path
        folder, name = self.open_above(path)
        return join(folder, self.names(folder).find(name) or standing_name(name, self._traits))

    def open_above(self, path: str) -> tuple[str, str]:
        """Returns where the folder stands that holds a path, and the path's true name. Raises as
        ``folder``.
        """
        above, name = split(path)
        check_name(name, path)
        return self.folder(above), name

    def _list_names(self, folder: str) -> list[str]:
        return [one.name for one in self._disk.list_folder(folder).observed]

    def _check_safe(self, standing: str) -> None:
        self._disk.find_stat(standing)  # It refuses what is not.

    def _drop(self, folder: str) -> None:
        found = self._folders.pop(folder, None)
        if found is not None:
            self._names_count -= found.listed_count


def check_name(name: str, path: str) -> None:
    """Accepts a name in a path, or raises ``UnsafeName``; of the others, the disk judges."""
    if name in _HOSTILE or path[0] == "/":
        raise UnsafeName(f"{path!r} is no path", advice="Rename it where it was made.")


def join(folder: str, name: str) -> str:
    """Returns the path of a name in a folder."""
    return f"{folder}/{name}" if folder else name


def split(path: str) -> tuple[str, str]:
    """Returns the folder of a path, and the name in it."""
    above, _, name = path.rpartition("/")
    return above, name
