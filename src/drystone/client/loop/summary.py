# SPDX-License-Identifier: Apache-2.0
"""What a loop tells about itself: sums after one sync, and its state at any moment."""

from typing import NamedTuple

from drystone.client.loop.tally import Tally
from drystone.client.ports import Traffic


class Summary(NamedTuple):
    """What a sync came to.

    Attributes:
        uploaded_count: Entries committed.
        uploaded_bytes: Content bytes they hold.
        downloaded_count: Entries put on the disk.
        downloaded_bytes: Content bytes they hold.
        conflicts_count: Conflicts settled.
        problems_count: Paths in trouble.
        unsettled_count: Entries in which both sides still differ.
        traffic: What went over the wire.
    """

    uploaded_count: int
    uploaded_bytes: int
    downloaded_count: int
    downloaded_bytes: int
    conflicts_count: int
    problems_count: int
    unsettled_count: int
    traffic: Traffic


class Standing(NamedTuple):
    """How a loop stands now.

    Attributes:
        phase: As told to ``Notices``; ``away``, ``paused`` or ``halted`` if it does not run.
        is_settled: Both sides agreed when it looked last, and nothing was hinted since.
        why: Why it does not run; empty if it does.
        why_code: The error's code, as far as there is one.
        why_advice: What to do about it.
        settled_ns: When both sides agreed last; 0: not since the start.
        synced_count: Entries both sides agree on.
        summary: Sums since the start.
        seen_seq: The last record of the journal that it has taken in. Two devices that are
            settled at the same one hold the same.
        unselected: Paths of the folders that are not selected on this device.
    """

    phase: str
    is_settled: bool
    why: str
    why_code: str
    why_advice: str
    settled_ns: int
    synced_count: int
    summary: Summary
    seen_seq: int = 0
    unselected: tuple[str, ...] = ()


def summarize(tally: Tally, problems_count: int, unsettled_count: int, traffic: Traffic) -> Summary:
    """Returns the sums of what a tally counted, and of what is left."""
    return Summary(
        tally.upload.files_done,
        tally.upload.bytes_done,
        tally.download.files_done,
        tally.download.bytes_done,
        tally.conflicts_count,
        problems_count,
        unsettled_count,
        traffic,
    )
