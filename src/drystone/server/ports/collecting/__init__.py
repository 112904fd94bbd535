# SPDX-License-Identifier: Apache-2.0
"""What collecting and scrubbing ask of the metadata; ``units`` tells the whole story."""

from drystone.server.ports.collecting.units import (
    BlockLine,
    BlocksRemoved,
    HistoryUnit,
    HoldersUnit,
    PackLine,
    PackRemoved,
    PacksUnit,
    RetiredPack,
    RetiredState,
    Root,
    Why,
)

__all__ = [
    "BlockLine",
    "BlocksRemoved",
    "HistoryUnit",
    "HoldersUnit",
    "PackLine",
    "PackRemoved",
    "PacksUnit",
    "RetiredPack",
    "RetiredState",
    "Root",
    "Why",
]
