# SPDX-License-Identifier: Apache-2.0
"""Users: what people do to their disks between two rounds, at random."""

from random import Random

from drystone.core.tree.entry import Kind
from tests.property.planner_disk import Disk, Node
from tests.property.planner_server import make_content, token_of

NAMES = ("a", "b", "c", "d", "e.txt", "f.txt")


class Tokens:
    """Hands out contents, and remembers which of them must not get lost.

    A content must be somewhere in the end if somebody made it and nobody overwrote or
    deleted a file that held it.
    """

    def __init__(self, first: int = 0) -> None:
        self._last = first
        self.made: set[int] = set()
        self.given_up: set[int] = set()

    def fresh(self) -> int:
        self._last += 1
        self.made.add(self._last)
        return self._last

    def give_up(self, tokens: set[int]) -> None:
        self.given_up |= tokens


class User:
    """Somebody at work on one disk."""

    def __init__(self, disk: Disk, tokens: Tokens, chance: Random, names=NAMES) -> None:
        self._disk = disk
        self._tokens = tokens
        self._chance = chance
        self._names = names
        self._clock = 0
        self.did: list[str] = []

    def work(self, count: int) -> None:
        """Does so many random things."""
        deeds = (
            self.create, self.create, self.make_folder, self.edit, self.edit, self.delete,
            self.move, self.move, self.move, self.rename, self.swap, self.replace_kind,
            self.set_mode, self.touch, self.link, self.nest, self.save_over,
        )  # fmt: skip
        for _ in range(count):
            self._clock += 1
            self._chance.choice(deeds)()

    # --- deeds -------------------------------------------------------------------------------

    def create(self) -> None:
        folder = self._any_folder()
        name = self._chance.choice(self._names)
        if self._disk.is_free(folder, name):
            node = self._new_file()
            self._disk.put(folder, name, node)
            self._note("create", node, name)

    def make_folder(self) -> None:
        folder = self._any_folder()
        name = self._chance.choice(self._names)
        if self._disk.is_free(folder, name):
            node = self._disk.make(Kind.FOLDER)
            self._disk.put(folder, name, node)
            self._note("mkdir", node, name)

    def link(self) -> None:
        folder = self._any_folder()
        name = self._chance.choice(self._names)
        if self._disk.is_free(folder, name):
            node = self._disk.make(Kind.SYMLINK)
            node.target = self._chance.choice(("x", "y"))
            self._disk.put(folder, name, node)
            self._note("link", node, name)

    def edit(self) -> None:
        found = self._any(Kind.FILE)
        if found is not None:
            _, name, node = found
            self._tokens.give_up({token_of(node.content)})
            node.content = make_content(self._tokens.fresh())
            node.mtime_ns = self._next_time()
            self._note("edit", node, name)

    def save_over(self) -> None:
        """As editors do: write beside, rename over."""
        found = self._any(Kind.FILE)
        if found is not None:
            folder, name, node = found
            self._tokens.give_up({token_of(node.content)})
            folder.children[name] = self._new_file()
            self._note("save over", node, name)

    def delete(self) -> None:
        found = self._any()
        if found is not None:
            folder, name, node = found
            self._tokens.give_up(self._disk.tokens(node))
            del folder.children[name]
            self._note("delete", node, name)

    def move(self) -> None:
        found, target = self._any(), self._any_folder()
        name = self._chance.choice(self._names)
        if found is not None:
            self._move(*found, target, name)

    def rename(self) -> None:
        found = self._any()
        name = self._chance.choice(self._names)
        if found is not None:
            self._move(*found, found[0], name)

    def nest(self) -> None:
        """Puts a new folder in the place of an entry, and the entry inside."""
        found = self._any()
        if found is not None:
            folder, name, node = found
            between = self._disk.make(Kind.FOLDER)
            folder.children[name] = between
            between.children[self._chance.choice(self._names)] = node
            self._note("nest", node, name)

    def swap(self) -> None:
        one, other = self._any(), self._any()
        if one is None or other is None or one[2] is other[2]:
            return
        (folder, name, node), (other_folder, other_name, other_node) = one, other
        disk = self._disk
        if disk.is_below(folder, other_node) or disk.is_below(other_folder, node):
            return
        folder.children[name], other_folder.children[other_name] = other_node, node
        self._note(f"swap {other_name} with", node, name)

    def replace_kind(self) -> None:
        """A file becomes a folder of the same name, or the other way round."""
        found = self._any()
        if found is not None:
            folder, name, node = found
            self._tokens.give_up(self._disk.tokens(node))
            if node.kind == Kind.FOLDER:
                folder.children[name] = self._new_file()
            else:
                folder.children[name] = self._disk.make(Kind.FOLDER)
            self._note("replace", node, name)

    def set_mode(self) -> None:
        found = self._any()
        if found is not None:
            folder_modes, file_modes = (0o755, 0o700), (0o644, 0o600, 0o755)
            is_folder = found[2].kind == Kind.FOLDER
            found[2].mode = self._chance.choice(folder_modes if is_folder else file_modes)
            self._note("chmod", found[2], found[1])

    def touch(self) -> None:
        found = self._any(Kind.FILE)
        if found is not None:
            found[2].mtime_ns = self._next_time()
            self._note("touch", found[2], found[1])

    # --- inside ------------------------------------------------------------------------------

    def _move(self, folder: Node, name: str, node: Node, target: Node, new_name: str) -> None:
        disk = self._disk
        if disk.is_below(target, node):
            return
        del folder.children[name]
        if not disk.is_free(target, new_name):
            folder.children[name] = node
            return
        target.children[new_name] = node
        self._note(f"move {name} to", node, new_name)

    def _new_file(self) -> Node:
        node = self._disk.make(Kind.FILE)
        node.content = make_content(self._tokens.fresh())
        node.mtime_ns = self._next_time()
        return node

    def _next_time(self) -> int:
        return self._clock * 1_000 + self._chance.randrange(1_000)

    def _any(self, kind: Kind | None = None) -> tuple[Node, str, Node] | None:
        found = [place for place in self._disk.walk() if kind in (None, place[2].kind)]
        return self._chance.choice(found) if found else None

    def _any_folder(self) -> Node:
        folders = [node for _, _, node in self._disk.walk() if node.kind == Kind.FOLDER]
        return self._chance.choice([self._disk.root, *folders])

    def _note(self, what: str, node: Node, name: str) -> None:
        self.did.append(f"{what} {name} (inode {node.ino})")
