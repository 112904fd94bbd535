# SPDX-License-Identifier: Apache-2.0
"""What a loop tells about itself: sums after one sync, and its state at any moment."""

from typing import Final, NamedTuple

from drystone.client.loop.tally import Tally
from drystone.client.ports import LocalChange, State, Traffic
from drystone.client.steps.pull import Selection
from drystone.core.safety import UNHELD_CODE, Evidence
from drystone.core.tree.entry import Kind

_DOUBTS_COUNTED_MAX: Final = 1_000


class Summary(NamedTuple):
    """What a sync came to.

    Attributes:
        uploaded_count: Entries committed.
        uploaded_bytes: Content bytes they hold.
        downloaded_count: Entries put on the disk.
        downloaded_bytes: Content bytes they hold.
        conflicts_count: Conflicts settled.
        problems_count: Paths in trouble, without what is only noticed (see ``ProblemRow``).
        unsettled_count: Entries in which both sides still differ.
        traffic: What went over the wire.
        notices_count: Paths that are left out and need nobody.
    """

    uploaded_count: int
    uploaded_bytes: int
    downloaded_count: int
    downloaded_bytes: int
    conflicts_count: int
    problems_count: int
    unsettled_count: int
    traffic: Traffic
    notices_count: int = 0


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
        retry_s: In how many seconds it tries again what it could not do; None: it waits for
            something to happen.
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
    retry_s: float | None = None
    unselected: tuple[str, ...] = ()


def summarize(tally: Tally, state: State, unsettled_count: int, traffic: Traffic) -> Summary:
    """Returns the sums of what a tally counted, and of what is left. Uses State."""
    rows = state.problems()
    notices_count = sum(row.is_notice for row in rows)
    return Summary(
        tally.upload.files_done,
        tally.upload.bytes_done,
        tally.download.files_done,
        tally.download.bytes_done,
        tally.conflicts_count,
        len(rows) - notices_count,
        unsettled_count,
        traffic,
        notices_count,
    )


def weigh(known: Evidence, state: State, tally: Tally) -> Evidence:
    """Returns evidence with what State knows added, and how long what is left may take.

    Uses State. Cost: a microsecond for each entry in which the sides differ.
    """
    local = state.local_changes.values()
    unselected = Selection(state).ids
    remote = [x for x in state.remote_changes.values() if x.file_id not in unselected]
    rows = state.problems()
    known = known._replace(
        problems_count=sum(not row.is_notice for row in rows),
        local_count=len(local),
        unread_count=sum(map(_is_unread, local)),
        local_bytes=sum(map(_content_bytes, local)),
        remote_count=max(0, len(remote) - sum(row.code == UNHELD_CODE for row in rows)),
        remote_bytes=sum(
            stored.entry.content.size_bytes
            for stored in remote
            if stored.entry.content is not None and not stored.is_deleted
        ),
        doubtful_count=len(state.list_doubtful(_DOUBTS_COUNTED_MAX)),
    )
    files_per_s, bytes_per_s = tally.find_pace()
    files_left = known.local_count + known.remote_count
    bytes_left = known.local_bytes + known.remote_bytes
    return known._replace(
        bytes_per_s=bytes_per_s,
        left_s=max(
            files_left / files_per_s if files_per_s > 0 else 0.0,
            bytes_left / bytes_per_s if bytes_per_s > 0 else 0.0,
        ),
    )


def _is_unread(change: LocalChange) -> bool:
    entry = change.entry
    return entry is not None and entry.kind == Kind.FILE and entry.content is None


def _content_bytes(change: LocalChange) -> int:
    entry, stat = change
    if entry is None or entry.kind != Kind.FILE:
        return 0
    if entry.content is not None:
        return entry.content.size_bytes
    return 0 if stat is None else stat.size_bytes
