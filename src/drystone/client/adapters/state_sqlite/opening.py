# SPDX-License-Identifier: Apache-2.0
"""Opening state.db: made if missing, refused if newer, set aside if damaged."""

import contextlib
import os

from drystone.client.adapters.state_sqlite.database import Database, StateCorrupt
from drystone.client.adapters.state_sqlite.schema import TABLES, VERSION
from drystone.client.adapters.state_sqlite.state import SqliteState
from drystone.core.errors import DrystoneError, Misconfigured


class StateTooNew(Misconfigured):
    """The state database was written by a newer version of the program."""

    code = "state-too-new"


def open_state(path: str, boot_id: str, now_ns: int) -> tuple[SqliteState, str]:
    """Opens the state of a synced folder, making it anew if it is missing or damaged.

    Args:
        path: Of the database file; ``":memory:"`` for one that is not kept.
        boot_id: Names the time since the machine was started; rows settled before it and
            never flushed are then doubtful (see ``list_doubtful``).
        now_ns: For the name of a damaged file that is set aside.

    Returns:
        The state, and where a damaged file was put (``""``: there was none).

    Raises:
        StateTooNew: A newer program wrote it. Nothing was changed.
        StateBusy: It cannot be opened now.
    """
    try:
        return _open(path, boot_id), ""
    except StateCorrupt:
        aside = f"{path}.damaged-{now_ns // 1_000_000_000}"
        os.replace(path, aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(path + suffix, aside + suffix)
        return _open(path, boot_id), aside


def _open(path: str, boot_id: str) -> SqliteState:
    db = Database(path)
    try:
        version: int = db.select("PRAGMA user_version")[0][0]
        if version > VERSION:
            raise StateTooNew(
                f"{path} was written by a newer version of Drystone (format {version}, this"
                f" program knows {VERSION}).",
                advice="Use the newer version for this folder.",
            )
        # A checkpoint ends in an fsync; in a first sync it comes every 16 MB instead of 4.
        db.run_outside(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8000;"
            " PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 4194304;"
        )
        if version == 0:
            db.run_outside(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        return SqliteState(db, boot_id)
    except DrystoneError:
        db.close()
        raise
