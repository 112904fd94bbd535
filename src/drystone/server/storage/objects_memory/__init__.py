# SPDX-License-Identifier: Apache-2.0
"""Objects in memory: the obviously right engine, for unit tests and simulation.

A dictionary behind one lock. It promises what the port promises, except that "durable" ends
with the process.
"""

from drystone.server.storage.objects_memory.memory import MemoryObjects

__all__ = ["MemoryObjects"]
