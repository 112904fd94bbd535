# SPDX-License-Identifier: Apache-2.0
"""Metadata in memory: the reference engine, obviously right, for tests and simulations.

Dictionaries and full scans under one lock; a work that raises is undone step by step from a
list of what it overwrote. Nothing survives the process. What it answers is what the
conformance suite means; the fast engine is compared with it.
"""

from drystone.server.storage.metadata_memory.memory import MemoryMetadata

__all__ = ["MemoryMetadata"]
