# SPDX-License-Identifier: Apache-2.0
"""Metadata on PostgreSQL, by the statements that are written for SQLite.

``metadata`` keeps connections and transactions; ``dialect`` has the words that differ;
``moving`` carries an embedded server's metadata over, ``exporting`` back; ``trouble`` translates
what psycopg raises.
"""

from drystone.server.storage.metadata_sql.postgres.exporting import export_to
from drystone.server.storage.metadata_sql.postgres.metadata import PostgresMetadata
from drystone.server.storage.metadata_sql.postgres.moving import Moved, MovingTo, move_to

__all__ = ["Moved", "MovingTo", "PostgresMetadata", "export_to", "move_to"]
