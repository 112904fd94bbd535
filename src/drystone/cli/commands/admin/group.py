# SPDX-License-Identifier: Apache-2.0
"""The group of the operator's commands, and what they share."""

from typing import TYPE_CHECKING

from drystone.cli.help_pages import make_group

if TYPE_CHECKING:
    from pathlib import Path

    from drystone.server.settings import ServerSettings

group = make_group(
    "admin", "Accounts and storage of a server, on the server's machine. It may run meanwhile."
)


def read_settings(data_dir: "Path | None", config: "Path | None") -> "ServerSettings":
    """Returns the settings of the server that the options name."""
    from drystone.server.settings import load_settings

    return load_settings({"data_dir": data_dir, "config": config})
