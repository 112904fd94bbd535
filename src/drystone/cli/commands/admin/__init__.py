# SPDX-License-Identifier: Apache-2.0
"""``drystone admin``: what an operator asks, beside the server on its machine.

One file per family of commands; each adds its own to ``group`` when it is imported.
"""

from drystone.cli.commands.admin import accounts as accounts
from drystone.cli.commands.admin import backups as backups
from drystone.cli.commands.admin import checking as checking
from drystone.cli.commands.admin import collecting as collecting
from drystone.cli.commands.admin.group import group

__all__ = ["group"]
