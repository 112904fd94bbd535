# SPDX-License-Identifier: Apache-2.0
"""What devices destroy, and their brakes, in SQL."""

from typing import Final

from drystone.core.ids import DeviceId, NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.server.ports.metadata import Brake, Destroyed
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.session import Session

_MINUTE_NS: Final = 60 * NS_PER_S


class SqlBrakes:
    """Implements the port ``BrakesUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def count_destroyed(
        self, namespace_id: NamespaceId, device_id: DeviceId, since_ns: int
    ) -> Destroyed:
        values = {
            "ns": self._numbers.find_ns(namespace_id),
            "device_id": device_id,
            "since": since_ns // _MINUTE_NS,
        }
        deleted, overwritten = self._session.execute(_COUNT_BURST, values).fetchone()
        return Destroyed(int(deleted), int(overwritten))

    def note_destroyed(
        self,
        namespace_id: NamespaceId,
        device_id: DeviceId,
        destroyed: Destroyed,
        at_ns: int,
        since_ns: int,
    ) -> None:
        values = {
            "ns": self._numbers.get_ns(namespace_id),
            "device_id": device_id,
            "minute": at_ns // _MINUTE_NS,
            **destroyed._asdict(),
            "since": since_ns // _MINUTE_NS,
        }
        self._session.execute(_DROP_BURST, values)
        self._session.execute(_ADD_BURST, values)

    def find_brake(self, namespace_id: NamespaceId, device_id: DeviceId) -> Brake | None:
        values = {"ns": self._numbers.find_ns(namespace_id), "device_id": device_id}
        row = self._session.execute(_FIND_BRAKE, values).fetchone()
        return None if row is None else Brake(*row)

    def list_brakes(self, namespace_id: NamespaceId) -> list[Brake]:
        values = {"ns": self._numbers.find_ns(namespace_id)}
        return [Brake(*row) for row in self._session.execute(_LIST_BRAKES, values)]

    def save_brake(self, namespace_id: NamespaceId, brake: Brake) -> None:
        values = {"ns": self._numbers.get_ns(namespace_id), **brake._asdict()}
        self._session.execute(_SAVE_BRAKE, values)


_COUNT_BURST: Final = """
    SELECT coalesce(sum(deleted), 0), coalesce(sum(overwritten), 0) FROM burst
    WHERE ns = :ns AND device_id = :device_id AND minute >= :since
"""

_DROP_BURST: Final = """
    DELETE FROM burst WHERE ns = :ns AND device_id = :device_id AND minute < :since
"""

_ADD_BURST: Final = """
    INSERT INTO burst (ns, device_id, minute, deleted, overwritten)
    VALUES (:ns, :device_id, :minute, :deleted, :overwritten)
    ON CONFLICT (ns, device_id, minute) DO UPDATE SET
        deleted = burst.deleted + excluded.deleted,
        overwritten = burst.overwritten + excluded.overwritten
"""

_COLUMNS: Final = "device_id, held_ns, held_count, allowed_count, allowed_until_ns"

_FIND_BRAKE: Final = f"SELECT {_COLUMNS} FROM brake WHERE ns = :ns AND device_id = :device_id"

_LIST_BRAKES: Final = f"SELECT {_COLUMNS} FROM brake WHERE ns = :ns ORDER BY device_id"

_SAVE_BRAKE: Final = """
    INSERT INTO brake (ns, device_id, held_ns, held_count, allowed_count, allowed_until_ns)
    VALUES (:ns, :device_id, :held_ns, :held_count, :allowed_count, :allowed_until_ns)
    ON CONFLICT (ns, device_id) DO UPDATE SET
        held_ns = excluded.held_ns, held_count = excluded.held_count,
        allowed_count = excluded.allowed_count, allowed_until_ns = excluded.allowed_until_ns
"""
