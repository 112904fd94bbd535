# SPDX-License-Identifier: Apache-2.0
"""Graph: steps not yet in order, and what each has to wait for."""

from enum import IntEnum

from drystone.core.ids import FileId
from drystone.core.planning.plan import Conflict, Step
from drystone.core.tree.entry import Entry


class Side(IntEnum):
    """Where a step works. The values index pairs."""

    DISK = 0
    SERVER = 1


class Graph:
    """Nodes are numbered from 0 as they are added. A node without a step stands for an entry
    that has to wait: whatever firmly depends on it waits too.

    Attributes:
        steps: By node; None where there is nothing to do now.
        owners: By node: whose step it is.
        firm: By node: nodes that must be done before. Lists may be shared: replace them.
        more: Further firm dependencies of nodes that have many.
        loose: Nodes that must be done before if they are done at all.
        yields: For a node that takes a place: the node by which the place becomes free. The
            only kind of dependency that a detour over a temporary name can cut.
        standing: For nodes that free a place: the entry as it stands there.
        chain: For nodes that have one: the node before it of the same entry.
        adopted: For nodes that speak of a folder by its adopted id: the adoption.
        conflicts: What a node settles.
        is_last: Nodes that go last if nothing waits for them.
    """

    def __init__(self) -> None:
        self.steps: list[Step | None] = []
        self.owners: list[FileId] = []
        self.firm: list[tuple[int, ...]] = []
        self.more: dict[int, list[int]] = {}
        self.loose: dict[int, list[int]] = {}
        self.yields: dict[int, int] = {}
        self.standing: dict[int, Entry] = {}
        self.chain: dict[int, int] = {}
        self.adopted: dict[int, int] = {}
        self.conflicts: dict[int, Conflict] = {}
        self.is_last: set[int] = set()

    def add(self, owner: FileId, step: Step | None, firm: tuple[int, ...] = ()) -> int:
        """Adds a node and returns its number."""
        self.steps.append(step)
        self.owners.append(owner)
        self.firm.append(firm)
        return len(self.steps) - 1

    def add_after(self, before: int | None, owner: FileId, step: Step) -> int:
        """Adds a node that follows another one of the same entry."""
        if before is None:
            return self.add(owner, step)
        node = self.add(owner, step, (before,))
        self.chain[node] = before
        return node

    def need(self, node: int, other: int) -> None:
        """Lets a node wait for another one."""
        if node != other:
            self.more.setdefault(node, []).append(other)

    def prefer(self, node: int, other: int) -> None:
        """Lets a node wait for another one if that is done at all."""
        if node != other:
            self.loose.setdefault(node, []).append(other)

    def needs_of(self, node: int) -> tuple[int, ...] | list[int]:
        """Returns the nodes that must be done before, all kinds together."""
        found = self.firm[node]
        if node in self.more or node in self.loose or node in self.yields:
            several = [*found, *self.more.get(node, ()), *self.loose.get(node, ())]
            if node in self.yields:
                several.append(self.yields[node])
            return several
        return found
