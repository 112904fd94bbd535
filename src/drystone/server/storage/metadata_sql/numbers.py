# SPDX-License-Identifier: Apache-2.0
"""Numbers: what namespaces and authors are called inside the engine."""

import sqlite3
from typing import Final

from drystone.core.ids import AccountId, DeviceId, NamespaceId

NO_NS: Final = 0
"""The number of no namespace: whatever is looked up under it is not found."""


class Numbers:
    """Looks up numbers inside one unit of work, each once.

    Not kept longer than that: a number given in a work that is undone is given again.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._namespaces: dict[NamespaceId, int] = {}
        self._authors: dict[tuple[AccountId, DeviceId], int] = {}

    def find_ns(self, namespace_id: NamespaceId) -> int:
        """Returns the number of a namespace; ``NO_NS`` if there is none."""
        known = self._namespaces.get(namespace_id)
        if known is not None:
            return known
        found = self._connection.execute(_FIND_NS, {"namespace_id": namespace_id}).fetchone()
        if found is None:
            return NO_NS
        ns: int = found[0]
        self._namespaces[namespace_id] = ns
        return ns

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
        self._connection.execute(_ADD_AUTHOR, values)
        author: int = self._connection.execute(_FIND_AUTHOR, values).fetchone()[0]
        self._authors[key] = author
        return author


_FIND_NS: Final = "SELECT ns FROM namespace WHERE namespace_id = :namespace_id"

_ADD_AUTHOR: Final = """
    INSERT INTO author (account_id, device_id) VALUES (:account_id, :device_id)
    ON CONFLICT (account_id, device_id) DO NOTHING
"""

_FIND_AUTHOR: Final = """
    SELECT author FROM author WHERE account_id = :account_id AND device_id = :device_id
"""
