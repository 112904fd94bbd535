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
    """Vertices are numbered from 0 as they are added. A vertex without a step stands for an entry
    that has to wait: whatever firmly depends on it waits too.

    Attributes:
        steps: By vertex; None where there is nothing to do now.
        owners: By vertex: whose step it is.
        firm: By vertex: vertices that must be done before. Lists may be shared: replace them.
        more: Further firm dependencies of vertices that have many.
        loose: Vertices that must be done before if they are done at all.
        yields: For a vertex that takes a place: the vertex by which the place becomes free. The
            only kind of dependency that a detour over a temporary name can cut.
        standing: For vertices that free a place: the entry as it stands there.
        chain: For vertices that have one: the vertex before it of the same entry.
        adopted: For vertices that speak of a folder by its adopted id: the adoption.
        conflicts: What a vertex settles.
        is_last: Vertices that go last if nothing waits for them.
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
        """Adds a vertex and returns its number."""
        self.steps.append(step)
        self.owners.append(owner)
        self.firm.append(firm)
        return len(self.steps) - 1

    def add_after(self, before: int | None, owner: FileId, step: Step) -> int:
        """Adds a vertex that follows another one of the same entry."""
        if before is None:
            return self.add(owner, step)
        vertex = self.add(owner, step, (before,))
        self.chain[vertex] = before
        return vertex

    def need(self, vertex: int, other: int) -> None:
        """Lets a vertex wait for another one."""
        if vertex != other:
            self.more.setdefault(vertex, []).append(other)

    def prefer(self, vertex: int, other: int) -> None:
        """Lets a vertex wait for another one if that is done at all."""
        if vertex != other:
            self.loose.setdefault(vertex, []).append(other)

    def needs_of(self, vertex: int) -> tuple[int, ...] | list[int]:
        """Returns the vertices that must be done before, all kinds together."""
        found = self.firm[vertex]
        if vertex in self.more or vertex in self.loose or vertex in self.yields:
            several = [*found, *self.more.get(vertex, ()), *self.loose.get(vertex, ())]
            if vertex in self.yields:
                several.append(self.yields[vertex])
            return several
        return found
