# SPDX-License-Identifier: Apache-2.0
"""Database: a connection whose transaction goes from one save to the next.

The only file here that meets sqlite3's errors.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from drystone.core.errors import Corrupt, Unavailable


class StateCorrupt(Corrupt):
    """The state database is damaged. It is set aside and made anew at the next start."""

    code = "state-corrupt"


class StateBusy(Unavailable):
    """The state database could not be used: no room, or another program holds it."""

    code = "state-busy"


class Database:
    """One connection. For one thread at a time.

    Args:
        path: Of the file; ``":memory:"`` for one that is not kept.

    Raises:
        StateBusy: The file cannot be opened now.
    """

    def __init__(self, path: str) -> None:
        try:
            # isolation_level None: transactions are begun by hand.
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=5, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _translate(error) from error

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Returns all rows of a query."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _translate(error) from error

    def find(self, sql: str, values: Sequence[Any] = ()) -> Any | None:
        """Returns the first row of a query, or None."""
        try:
            return self._connection.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise _translate(error) from error

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Runs one statement in the open transaction; returns how many rows it touched."""
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            return self._connection.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise _translate(error) from error

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for each row in the open transaction."""
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _translate(error) from error

    def run_outside(self, script: str) -> None:
        """Runs statements that are no part of a transaction."""
        try:
            self._connection.executescript(script)
        except sqlite3.Error as error:
            raise _translate(error) from error

    def commit(self) -> None:
        """Makes the open transaction, if any, durable against a crash of the program."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _translate(error) from error

    def close(self) -> None:
        """Undoes what was not committed and ends the connection. Idempotent."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            raise _translate(error) from error


def _translate(error: sqlite3.Error) -> StateCorrupt | StateBusy:
    # A missing table or column is what is left of a file that was cut or overwritten.
    if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
        return StateBusy(
            f"The state database of this folder cannot be used now: {error}.",
            advice="Check that the disk has room; it is tried again.",
        )
    return StateCorrupt(
        f"The state database of this folder is damaged: {error}.",
        advice="Start again: it is set aside and made anew from the folder and the server.",
    )
