# SPDX-License-Identifier: Apache-2.0
"""Rewrites: files that became noise, as if a stranger had encrypted them.

Two ways lead there, and both are counted, one for each file:

- *rewritten*: a file that is synced holds noise now;
- *replaced*: a file that is synced is gone, and a new one that is noise is in its folder
  (``report.docx`` and then ``report.docx.locked``), one for one.

What has been sent is kept in mind for ``limits.MASS_REWRITE_WINDOW_S``, so that a few files at a
time add up.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drystone.core import limits
from drystone.core.ids import FileId
from drystone.core.instant import NS_PER_S
from drystone.core.journal.change import Create, Delete, Edit
from drystone.core.planning.plan import Plan, Submit
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView

_BUCKET_NS: Final = 3600 * NS_PER_S
_FOLDERS_MAX: Final = 1_000
"""Folders with new noise that are kept in mind; of more, those that got none for longest go."""
_BUCKETS: Final = limits.MASS_REWRITE_WINDOW_S * NS_PER_S // _BUCKET_NS


class Rewritten(NamedTuple):
    """What a plan would tell the server of files that became noise.

    Attributes:
        edited: Files that hold noise now.
        replaced: Files that are gone from folders in which noise took the place of some of
            them: which ones, nobody can tell.
        replaced_count: How many have been replaced so; no more than ``replaced``.
    """

    edited: tuple[FileId, ...] = ()
    replaced: tuple[FileId, ...] = ()
    replaced_count: int = 0

    @property
    def files_count(self) -> int:
        """How many files."""
        return len(self.edited) + self.replaced_count


@dataclass(slots=True)
class Rewrites:
    """What is known of noise. Lives as long as the client runs; what was sent survives it.

    Attributes:
        noise: Local files that looked like noise when they were read: their content hashes. An
            entry counts only while the file still holds that content.
        fresh: New noise that was sent, by folder, and has not taken anything's place yet: the
            hour (since 1970) of the last of it, and how many.
        recent: How many files that became noise were sent, by hour.
        is_allowed: A human has agreed: what is sent now is not counted.
    """

    noise: dict[FileId, bytes] = field(default_factory=dict)
    fresh: dict[FileId, tuple[int, int]] = field(default_factory=dict)
    recent: dict[int, int] = field(default_factory=dict)
    is_allowed: bool = False

    def note_read(self, file_id: FileId, content_hash: bytes, *, is_noise: bool) -> None:
        """A file was read."""
        if is_noise:
            self.noise[file_id] = content_hash
        else:
            self.noise.pop(file_id, None)

    def is_noise(self, entry: Entry) -> bool:
        """Tells whether what an entry holds was found to be noise."""
        content = entry.content
        return content is not None and self.noise.get(entry.file_id) == content.content_hash

    def note_sent(self, step: Submit, before: Entry | None, now_ns: int) -> bool:
        """The server has accepted a change. Tells whether what is to survive changed.

        Args:
            step: The change.
            before: Of a deletion: what was synced.
            now_ns: The time.
        """
        change, entry = step.change, step.entry
        if isinstance(change, Delete):
            if before is None or before.kind != Kind.FILE or before.parent_id not in self.fresh:
                return False
            hour, count = self.fresh.pop(before.parent_id)
            if count > 1:
                self.fresh[before.parent_id] = hour, count - 1
            self._count(now_ns)
            return True
        if entry is None or not self.is_noise(entry):
            return False
        del self.noise[entry.file_id]
        if isinstance(change, Create):
            _, count = self.fresh.pop(entry.parent_id, (0, 0))
            self.fresh[entry.parent_id] = now_ns // _BUCKET_NS, count + 1
            if len(self.fresh) > _FOLDERS_MAX:
                del self.fresh[next(iter(self.fresh))]
        elif isinstance(change, Edit):
            self._count(now_ns)
        return True

    def count_recent(self, now_ns: int) -> int:
        """Returns how many were sent within the window. A clock set back forgets nothing."""
        oldest = now_ns // _BUCKET_NS - _BUCKETS
        self.recent = {hour: count for hour, count in self.recent.items() if hour > oldest}
        self.fresh = {i: line for i, line in self.fresh.items() if line[0] > oldest}
        return sum(self.recent.values())

    def add_recent(self, count: int, now_ns: int) -> None:
        """So many count as sent now."""
        hour = now_ns // _BUCKET_NS
        self.recent[hour] = self.recent.get(hour, 0) + count

    def allow(self) -> None:
        """A human has agreed: what was counted is forgotten, and nothing is until ``watch``."""
        self.recent.clear()
        self.is_allowed = True

    def watch(self) -> None:
        """Counts again, where it was allowed not to."""
        self.is_allowed = False

    def _count(self, now_ns: int) -> None:
        if not self.is_allowed:
            self.add_recent(1, now_ns)


def find_rewritten(plan: Plan, synced: TreeView, rewrites: Rewrites) -> Rewritten:
    """Returns which synced files a plan would tell the server to have become noise.

    Cost: one look at each step; nothing more where no noise is known.
    """
    if not rewrites.noise and not rewrites.fresh:
        return Rewritten()
    edited: list[FileId] = []
    room = {folder_id: count for folder_id, (_, count) in rewrites.fresh.items()}
    gone: list[Entry] = []
    for step in plan.steps:
        if not isinstance(step, Submit):
            continue
        change, entry = step.change, step.entry
        if isinstance(change, Delete):
            before = synced.find(change.file_id)
            if before is not None and before.kind == Kind.FILE:
                gone.append(before)
        elif entry is not None and rewrites.is_noise(entry):
            if isinstance(change, Edit):
                edited.append(entry.file_id)
            elif isinstance(change, Create):
                room[entry.parent_id] = room.get(entry.parent_id, 0) + 1
    replaced = [before for before in gone if room.get(before.parent_id)]
    gone_counts = Counter(before.parent_id for before in replaced)
    count = sum(min(room[folder_id], count) for folder_id, count in gone_counts.items())
    return Rewritten(tuple(edited), tuple(before.file_id for before in replaced), count)


def is_mass_rewrite(rewritten_count: int, recent_count: int, synced_count: int) -> bool:
    """Tells whether so many files that became noise are to be asked about."""
    if not rewritten_count:
        return False
    count = rewritten_count + recent_count
    return count >= limits.MASS_REWRITE_ENTRIES_MANY or (
        count >= limits.MASS_REWRITE_ENTRIES_MIN
        and count * 100 >= synced_count * limits.MASS_REWRITE_PERCENT_MIN
    )


def format_rewrites(rewrites: Rewrites) -> str:
    """Returns what is to survive of ``Rewrites``, as one text."""
    recent = [f"{hour}:{count}" for hour, count in sorted(rewrites.recent.items())]
    fresh = [f"{hour}:{count}:{i.hex()}" for i, (hour, count) in rewrites.fresh.items()]
    return " ".join(recent + fresh)


def parse_rewrites(text: str) -> Rewrites:
    """Returns what ``format_rewrites`` made; nothing of a text that it did not make."""
    rewrites = Rewrites()
    try:
        for line in text.split():
            hour, count, *folder = line.split(":")
            if folder:
                rewrites.fresh[FileId(bytes.fromhex(folder[0]))] = int(hour), int(count)
            else:
                rewrites.recent[int(hour)] = int(count)
    except ValueError:
        return Rewrites()
    return rewrites
