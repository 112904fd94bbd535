# SPDX-License-Identifier: Apache-2.0
"""A disk for planner tests: inodes and names, and what a real disk would refuse."""

from collections.abc import Iterator

from drystone.core.content.content import Content
from drystone.core.ids import FileId, Rev
from drystone.core.planning.policy import Traits
from drystone.core.tree.entry import Entry, Kind
from tests.property.planner_server import token_of

PLAIN = Traits()


class Node:
    """An inode."""

    __slots__ = ("children", "content", "ino", "kind", "mode", "mtime_ns", "target")

    def __init__(self, ino: int, kind: Kind) -> None:
        self.ino = ino
        self.kind = kind
        self.content: Content | None = None
        self.mode = 0o755 if kind == Kind.FOLDER else 0o644
        self.mtime_ns = 0
        self.target = ""
        self.children: dict[str, Node] = {}


class Disk:
    """A tree of inodes. Raises if asked for what a real disk would refuse."""

    def __init__(self, traits: Traits = PLAIN) -> None:
        self._inos = 1
        self.root = Node(1, Kind.FOLDER)
        self.trash: list[Node] = []
        self.traits = traits

    def make(self, kind: Kind) -> Node:
        self._inos += 1
        return Node(self._inos, kind)

    def put(self, folder: Node, name: str, node: Node) -> None:
        assert folder.kind == Kind.FOLDER
        assert self.is_free(folder, name), f"{name} is taken"
        folder.children[name] = node

    def is_free(self, folder: Node, name: str) -> bool:
        return name not in folder.children

    def walk(self) -> Iterator[tuple[Node, str, Node]]:
        """Yields folder, name, node: folders before what they hold."""
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            for name, node in sorted(folder.children.items()):
                yield folder, name, node
                if node.kind == Kind.FOLDER:
                    waiting.append(node)

    def is_below(self, node: Node, folder: Node) -> bool:
        if node is folder:
            return True
        return any(self.is_below(node, child) for child in folder.children.values())

    def paths(self) -> dict[str, tuple]:
        found: dict[str, tuple] = {}

        def visit(folder: Node, above: str) -> None:
            for name, node in folder.children.items():
                token = token_of(node.content) if node.kind == Kind.FILE else None
                found[above + name] = (node.kind.name, token, node.mode, node.mtime_ns, node.target)
                visit(node, f"{above}{name}/")

        visit(self.root, "")
        return found

    def tokens(self, node: Node) -> set[int]:
        """Returns the contents at and below an inode."""
        if node.kind == Kind.FILE:
            return {token_of(node.content)}
        return set().union(*(self.tokens(child) for child in node.children.values()))


class NotThereError(Exception):
    """Nothing stands where something was expected, or another inode does."""


def child_of(folder: Node, name: str) -> Node:
    if name not in folder.children:
        raise NotThereError(f"nothing is called {name}")
    return folder.children[name]


def observed(
    node: Node, file_id: FileId, parent_id: FileId, name: str, traits: Traits = PLAIN
) -> Entry:
    """Returns an inode as a scan sees it: rounded to what the disk can hold."""
    step = traits.mtime_step_ns
    mtime_ns = 0 if node.kind == Kind.FOLDER else node.mtime_ns // step * step
    mode = node.mode if traits.holds_modes else 0
    return Entry(
        file_id, parent_id, name, node.kind, node.content, mode, mtime_ns, node.target, Rev(0)
    )


def write(node: Node, entry: Entry) -> None:
    node.content = entry.content
    node.target = entry.target
    node.mode = entry.mode or node.mode
    node.mtime_ns = entry.mtime_ns
