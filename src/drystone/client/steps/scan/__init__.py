# SPDX-License-Identifier: Apache-2.0
"""Scan: compare the disk with what is known of it, and note the differences as local changes.

Folder by folder: what is listed is matched with the folder's known entries by name, and by inode
where a name is new. Who is who:

- same place and kind as a known entry: that entry, edited if its fingerprint differs, though its
  inode may be new (programs save beside and rename over);
- but if that inode belongs to a synced entry that left its own place: that one, moved over it;
- a new name with the inode of a synced entry that left its place: that one, moved, a folder with
  all below it;
- else a new entry. A second name of an inode that is still in its place is another file.

An inode alone proves little, because filesystems use one again at once: a file must also have
kept size and mtime, a folder something of what was in it.

Absence is noted last, when all that was to be listed has been listed completely and the root is
still the root; of a vanished folder only the folder itself is noted. Where a listing fails, what
was below stays as it is.
"""

from drystone.client.steps.scan.leaving_out import (
    Comparison,
    Group,
    LeftOut,
    compare_rules,
    find_left_out,
)
from drystone.client.steps.scan.scan import Scan
from drystone.client.steps.scan.troubles import FOUND_BY_SCAN
from drystone.client.steps.scan.values import ScanBatch

__all__ = [
    "FOUND_BY_SCAN",
    "Comparison",
    "Group",
    "LeftOut",
    "Scan",
    "ScanBatch",
    "compare_rules",
    "find_left_out",
]
