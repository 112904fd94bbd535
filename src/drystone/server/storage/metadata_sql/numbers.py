# SPDX-License-Identifier: Apache-2.0
"""Numbers: what namespaces and authors are called inside the engine, and where journals end."""

from typing import Final

from drystone.core.ids import AccountId, DeviceId, NamespaceId
from drystone.server.storage.metadata_sql.rows import LOCKED
from drystone.server.storage.metadata_sql.session import Session

NO_NS: Final = 0
"""The number of no namespace: whatever is looked up under it is not found."""


class Numbers:
    """Looks up numbers inside one unit of work, each once: nobody changes them beside it.

    Not kept longer than that: a number given in a work that is undone is given again.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._namespaces: dict[NamespaceId, tuple[int, int]] = {}
        self._authors: dict[tuple[AccountId, DeviceId], int] = {}

    def find_ns(self, namespace_id: NamespaceId) -> int:
        """Returns the number of a namespace; ``NO_NS`` if there is none."""
        return self._find(namespace_id)[0]

    def peek_ns(self, namespace_id: NamespaceId) -> int:
        """Returns what ``find_ns`` does and lets others go on appending to the journal."""
        known = self._namespaces.get(namespace_id)
        if known is not None:
            return known[0]
        row = self._session.execute(_FIND_NAMESPACE, {"namespace_id": namespace_id}).fetchone()
        return NO_NS if row is None else int(row[0])

    def find_head(self, namespace_id: NamespaceId) -> int:
        """Returns the last seq of a namespace; 0 if there is none."""
        return self._find(namespace_id)[1]

    def move_head(self, namespace_id: NamespaceId, head: int) -> None:
        """Lets a journal end at another seq, for projectors too. Nobody else moves it in this
        transaction.
        """
        ns = self.get_ns(namespace_id)
        self._session.execute(_MOVE_HEAD, {"ns": ns, "head": head})
        self._session.execute(_TELL_PROJECTORS, {"ns": ns, "head": head})
        self._namespaces[namespace_id] = (ns, head)

    def get_ns(self, namespace_id: NamespaceId) -> int:
        """Returns the number of a namespace that exists, or the caller is wrong."""
        ns = self.find_ns(namespace_id)
        assert ns != NO_NS, f"there is no namespace {namespace_id.hex()}"
        return ns

    def get_author(self, account_id: AccountId, device_id: DeviceId) -> int:
        """Returns the number of an author, giving it one if this is the first time."""
        key = (account_id, device_id)
        known = self._authors.get(key)
        if known is not None:
            return known
        values = {"account_id": account_id, "device_id": device_id}
        row = self._session.execute(_FIND_AUTHOR, values).fetchone()
        if row is None:
            row = self._session.execute(_ADD_AUTHOR, values).fetchone()
        author = int(row[0])
        self._authors[key] = author
        return author

    def _find(self, namespace_id: NamespaceId) -> tuple[int, int]:
        """Returns number and head."""
        known = self._namespaces.get(namespace_id)
        if known is not None:
            return known
        row = self._session.execute(_FIND_NAMESPACE, {"namespace_id": namespace_id}).fetchone()
        if row is None:
            return NO_NS, 0
        (ns,) = row
        # A statement of its own: one that names the number goes to that namespace's shard alone.
        (head,) = self._session.execute(_FIND_HEAD, {"ns": ns}).fetchone()
        self._namespaces[namespace_id] = (ns, head)
        return ns, head


_FIND_NAMESPACE: Final = "SELECT ns FROM namespace WHERE namespace_id = :namespace_id"

# Locked: commits of one namespace come one after the other, so that its seqs have no gaps, and
# what a work reads after this stays true to its end.
_FIND_HEAD: Final = f"SELECT head FROM journal WHERE ns = :ns {LOCKED}"

_MOVE_HEAD: Final = "UPDATE journal SET head = :head WHERE ns = :ns"

# Nothing, where there is no projector. (`WHERE true` tells SQLite that no join goes on after it.)
_TELL_PROJECTORS: Final = """
    INSERT INTO projection (ns, projector, seq, head)
    SELECT :ns, name, 0, :head FROM projector WHERE true
    ON CONFLICT (ns, projector) DO UPDATE SET head = excluded.head
"""

_ADD_AUTHOR: Final = """
    INSERT INTO author (account_id, device_id) VALUES (:account_id, :device_id)
    ON CONFLICT (account_id, device_id) DO UPDATE SET device_id = excluded.device_id
    RETURNING author
"""

_FIND_AUTHOR: Final = """
    SELECT author FROM author WHERE account_id = :account_id AND device_id = :device_id
"""
