# SPDX-License-Identifier: Apache-2.0
"""State on SQLite: one database file per synced folder.

Synced is a table; it is read a folder at a time and written in batches. What differs from
it (the local and the remote overlay) lives in dicts. Of these only the remote one is
written, and only as far as it is unsettled when ``save`` is called: the cursor has moved
past it, so the server will not say it again. The local one is never written: every start
scans the disk anew, and what was seen before would have to be doubted anyway.

All changes between two saves are one transaction. The file may be lost at any time: then
both sides are compared as if for the first time, which gives a union, never a deletion.

For one thread at a time; which one does not matter.
"""

from drystone.client.adapters.state_sqlite.bond import BOND_KEY, drop_state, find_bond
from drystone.client.adapters.state_sqlite.database import StateBusy, StateCorrupt
from drystone.client.adapters.state_sqlite.opening import StateTooNew, open_state
from drystone.client.adapters.state_sqlite.state import SqliteState

__all__ = [
    "BOND_KEY",
    "SqliteState",
    "StateBusy",
    "StateCorrupt",
    "StateTooNew",
    "drop_state",
    "find_bond",
    "open_state",
]
