# SPDX-License-Identifier: Apache-2.0
"""Shared: what all workers on one database have in common, whatever machine they run on."""

from collections.abc import Hashable
from typing import Protocol, runtime_checkable

from drystone.core.errors import Unavailable


class ProgramOutgrown(Unavailable):
    """A program of a later version has changed the database, and this one no longer fits it."""

    code = "program-outgrown"

    def __init__(self) -> None:
        super().__init__(
            "the server's database was brought up to a later version beside this worker, which is"
            " being replaced: nothing of this was kept",
            advice="Try again.",
            retry_after_s=2.0,
        )


@runtime_checkable
class Versioned(Protocol):
    """Metadata that a program of another version may use at the same time."""

    def is_outgrown(self) -> bool:
        """Tells whether a program of a later version has changed the tables since they were
        opened. Cost: one row.
        """
        ...


class SharedUnit(Protocol):
    """Secrets, the stamp of the accounts, and the era being written, inside one unit of work."""

    def find_secret(self, name: str) -> bytes | None:
        """Returns the secret of this name; None if there is none."""
        ...

    def keep_secret(self, name: str, secret: bytes) -> bytes:
        """Keeps a secret unless there is one of this name already; returns the one there is."""
        ...

    def find_stamp(self) -> Hashable:
        """Returns what is another value after every ``move_stamp`` that is durable, and in a
        database that was put back. Cost: one row.
        """
        ...

    def move_stamp(self) -> None:
        """Makes everybody look again at the accounts and devices that they remember: part of
        each work that may end a token.
        """
        ...

    def find_era_id(self) -> bytes | None:
        """Returns the id of the era being written in all journals; None if none is.

        None is being written in a database that was started, put back to an earlier state, or
        moved, since the last one was begun: whoever writes to a journal then begins another, so
        that what is written now is never taken for what was written before.
        """
        ...

    def join_era(self, fresh_id: bytes) -> bytes:
        """Returns the id of the era being written; begins one under ``fresh_id`` if none is.

        Args:
            fresh_id: ``ERA_ID_BYTES`` by chance.
        """
        ...
