# SPDX-License-Identifier: Apache-2.0
"""Bond: what a state belongs to, looked up before anything in it is believed."""

import contextlib
import os
from typing import Final

from drystone.client.adapters.state_sqlite.database import Database, StateCorrupt
from drystone.client.adapters.state_sqlite.schema import VERSION

BOND_KEY: Final = "bond"
"""The setting that holds it: a text that only whoever put it there understands."""


def find_bond(path: str) -> str:
    """Returns the bond in a state database; ``""`` if it has none or cannot be read as ours.

    Raises:
        StateBusy: It cannot be opened now.
    """
    if not os.path.exists(path):
        return ""
    db = Database(path)
    try:
        if db.select("PRAGMA user_version")[0][0] != VERSION:
            return ""  # Whoever opens it tells.
        row = db.find("SELECT value FROM setting WHERE key = ?", (BOND_KEY,))
        return "" if row is None else str(row[0])
    except StateCorrupt:
        return ""
    finally:
        db.close()


def drop_state(path: str) -> None:
    """Removes a state database; no error if there is none."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + suffix)
