# SPDX-License-Identifier: Apache-2.0
"""Units of systemd: the text of a user unit for the daemon, and of one for a server."""

import re
from collections.abc import Sequence
from typing import Final

CLIENT_UNIT: Final = "drystone.service"
SERVER_UNIT: Final = "drystone-server.service"

# What no restart of the daemon mends: a wrong command line (2), no right (3), a wrong setting (6).
_NO_RESTART: Final = "2 3 6"

_CLIENT: Final = """\
[Unit]
Description=Drystone: keeps folders in step
After=network.target

[Service]
Type=simple
ExecStart={command}
{environment}Restart=on-failure
RestartSec=10
RestartPreventExitStatus={no_restart}
# What it does can wait for what you do.
Nice=5
IOSchedulingClass=best-effort
IOSchedulingPriority=6
# It writes synced folders, which may lie anywhere in your home, and nothing else.
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
"""

_SERVER: Final = """\
[Unit]
Description=Drystone server
After=network.target

[Service]
Type=simple
ExecStart={command}
{environment}Restart=on-failure
# Whatever it was: a database or a key service may just not be up yet.
RestartSec=10
# Requests in flight are finished before it stops; workers are told by their supervisor.
KillMode=mixed
TimeoutStopSec=60
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
"""


def format_unit(
    arguments: Sequence[str], environment: Sequence[tuple[str, str]] = (), *, is_server: bool
) -> str:
    """Returns a unit's text.

    Args:
        arguments: The command, its program as an absolute path.
        environment: Variables to set for it.
        is_server: A server's unit instead of the daemon's.
    """
    lines = "".join(f"Environment={quote(f'{name}={value}')}\n" for name, value in environment)
    return (_SERVER if is_server else _CLIENT).format(
        # Only in commands does systemd replace variables.
        command=" ".join(quote(argument).replace("$", "$$") for argument in arguments),
        environment=lines,
        no_restart=_NO_RESTART,
    )


def quote(word: str) -> str:
    """Returns one word as systemd reads it back: quoted, and with ``%`` taken literally.

    Source: systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting".
    """
    if re.fullmatch(r"[A-Za-z0-9_@:,./+=-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("%", "%%") + '"'
