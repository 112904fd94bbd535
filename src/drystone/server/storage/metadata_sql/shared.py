# SPDX-License-Identifier: Apache-2.0
"""What all workers on one database have in common, in SQL."""

from collections.abc import Hashable
from typing import Final

from drystone.server.storage.metadata_sql.session import Session

RUN: Final = "/* run */ :run"
"""What is another text once a database was put back or moved. To SQLite, which does not know, it is
told by the process; what PostgreSQL takes for it stands in ``dialect``."""


class SqlShared:
    """Implements the port ``SharedUnit`` inside the transaction of its connection.

    Args:
        session: The connection.
        run: What stands for ``RUN`` where the database does not know it.
    """

    def __init__(self, session: Session, run: str) -> None:
        self._session = session
        self._run = run

    def find_secret(self, name: str) -> bytes | None:
        row = self._session.execute(_FIND_NAMED, {"name": name}).fetchone()
        return None if row is None else bytes(row[0])

    def keep_secret(self, name: str, secret: bytes) -> bytes:
        self._session.execute(_KEEP_NAMED, {"name": name, "secret": secret})
        kept = self.find_secret(name)
        assert kept is not None, "a secret is gone that was just kept"
        return kept

    def find_stamp(self) -> Hashable:
        values = {"name": _ACCOUNTS, "run": self._run}
        row: Hashable = self._session.execute(_FIND_STAMP, values).fetchone()
        return row

    def move_stamp(self) -> None:
        self._session.execute(_MOVE_STAMP, {"name": _ACCOUNTS})

    def find_era_id(self) -> bytes | None:
        values = {"name": _ALL, "run": self._run}
        row = self._session.execute(_FIND_ERA, values).fetchone()
        return None if row is None else bytes(row[0])

    def join_era(self, fresh_id: bytes) -> bytes:
        era_id = self.find_era_id()
        if era_id is not None:
            return era_id
        # If another worker was quicker, its row is locked until it is there, and then stays.
        self._session.execute(_BEGIN_ERA, {"name": _ALL, "run": self._run, "era_id": fresh_id})
        era_id = self.find_era_id()
        assert era_id is not None, "an era has ended that was just begun"
        return era_id


_ACCOUNTS: Final = "accounts"
_ALL: Final = "all journals"

_FIND_NAMED: Final = "SELECT secret FROM secret WHERE name = :name"

_KEEP_NAMED: Final = """
    INSERT INTO secret (name, secret) VALUES (:name, :secret) ON CONFLICT (name) DO NOTHING
"""

_FIND_STAMP: Final = f"""
    SELECT (SELECT moves FROM stamp WHERE name = :name), {RUN}
"""

_MOVE_STAMP: Final = """
    INSERT INTO stamp (name, moves) VALUES (:name, 1)
    ON CONFLICT (name) DO UPDATE SET moves = stamp.moves + 1
"""

_FIND_ERA: Final = f"SELECT era_id FROM running_era WHERE name = :name AND run = {RUN}"

_BEGIN_ERA: Final = f"""
    INSERT INTO running_era (name, era_id, run) VALUES (:name, :era_id, {RUN})
    ON CONFLICT (name) DO UPDATE SET era_id = excluded.era_id, run = excluded.run
    WHERE running_era.run <> excluded.run
"""
