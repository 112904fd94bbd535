# SPDX-License-Identifier: Apache-2.0
"""Rules: what the ignore files of a synced folder say, read from the disk."""

from drystone.client.ports import ChangedMeanwhile, Disk, DiskProblem
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
        ignore_path = join_names(path, IGNORE_FILE_NAME)
        try:
            _, data = self._disk.read_small(ignore_path, limits.SMALL_FILE_BYTES_MAX)
        except (DiskProblem, ChangedMeanwhile):
            return rules
        extended = rules.extend(path, data.decode(errors="replace"))
        self._troubles.note_ignore_faults(ignore_path, extended.faults)
        return extended

    def find(self, path: str) -> IgnoreRules:
        """Returns the rules in force for what stands in a folder, read from the root down."""
        found = self._found.get(path)
        if found is None:
            above = self.find(path.rpartition("/")[0]) if path else NO_RULES
            found = self.extend(path, above)
            self._found[path] = found
        return found


def join_names(folder: str, name: str) -> str:
    """Returns the path of what is in a folder; ``""`` is the root's."""
    return f"{folder}/{name}" if folder else name
