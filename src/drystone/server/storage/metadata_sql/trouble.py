# SPDX-License-Identifier: Apache-2.0
"""Trouble: what SQLite raises, translated once into what the rest of the server knows."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from drystone.core.errors import Corrupt, Misconfigured, Unavailable


class DatabaseFull(Unavailable):
    """There is no room for the database to grow; what was being written is undone."""

    code = "server-database-full"

    def __init__(self) -> None:
        super().__init__(
            "the server's disk is full: nothing of this was kept",
            advice="Its operator must make room; then try again.",
            retry_after_s=60.0,
        )


class DatabaseBusy(Unavailable):
    """Another process has been writing for longer than we wait."""

    code = "server-database-busy"

    def __init__(self) -> None:
        super().__init__(
            "another process is writing to the server's database: nothing of this was kept",
            advice="Try again.",
            retry_after_s=1.0,
        )


class DatabaseTrouble(Unavailable):
    """The disk under the database failed to read, write or flush."""

    code = "server-database-trouble"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the server's database could not be read or written ({what})",
            advice="Its operator should look at the disk.",
            retry_after_s=30.0,
        )


class DatabaseCorrupt(Corrupt):
    """The database file is not what was written to it."""

    code = "database-corrupt"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the database is damaged, or no database of this program ({what})",
            advice="Stop the server and restore the data directory from a backup.",
        )


class SchemaNewer(Misconfigured):
    """The data directory was written by a later version of this program."""

    code = "data-newer"

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path} is of schema version {found}, this program knows up to {known}",
            advice="Start the version that wrote it, or a later one.",
        )


class DatabaseUnusable(Misconfigured):
    """The database cannot be opened where the settings say that it is."""

    code = "data-unusable"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(
            f"the database {path} cannot be used: {what}",
            advice="Check the data directory in the settings, its owner and its filesystem.",
        )
        self.what = what


def translate(error: sqlite3.Error) -> Exception:
    """Returns what to raise instead of ``error``.

    What is neither the disk's nor another process's doing is a mistake of ours: a broken
    invariant, an ``AssertionError``.
    """
    # The low byte tells the family; the others tell the place.
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return DatabaseFull()
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseBusy()
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return DatabaseCorrupt(str(error))
        case (
            sqlite3.SQLITE_IOERR
            | sqlite3.SQLITE_CANTOPEN
            | sqlite3.SQLITE_NOMEM
            | sqlite3.SQLITE_PERM
            | sqlite3.SQLITE_READONLY
        ):
            return DatabaseTrouble(str(error))
        case _:
            return AssertionError(f"the database refused a statement: {error}")


@contextmanager
def translated() -> Iterator[None]:
    """Inside it, what SQLite raises comes out as one of Drystone's errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error) from error
