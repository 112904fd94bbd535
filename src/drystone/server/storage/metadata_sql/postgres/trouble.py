# SPDX-License-Identifier: Apache-2.0
"""Trouble: what psycopg raises, translated once into what the rest of the server knows.

Source: postgresql.org/docs/current/errcodes-appendix.html.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import psycopg_pool

from drystone.core.errors import Misconfigured, Unavailable
from drystone.server.storage.metadata_sql.trouble import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseTrouble,
)

_AGAIN: Final = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    # Two workers added the same at once: the second finds it there the next time.
    psycopg.errors.UniqueViolation,
    # A pack was retired while blocks were added to it: the next time it comes back.
    psycopg.errors.ForeignKeyViolation,
    # The primary was replaced: the next connection may find the new one.
    psycopg.errors.ReadOnlySqlTransaction,
)


class DatabaseUnreachable(Unavailable):
    """PostgreSQL does not answer, or ended the connection; what was under way is undone, or its
    end is not known: whoever asked asks again under the same idempotency key.

    Attributes:
        what: What PostgreSQL or the way to it said. It names addresses and users: for the log.
    """

    code = "server-database-unreachable"

    def __init__(self, what: str) -> None:
        super().__init__(
            "the server's database cannot be reached",
            advice="Try again; its operator should look at PostgreSQL.",
            retry_after_s=2.0,
        )
        self.what = what


class DatabaseRefuses(Unavailable):
    """PostgreSQL answers, and does not let us: it can only be read (a standby, a primary that was
    replaced), or its user may not do it. What was under way is undone.

    Attributes:
        what: As that of ``DatabaseUnreachable``.
    """

    code = "server-database-refuses"

    def __init__(self, what: str) -> None:
        super().__init__(
            "the server's database refuses its work",
            advice="Its operator should look which PostgreSQL answers, and at its user's rights.",
            retry_after_s=10.0,
        )
        self.what = what


class PostgresUnusable(Misconfigured):
    """What the settings name as the database is none that this program can use."""

    code = "database-unusable"

    def __init__(self, where: str, what: str) -> None:
        super().__init__(
            f"the database {where} cannot be used: {what}",
            advice="Check its address, user, password and rights in the settings.",
        )


def is_worth_another_try(error: BaseException) -> bool:
    """Tells whether the same work may well succeed if it is done again from its beginning.

    Only to be asked of errors before a transaction's end was asked for.
    """
    return isinstance(error, (*_AGAIN, psycopg.OperationalError)) and not isinstance(
        error,
        # The pool has tried again and again already.
        (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory, psycopg_pool.PoolTimeout),
    )


def translate(error: psycopg.Error) -> Exception:
    """Returns what to raise instead of ``error``.

    What is neither the server's, nor the network's, nor another worker's doing is a mistake of
    ours: a broken invariant, an ``AssertionError``.
    """
    # The text may hold what was looked up, after the first line.
    what = (str(error).splitlines() or [type(error).__name__])[0]
    match error:
        case psycopg.errors.DiskFull():
            return DatabaseFull()
        case psycopg.errors.TooManyConnections():
            return DatabaseBusy()
        case psycopg.errors.DataCorrupted() | psycopg.errors.IndexCorrupted():
            return DatabaseCorrupt(what)
        case psycopg.errors.IoError() | psycopg.errors.OutOfMemory():
            return DatabaseTrouble(what)
        case psycopg.errors.ReadOnlySqlTransaction() | psycopg.errors.InsufficientPrivilege():
            return DatabaseRefuses(what)
        case psycopg.errors.UniqueViolation():
            return AssertionError(f"the database refused a row: {what}")
        case _ if isinstance(error, _AGAIN):
            return DatabaseBusy()
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return DatabaseUnreachable(what)
        case _:
            return AssertionError(f"the database refused a statement: {what}")


@contextmanager
def translated() -> Iterator[None]:
    """Inside it, what psycopg raises comes out as one of Drystone's errors."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error
