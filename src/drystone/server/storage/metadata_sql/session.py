# SPDX-License-Identifier: Apache-2.0
"""Session: what units of work ask of a database connection that is in a transaction.

A ``sqlite3.Connection`` is one as it stands; PostgreSQL's speaks another dialect and is wrapped
(``postgres.metadata``). Statements are written in SQLite's, with parameters by name (``:ns``) or by
position (``?``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement gave back."""

    @property
    def rowcount(self) -> int:
        """How many rows an INSERT, UPDATE or DELETE touched; of all its parameters together."""
        ...

    def fetchone(self) -> Any:
        """Returns the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Returns the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yields the rows that are left."""
        ...


class Session(Protocol):
    """A connection in a transaction. Its errors are translated by whoever opened that."""

    def execute(self, statement: str, values: Mapping[str, Any] | Sequence[Any] = (), /) -> Rows:
        """Runs one statement."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Rows:
        """Runs one statement for each of the rows, in their order."""
        ...
