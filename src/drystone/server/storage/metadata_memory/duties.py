# SPDX-License-Identifier: Apache-2.0
"""Duties of workers, and positions of projectors, in memory. The ports tell what each does."""

from drystone.core.ids import NamespaceId, Seq
from drystone.server.ports.projections import Behind, Lag
from drystone.server.storage.metadata_memory.tables import Duty, Tables


class MemoryDuties:
    """Duties of workers."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def take(self, name: str, holder: str, now_ns: int, lasts_ns: int) -> bool:
        duties = self._tables.duties
        known = duties.get(name)
        if known is None or known.holder == holder or known.until_ns <= now_ns:
            duties[name] = Duty(holder, now_ns + lasts_ns, lasts_ns)
            return True
        if known.until_ns > now_ns + known.lasts_ns:
            duties[name] = known._replace(until_ns=now_ns + known.lasts_ns)
        return False

    def renew(self, name: str, holder: str, now_ns: int, lasts_ns: int) -> bool:
        if not self.holds(name, holder):
            return False
        self._tables.duties[name] = Duty(holder, now_ns + lasts_ns, lasts_ns)
        return True

    def release(self, name: str, holder: str) -> None:
        if self.holds(name, holder):
            del self._tables.duties[name]

    def holds(self, name: str, holder: str) -> bool:
        return self.find_holder(name) == holder

    def find_holder(self, name: str) -> str | None:
        known = self._tables.duties.get(name)
        return None if known is None else known.holder


class MemoryProjections:
    """Positions of projectors."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add_projector(self, projector: str) -> None:
        self._tables.projectors[projector] = None

    def begin(self, projector: str) -> None:
        assert projector in self._tables.projectors, f"nobody knows {projector}"

    def remove_projector(self, projector: str) -> None:
        self._tables.projectors.pop(projector, None)
        for key in [key for key in self._tables.positions if key[1] == projector]:
            del self._tables.positions[key]

    def list_projectors(self) -> list[str]:
        return sorted(self._tables.projectors)

    def list_behind(self, projector: str, after: NamespaceId | None, limit: int) -> list[Behind]:
        known = list(self._tables.namespaces)
        later = known[known.index(after) + 1 :] if after is not None else known
        if projector not in self._tables.projectors:
            return []
        found = [
            Behind(
                namespace_id,
                self.find_position(projector, namespace_id),
                Seq(len(self._tables.records[namespace_id])),
            )
            for namespace_id in later
        ]
        return [line for line in found if line.seq < line.head][:limit]

    def find_position(self, projector: str, namespace_id: NamespaceId) -> Seq:
        return self._tables.positions.get((namespace_id, projector), Seq(0))

    def move(self, projector: str, namespace_id: NamespaceId, seq: Seq) -> None:
        if projector in self._tables.projectors and namespace_id in self._tables.namespaces:
            seq = max(seq, self.find_position(projector, namespace_id))
            self._tables.positions[namespace_id, projector] = seq

    def measure(self, projector: str) -> Lag:
        behind = self.list_behind(projector, None, len(self._tables.namespaces))
        return Lag(len(behind), sum(line.head - line.seq for line in behind))
