# SPDX-License-Identifier: Apache-2.0
"""Duties of workers, and positions of projectors, in SQL."""

from typing import Final

from drystone.core.ids import NamespaceId, Seq
from drystone.server.ports.projections import Behind, Lag
from drystone.server.storage.metadata_sql.numbers import NO_NS, Numbers
from drystone.server.storage.metadata_sql.rows import LOCKED
from drystone.server.storage.metadata_sql.session import Session


class SqlDuties:
    """Implements the port ``DutiesUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, name: str, holder: str, now_ns: int, lasts_ns: int) -> bool:
        values = {
            "name": name,
            "holder": holder,
            "now_ns": now_ns,
            "lasts_ns": lasts_ns,
            "until_ns": now_ns + lasts_ns,
        }
        if self._session.execute(_TAKE, values).fetchone() is not None:
            return True
        self._session.execute(_CUT_DOWN, {"name": name, "now_ns": now_ns})
        return False

    def renew(self, name: str, holder: str, now_ns: int, lasts_ns: int) -> bool:
        values = {
            "name": name,
            "holder": holder,
            "lasts_ns": lasts_ns,
            "until_ns": now_ns + lasts_ns,
        }
        return self._session.execute(_RENEW, values).rowcount == 1

    def release(self, name: str, holder: str) -> None:
        self._session.execute(_RELEASE, {"name": name, "holder": holder})

    def holds(self, name: str, holder: str) -> bool:
        return self.find_holder(name) == holder

    def find_holder(self, name: str) -> str | None:
        row = self._session.execute(_FIND_HOLDER, {"name": name}).fetchone()
        return None if row is None else str(row[0])


class SqlProjections:
    """Implements the port ``ProjectionsUnit`` inside the transaction of its connection."""

    def __init__(self, session: Session, numbers: Numbers) -> None:
        self._session = session
        self._numbers = numbers

    def add_projector(self, projector: str) -> None:
        self._session.execute(_ADD_PROJECTOR, {"projector": projector})

    def begin(self, projector: str) -> None:
        self._session.execute(_BEGIN, {"projector": projector})

    def remove_projector(self, projector: str) -> None:
        for statement in (_REMOVE_PROJECTOR, _REMOVE_PROJECTIONS):
            self._session.execute(statement, {"projector": projector})

    def list_projectors(self) -> list[str]:
        return [name for (name,) in self._session.execute(_LIST_PROJECTORS)]

    def list_behind(self, projector: str, after: NamespaceId | None, limit: int) -> list[Behind]:
        after_ns = NO_NS if after is None else self._numbers.peek_ns(after)
        values = {"projector": projector, "after_ns": after_ns, "limit": limit}
        rows = self._session.execute(_LIST_BEHIND, values)
        return [Behind(NamespaceId(name), Seq(seq), Seq(head)) for name, seq, head in rows]

    def find_position(self, projector: str, namespace_id: NamespaceId) -> Seq:
        values = {"projector": projector, "ns": self._numbers.peek_ns(namespace_id)}
        row = self._session.execute(_FIND_POSITION, values).fetchone()
        return Seq(0 if row is None else row[0])

    def move(self, projector: str, namespace_id: NamespaceId, seq: Seq) -> None:
        values = {"projector": projector, "ns": self._numbers.peek_ns(namespace_id), "seq": seq}
        self._session.execute(_MOVE, values)

    def measure(self, projector: str) -> Lag:
        row = self._session.execute(_MEASURE, {"projector": projector}).fetchone()
        return Lag(int(row[0]), int(row[1]))


# Two that come at once are told apart by the row: one of them finds it taken.
_TAKE: Final = """
    INSERT INTO duty (name, holder, until_ns, lasts_ns)
    VALUES (:name, :holder, :until_ns, :lasts_ns)
    ON CONFLICT (name) DO UPDATE SET
        holder = excluded.holder, until_ns = excluded.until_ns, lasts_ns = excluded.lasts_ns
    WHERE duty.holder = excluded.holder OR duty.until_ns <= :now_ns
    RETURNING name
"""

_CUT_DOWN: Final = """
    UPDATE duty SET until_ns = :now_ns + lasts_ns
    WHERE name = :name AND until_ns > :now_ns + lasts_ns
"""

_RENEW: Final = """
    UPDATE duty SET until_ns = :until_ns, lasts_ns = :lasts_ns
    WHERE name = :name AND holder = :holder
"""

_RELEASE: Final = "DELETE FROM duty WHERE name = :name AND holder = :holder"

_FIND_HOLDER: Final = f"SELECT holder FROM duty WHERE name = :name {LOCKED}"

_ADD_PROJECTOR: Final = """
    INSERT INTO projector (name) VALUES (:projector) ON CONFLICT (name) DO NOTHING
"""

# Locked: who is appending to a journal right now, and did not see the projector, comes first, and
# is seen here.
_BEGIN: Final = f"""
    INSERT INTO projection (ns, projector, seq, head)
    SELECT j.ns, :projector, 0, j.head
    FROM journal AS j
    WHERE NOT EXISTS (
        SELECT 1 FROM projection AS p WHERE p.ns = j.ns AND p.projector = :projector
    )
    {LOCKED}
"""

_REMOVE_PROJECTOR: Final = "DELETE FROM projector WHERE name = :projector"

_REMOVE_PROJECTIONS: Final = "DELETE FROM projection WHERE projector = :projector"

_LIST_PROJECTORS: Final = "SELECT name FROM projector ORDER BY name"

_LIST_BEHIND: Final = """
    SELECT n.namespace_id, p.seq, p.head
    FROM projection AS p LEFT JOIN namespace AS n ON n.ns = p.ns
    WHERE p.projector = :projector AND p.ns > :after_ns AND p.seq < p.head
    ORDER BY p.ns
    LIMIT :limit
"""

_FIND_POSITION: Final = "SELECT seq FROM projection WHERE ns = :ns AND projector = :projector"

_MOVE: Final = """
    UPDATE projection SET seq = :seq WHERE ns = :ns AND projector = :projector AND seq < :seq
"""

_MEASURE: Final = """
    SELECT count(*), coalesce(sum(p.head - p.seq), 0)
    FROM projection AS p
    WHERE p.projector = :projector AND p.seq < p.head
"""
