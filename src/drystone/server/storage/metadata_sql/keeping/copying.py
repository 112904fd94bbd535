# SPDX-License-Identifier: Apache-2.0
"""Copying: one consistent state of a SQLite database as a file, while others write to it.

The copy is made a few pages at a time inside one reading transaction, so that it is of one instant
however long it takes, and nobody waits for it; what others write meanwhile stays in the log.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from drystone.server.storage.metadata_sql.trouble import DatabaseCorrupt, translated

_PAGES_AT_ONCE: Final = 1_024


def copy_sqlite(source: Path, target: Path, tell: Callable[[int], None]) -> None:
    """Copies a database to a new file, and looks whether the copy is sound.

    Args:
        source: The database; in use or not.
        target: A name that is not taken.
        tell: Is told how many bytes were copied so far.

    Raises:
        DatabaseCorrupt: The database is damaged; so would the copy be.
        DatabaseFull, DatabaseTrouble: The disk of the copy is full, or something else is wrong.
    """
    with translated(), closing(_open(source)) as old, closing(sqlite3.connect(target)) as new:
        (page_bytes,) = old.execute("PRAGMA page_size").fetchone()
        old.execute("BEGIN")
        # The first look begins the state that is copied.
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()

        def progress(_status: int, remaining: int, total: int) -> None:
            tell((total - remaining) * page_bytes)

        old.backup(new, pages=_PAGES_AT_ONCE, progress=progress, sleep=0)
        old.execute("ROLLBACK")
        # One file, without a log beside it.
        new.execute("PRAGMA journal_mode = DELETE")
        faults = [row[0] for row in new.execute("PRAGMA quick_check") if row[0] != "ok"]
        if faults:
            raise DatabaseCorrupt(faults[0])
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
