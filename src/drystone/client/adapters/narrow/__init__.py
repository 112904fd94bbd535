# SPDX-License-Identifier: Apache-2.0
"""Narrow disks: a ``Disk`` that takes every legal name, on one that cannot hold them all.

Whoever uses it speaks of entries by their names in the journal; below it they stand under names
that the disk can hold (``core.names.standing``). Nothing is kept but what speeds up looking: the
true name of whatever stands there can be read from the name it stands under.

Only disks that were found to be narrow get this layer; others are used as they are.
"""

from drystone.client.adapters.narrow.disk import NarrowDisk, widen

__all__ = ["NarrowDisk", "widen"]
