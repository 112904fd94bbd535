# SPDX-License-Identifier: Apache-2.0
"""Order: steps one after another, each after what it waits for; rings cut by detours.

Kahn's algorithm, first in first out, so that the order in which entries were given is
kept where nothing speaks against it. Deletions go last, except those that something else
waits for. Entries that only wait for each other to leave their places (``a`` and ``b``
swapped) form a ring; one of them then takes a detour over a temporary name.

Cost: linear in vertices and dependencies, and for each ring in its length.
"""

from collections import deque
from collections.abc import Callable

from drystone.core.ids import FileId
from drystone.core.planning.graph import Graph
from drystone.core.planning.plan import Plan
from drystone.core.planning.temporary import split_at_detour


def arrange(graph: Graph, new_id: Callable[[], FileId]) -> Plan:
    """Returns the plan of all steps that can be done now. Changes the graph.

    Args:
        graph: Steps, and what they wait for.
        new_id: Makes fresh ids, for temporary names.
    """
    order = _Sorting(graph, new_id).run()
    steps = graph.steps
    position: dict[int, int] = {}
    for vertex in order:
        if steps[vertex] is not None:
            position[vertex] = len(position)
    # Whole folders share what they wait for; so do they in the plan.
    shared: dict[tuple[int, ...], tuple[int, ...]] = {(): ()}
    after: list[tuple[int, ...]] = []
    planned = []
    for vertex in position:
        needs = tuple(graph.needs_of(vertex))
        found = shared.get(needs)
        if found is None:
            found = tuple(sorted({position[need] for need in needs if need in position}))
            shared[needs] = found
        after.append(found)
        planned.append(steps[vertex])
    conflicts = tuple(graph.conflicts[vertex] for vertex in position if vertex in graph.conflicts)
    waiting = dict.fromkeys(graph.owners[vertex] for vertex in order if steps[vertex] is None)
    return Plan(
        tuple(step for step in planned if step is not None),
        conflicts,
        tuple(waiting),
        tuple(after),
    )


class _Sorting:
    """One run over one graph."""

    def __init__(self, graph: Graph, new_id: Callable[[], FileId]) -> None:
        self._graph = graph
        self._new_id = new_id
        count = len(graph.steps)
        self._open = [0] * count
        self._waiters: list[list[int] | None] = [None] * count
        self._is_done = [False] * count
        self._order: list[int] = []
        self._soon: deque[int] = deque()
        self._late: deque[int] = deque()

    def run(self) -> list[int]:
        """Returns all vertices in order; waiting vertices have lost their step."""
        for vertex in range(len(self._graph.steps)):
            needs = self._graph.needs_of(vertex)
            if needs:
                for need in needs:
                    self._wait(vertex, need)
            else:
                self._make_ready(vertex)
        self._drain()
        start = 0
        while len(self._order) < len(self._is_done):
            while self._is_done[start]:
                start += 1
            self._cut_ring(start)
            self._drain()
        return self._order

    def _wait(self, vertex: int, need: int) -> None:
        waiters = self._waiters[need]
        if waiters is None:
            self._waiters[need] = [vertex]
        else:
            waiters.append(vertex)
        self._open[vertex] += 1

    def _make_ready(self, vertex: int) -> None:
        (self._late if vertex in self._graph.is_last else self._soon).append(vertex)

    def _drain(self) -> None:
        soon, late = self._soon, self._late
        while soon or late:
            vertex = soon.popleft() if soon else late.popleft()
            self._is_done[vertex] = True
            self._order.append(vertex)
            waiters = self._waiters[vertex]
            if waiters is None:
                continue
            is_blocked = self._graph.steps[vertex] is None
            for waiter in waiters:
                if is_blocked and not self._is_loose(waiter, vertex):
                    self._graph.steps[waiter] = None
                self._open[waiter] -= 1
                if self._open[waiter] == 0:
                    self._make_ready(waiter)

    def _is_loose(self, vertex: int, need: int) -> bool:
        return need in self._graph.loose.get(vertex, ())

    def _cut_ring(self, start: int) -> None:
        graph, ring = self._graph, self._find_ring(start)
        for vertex in ring:
            leaver = graph.yields.get(vertex)
            if leaver in ring and leaver in graph.standing:
                self._detour(vertex, leaver)
                return
        # Only a wish binds this ring, or nothing that could be cut: what stands in it waits.
        for vertex in ring:
            for need in ring:
                if self._is_loose(vertex, need):
                    graph.loose[vertex].remove(need)
                    self._let_go(vertex, need)
                    return
        vertex, need = ring[0], ring[1 % len(ring)]
        graph.steps[vertex] = None
        self._let_go(vertex, need)

    def _find_ring(self, start: int) -> list[int]:
        """Returns vertices of which each waits for the next, and the last for the first."""
        trail: dict[int, None] = {}
        vertex = start
        while vertex not in trail:
            trail[vertex] = None
            vertex = next(n for n in self._graph.needs_of(vertex) if not self._is_done[n])
        ring = list(trail)
        return ring[ring.index(vertex) :]

    def _detour(self, vertex: int, leaver: int) -> None:
        """Lets ``leaver`` free its place at once, under a temporary name, for ``vertex``."""
        graph = self._graph
        step = graph.steps[leaver]
        if step is None:
            # It waits for something else, so the place does not become free now.
            graph.steps[vertex] = None
            self._let_go(vertex, leaver)
            return
        first, rest = split_at_detour(step, graph.standing.pop(leaver), self._new_id())
        detour = graph.add(graph.owners[leaver], first)
        graph.steps[leaver] = rest
        self._open.append(0)
        self._waiters.append(None)
        self._is_done.append(False)
        earlier = (graph.chain.get(leaver), graph.adopted.get(leaver))
        graph.firm[detour] = tuple(before for before in earlier if before is not None)
        for before in graph.firm[detour]:
            if not self._is_done[before]:
                self._wait(detour, before)
        if self._open[detour] == 0:
            self._make_ready(detour)
        graph.need(leaver, detour)
        self._wait(leaver, detour)
        self._wait(vertex, detour)
        graph.yields[vertex] = detour
        self._let_go(vertex, leaver)

    def _let_go(self, vertex: int, need: int) -> None:
        """Ends a wait."""
        waiters = self._waiters[need]
        assert waiters is not None
        waiters.remove(vertex)
        self._open[vertex] -= 1
        if self._open[vertex] == 0:
            self._make_ready(vertex)
