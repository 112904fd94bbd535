# SPDX-License-Identifier: Apache-2.0
"""Checking: whether what the server keeps fits together. Only reads; beside a running server too.

    trees       journals without gaps, their fold against the entries, folders, heads, eras
    contents    every block of every content in trees and history: in the index, held, whole
    packs       the block index against the objects, both ways; bytes, if it is to be deep
    kept        what lies beside the packs: journals in the store against those in the database

Each part yields findings as it goes, page by page: memory does not grow with what is checked.
What changes meanwhile is looked at a second time before it is told.
"""

from drystone.server.workers.checking.check import Check, Checked
from drystone.server.workers.checking.findings import CODES, Finding

__all__ = ["CODES", "Check", "Checked", "Finding"]
