# SPDX-License-Identifier: Apache-2.0
"""Rules: what the ignore files of a synced folder say, read from the disk."""

from drystone.client.ports import ChangedMeanwhile, Disk, DiskProblem, NotThere
from drystone.client.steps.scan.troubles import Troubles
from drystone.core import limits
from drystone.core.names.ignore import IGNORE_FILE_NAME, NO_RULES, IgnoreRules


class RulesOnDisk:
    """Reads ignore files. Lines in them that are no rules go to ``troubles``."""

    def __init__(self, disk: Disk, troubles: Troubles) -> None:
        self._disk = disk
        self._troubles = troubles
        self._found: dict[str, IgnoreRules] = {}

    def extend(self, path: str, rules: IgnoreRules) -> IgnoreRules:
        """Returns ``rules`` with those of a folder's ignore file on top, if there is one."""
        extended = read_rules(self._disk, path, rules)
        if extended is not rules:
            self._troubles.note_ignore_faults(join_names(path, IGNORE_FILE_NAME), extended.faults)
        return extended

    def find(self, path: str) -> IgnoreRules:
        """Returns the rules in force for what stands in a folder, read from the root down."""
        found = self._found.get(path)
        if found is None:
            above = self.find(path.rpartition("/")[0]) if path else NO_RULES
            found = self.extend(path, above)
            self._found[path] = found
        return found


def read_rules(disk: Disk, folder: str, above: IgnoreRules) -> IgnoreRules:
    """Returns the rules of the folders above with those of a folder on top, if it has any.

    While they cannot be read, all that is new in the folder is left out: what they were made to
    keep on this disk must not be sent for that.
    """
    path = join_names(folder, IGNORE_FILE_NAME)
    try:
        _, data = disk.read_small(path, limits.SMALL_FILE_BYTES_MAX)
    except NotThere:
        return above
    except (DiskProblem, ChangedMeanwhile):
        return above.extend(folder, f"*\n!{IGNORE_FILE_NAME}\n")
    return above.extend(folder, data.decode(errors="replace"))


def join_names(folder: str, name: str) -> str:
    """Returns the path of what is in a folder; ``""`` is the root's."""
    return f"{folder}/{name}" if folder else name
