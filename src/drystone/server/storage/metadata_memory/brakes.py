# SPDX-License-Identifier: Apache-2.0
"""What devices destroy, and their brakes, in memory. The port tells what each method does."""

from drystone.core.ids import DeviceId, NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.server.ports.metadata import Brake, Destroyed
from drystone.server.storage.metadata_memory.tables import Tables

_MINUTE_NS = 60 * NS_PER_S


class MemoryBrakes:
    """What devices destroy, and their brakes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def count_destroyed(
        self, namespace_id: NamespaceId, device_id: DeviceId, since_ns: int
    ) -> Destroyed:
        found = [
            destroyed
            for (owner, device, minute), destroyed in self._tables.bursts.items()
            if (owner, device) == (namespace_id, device_id) and minute >= since_ns // _MINUTE_NS
        ]
        return Destroyed(sum(d.deleted for d in found), sum(d.overwritten for d in found))

    def note_destroyed(
        self,
        namespace_id: NamespaceId,
        device_id: DeviceId,
        destroyed: Destroyed,
        at_ns: int,
        since_ns: int,
    ) -> None:
        assert namespace_id in self._tables.namespaces, "there is no such namespace"
        bursts = self._tables.bursts
        own = [key for key in bursts if key[:2] == (namespace_id, device_id)]
        for key in own:
            if key[2] < since_ns // _MINUTE_NS:
                del bursts[key]
        key = namespace_id, device_id, at_ns // _MINUTE_NS
        before = bursts.get(key, Destroyed())
        bursts[key] = Destroyed(
            before.deleted + destroyed.deleted, before.overwritten + destroyed.overwritten
        )

    def find_brake(self, namespace_id: NamespaceId, device_id: DeviceId) -> Brake | None:
        return self._tables.brakes.get((namespace_id, device_id))

    def list_brakes(self, namespace_id: NamespaceId) -> list[Brake]:
        brakes = self._tables.brakes.items()
        return sorted(brake for (owner, _), brake in brakes if owner == namespace_id)

    def save_brake(self, namespace_id: NamespaceId, brake: Brake) -> None:
        assert namespace_id in self._tables.namespaces, "there is no such namespace"
        self._tables.brakes[namespace_id, brake.device_id] = brake
