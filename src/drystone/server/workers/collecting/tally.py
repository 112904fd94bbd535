# SPDX-License-Identifier: Apache-2.0
"""Tally: what a run of collecting found and did."""

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts of one run. Bytes are those of frames in packs, or of whole objects.

    Attributes:
        is_dry: Nothing was changed; what was done is what would have been, in time.
        namespaces: Looked through.
        let_go: Holders newly found to be without use: dropped by a later run.
        dropped_holders: Those that were, and were dropped.
        noted_blocks: Blocks newly found to be held by nobody.
        dropped_blocks: Those that were, and were taken out of the index.
        dropped_bytes: Of their frames.
        retired_packs: Packs taken out of the index; their objects are in quarantine.
        retired_bytes: Of these.
        compacted_packs: Those of them of which something was in use and moved.
        moved_bytes: Of the frames that were moved.
        orphans: Objects in quarantine now that the index did not know.
        orphan_bytes: Of these.
        removed_packs: Objects that left quarantine for good.
        removed_bytes: Of these.
        missing_blocks: Referred to, and not in the index: lost, unless a device sends them again.
        troubles: What was left as it is, and why.
    """

    is_dry: bool = False
    namespaces: int = 0
    let_go: int = 0
    dropped_holders: int = 0
    noted_blocks: int = 0
    dropped_blocks: int = 0
    dropped_bytes: int = 0
    retired_packs: int = 0
    retired_bytes: int = 0
    compacted_packs: int = 0
    moved_bytes: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    removed_packs: int = 0
    removed_bytes: int = 0
    missing_blocks: int = 0
    troubles: list[str] = field(default_factory=list)
