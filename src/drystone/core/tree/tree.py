# SPDX-License-Identifier: Apache-2.0
"""Tree: entries in memory, found by file id and by folder and name.

For tests, simulations and checkers; the trees of millions of entries live in databases and
are read through the same ``TreeView``.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from drystone.core import limits
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.tree.entry import Entry, Kind


class Tree:
    """The undeleted entries of one namespace. Never changes; ``replace`` gives another.

    An entry whose folder is not in the tree is *buried*: its folder was deleted, and it with
    it. It is kept, because it returns when the folder is restored, but it is not living.

    Invariants: no two entries of a folder share a name; no entry is the root, or below itself.
    Equal to another tree if both hold equal entries, buried ones included.
    """

    __slots__ = ("_children", "_entries")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Makes a tree of these entries, given in any order. Cost: O(entries)."""
        self._entries: dict[FileId, Entry] = {}
        self._children: dict[FileId, dict[str, Entry]] = {}
        for entry in entries:
            assert entry.file_id not in self._entries, f"two entries have the id of {entry}"
            self._entries[entry.file_id] = entry
            folder = self._children.setdefault(entry.parent_id, {})
            assert entry.name not in folder, f"a place is taken twice: {entry}"
            folder[entry.name] = entry
        assert ROOT_ID not in self._entries, "the root is in no tree"
        self._check_acyclic(self._entries)

    def find(self, file_id: FileId) -> Entry | None:
        """Returns the entry with this id, a buried one too, or None. O(1)."""
        return self._entries.get(file_id)

    def children(self, parent_id: FileId) -> Mapping[str, Entry]:
        """Returns the entries of a folder by name; those of a deleted folder are buried. O(1)."""
        return MappingProxyType(self._children.get(parent_id, {}))

    def is_living(self, file_id: FileId) -> bool:
        """Tells whether the entry and all folders above it are in the tree. O(depth)."""
        while file_id != ROOT_ID:
            entry = self._entries.get(file_id)
            if entry is None:
                return False
            file_id = entry.parent_id
        return True

    def iter_living(self, folder_id: FileId = ROOT_ID) -> Iterator[Entry]:
        """Yields the living entries below a folder: folders before what they hold, by name."""
        waiting = [folder_id] if self.is_living(folder_id) else []
        while waiting:
            folder = self.children(waiting.pop())
            names = sorted(folder)
            yield from (folder[name] for name in names)
            folders = [folder[name] for name in names if folder[name].kind is Kind.FOLDER]
            waiting += [entry.file_id for entry in reversed(folders)]

    def path_of(self, file_id: FileId) -> str | None:
        """Returns the path of a living entry (``/a/b``; the root's is ``""``), or None."""
        names: list[str] = []
        while file_id != ROOT_ID:
            entry = self._entries.get(file_id)
            if entry is None:
                return None
            names.append(entry.name)
            file_id = entry.parent_id
            # A tree that is being refused because it has a cycle can still be shown.
            if len(names) > len(self._entries):
                return None
        return "".join(f"/{name}" for name in reversed(names))

    def replace(self, put: Iterable[Entry], dropped: Collection[FileId] = ()) -> "Tree":
        """Returns this tree with some entries put in or exchanged, and some left out.

        All at once: what is put may take a place that another entry leaves. Leaving out a
        folder does not leave out what is in it. Broken invariants are an ``AssertionError``.

        Cost: O(entries) of copying pointers, once per call.
        """
        fresh = {entry.file_id: entry for entry in put}
        assert fresh.keys().isdisjoint(dropped), "an entry cannot be put in and left out"
        tree = Tree()
        tree._entries = self._entries.copy()
        tree._children = self._children.copy()
        owned: set[FileId] = set()
        for file_id in {*fresh, *dropped}:
            if (old := tree._entries.pop(file_id, None)) is not None:
                del tree._own_folder(old.parent_id, owned)[old.name]
        for entry in fresh.values():
            tree._entries[entry.file_id] = entry
            folder = tree._own_folder(entry.parent_id, owned)
            assert entry.name not in folder, f"a place is taken twice: {entry}"
            folder[entry.name] = entry
        for parent_id in owned:
            if not tree._children[parent_id]:
                del tree._children[parent_id]
        assert ROOT_ID not in tree._entries, "the root is in no tree"
        tree._check_acyclic(fresh)
        return tree

    def _own_folder(self, parent_id: FileId, owned: set[FileId]) -> dict[str, Entry]:
        """Returns a folder's index to write to, copied from the other tree's the first time."""
        if parent_id not in owned:
            owned.add(parent_id)
            self._children[parent_id] = dict(self._children.get(parent_id, {}))
        return self._children[parent_id]

    def _check_acyclic(self, started: Iterable[FileId]) -> None:
        """Asserts that the walk up from each of these ends, at the root or at a gap."""
        ended: set[FileId] = {ROOT_ID}
        for file_id in started:
            path: list[FileId] = []
            here = file_id
            while here not in ended and (entry := self._entries.get(here)) is not None:
                path.append(here)
                assert len(path) <= len(self._entries), f"{file_id.hex()} is below itself"
                here = entry.parent_id
            ended.update(path)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, file_id: object) -> bool:
        return file_id in self._entries

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(frozenset(self._entries.values()))

    def __repr__(self) -> str:
        lines = sorted(
            f"{self.path_of(e.file_id) or '(buried) ' + e.name}={e.file_id.hex()[-4:]}@{e.rev}"
            for e in self
        )
        return f"Tree({', '.join(lines)})"


def check_tree(tree: Tree) -> None:
    """Asserts what must hold of a tree that a person could meet: nothing buried, folders hold.

    Every parent is a folder, every place is in the index, no folder is deeper than allowed.
    """
    for entry in tree:
        assert tree.is_living(entry.file_id), f"buried: {entry}"
        assert tree.children(entry.parent_id)[entry.name] == entry
        parent = tree.find(entry.parent_id)
        assert parent is None or parent.kind is Kind.FOLDER, f"not in a folder: {entry}"
        path = tree.path_of(entry.file_id)
        assert path is not None
        assert path.count("/") - 1 <= limits.DEPTH_MAX, f"too deep: {entry}"
