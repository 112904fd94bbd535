# SPDX-License-Identifier: Apache-2.0
"""Metadata in SQL: the embedded engine on SQLite, one file, nothing to install.

The tables and why they are so stand in ``sql/migrations``; the statements stand beside the
methods that run them, written by hand with named parameters. ``sqlite`` keeps connections and
transactions; ``trees``, ``below``, ``accounts`` and ``blocks`` are the units of work.

Many values are looked up in one statement by handing them over as one string of bytes, cut up
inside the database: a third faster than an IN list and without its bounds.

What it does not promise: it is one machine's engine. Several processes may open the same file
(a command beside a server), but not over a network filesystem.
"""

from drystone.server.storage.metadata_sql.sqlite import SqliteMetadata

__all__ = ["SqliteMetadata"]
