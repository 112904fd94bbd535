# SPDX-License-Identifier: Apache-2.0
"""The server put together: the only place that names concrete engines.

``run_server`` is a whole server in the foreground, ``run_workers`` one of several processes, of
which each is ``run_worker``; ``open_server`` gives the ASGI app and what
it stands on, for tests and for other ways to run it; ``open_admin`` gives what the operator's
commands use, beside a running server or without one; ``move_metadata`` carries an embedded
server's metadata over to PostgreSQL; ``open_check`` and ``rebuild_metadata`` look after what is
kept, ``open_collecting`` removes what nothing refers to; ``back_up`` and ``restore`` carry all of
it elsewhere and back; ``open_key_admin`` gives what is done with the keys of stored objects. All
take ``ServerSettings`` and raise
``Misconfigured`` with a message for the operator if the server cannot start.
"""

from drystone.server.bootstrap.composing import Server, move_metadata, open_admin, open_server
from drystone.server.bootstrap.keeping.backups import (
    BackedUp,
    Restored,
    back_up,
    list_backups,
    restore,
)
from drystone.server.bootstrap.keeping.backups import verify as verify_backup
from drystone.server.bootstrap.keeping.checking import (
    CheckFinding,
    CheckSummary,
    Rebuilt,
    open_check,
    rebuild_metadata,
)
from drystone.server.bootstrap.keeping.collecting import open_collecting
from drystone.server.bootstrap.serving import Started, run_server, run_worker
from drystone.server.bootstrap.storing.key_admin import KeyStatus, SealTally, open_key_admin
from drystone.server.bootstrap.workers import run_workers

__all__ = [
    "BackedUp",
    "CheckFinding",
    "CheckSummary",
    "KeyStatus",
    "Rebuilt",
    "Restored",
    "SealTally",
    "Server",
    "Started",
    "back_up",
    "list_backups",
    "move_metadata",
    "open_admin",
    "open_check",
    "open_collecting",
    "open_key_admin",
    "open_server",
    "rebuild_metadata",
    "restore",
    "run_server",
    "run_worker",
    "run_workers",
    "verify_backup",
]
