# SPDX-License-Identifier: Apache-2.0
"""What collecting and scrubbing ask of the metadata, in SQL."""

from drystone.server.storage.metadata_sql.collecting.units import (
    SqlHistory,
    SqlHolders,
    SqlPacks,
    put_pack,
    revive_blocks,
)

__all__ = ["SqlHistory", "SqlHolders", "SqlPacks", "put_pack", "revive_blocks"]
