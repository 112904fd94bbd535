# SPDX-License-Identifier: Apache-2.0
"""The database of a world's device: in memory, and of it an image that outlives the client."""

from collections.abc import Callable
from functools import cache

from drystone.client.adapters.state_sqlite import SqliteState
from drystone.client.adapters.state_sqlite.database import Database
from drystone.client.adapters.state_sqlite.schema import TABLES, VERSION
from drystone.testing.world.stage.life import Life


class KeptDatabase(Database):
    """A database in memory.

    Args:
        image: What another one held; empty: begins anew.
    """

    def __init__(self, image: bytes) -> None:
        super().__init__(":memory:")
        self._connection.deserialize(image or _make_fresh())

    def copy(self) -> bytes:
        """Returns what it holds. Undo before what is not to count."""
        return self._connection.serialize()

    @property
    def is_changing(self) -> bool:
        """True from a change to the commit."""
        return self._connection.in_transaction

    def undo(self) -> None:
        """Undoes what was not committed."""
        if self.is_changing:
            self._connection.execute("ROLLBACK")


class KeptState(SqliteState):
    """The real state, whose saves are effects of a life.

    Args:
        database: Where it is kept.
        boot_id: See ``open_state``.
        keep: Gets the image at the end.
        life: Whose it is.
    """

    def __init__(
        self, database: KeptDatabase, boot_id: str, keep: Callable[[bytes], None], life: Life
    ) -> None:
        self._database = database
        self._keep = keep
        self._life = life
        self._copy = database.copy()
        self.saved: list[bytes] | None = None
        """What a loss of power may leave: all that was saved since the last flush. None while
        nobody asks.
        """
        super().__init__(database, boot_id)

    def save(self) -> None:
        self._life.meet()
        super().save()
        if self.saved is not None:
            self.saved.append(self._database.copy())
        self._life.meet()

    def shrink(self) -> None:
        # Memory is given back to the system when the world has ended.
        for tree in (self._synced, self._local, self._remote):
            tree.forget_cached()

    def copy_saved(self) -> bytes:
        """Returns the image as of the last time at which nothing was left to be saved."""
        if not self._database.is_changing:
            self._copy = self._database.copy()
        return self._copy

    def die(self) -> None:
        """Gives away what was saved, and nothing more."""
        self._database.undo()
        self._keep(self._database.copy())
        self._database.close()


@cache
def _make_fresh() -> bytes:
    database = KeptDatabase.__new__(KeptDatabase)
    Database.__init__(database, ":memory:")
    database.run_outside(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    image = database.copy()
    database.close()
    return image
