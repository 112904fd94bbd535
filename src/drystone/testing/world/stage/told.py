# SPDX-License-Identifier: Apache-2.0
"""What a server has told its devices: to be compared with what it says when it is asked again."""

from collections import deque
from typing import Final, NamedTuple

from drystone.client.ports import CommitResult, RemotePage
from drystone.core.ids import FileId, Seq
from drystone.core.journal.change import Change
from drystone.core.journal.record import StoredEntry
from drystone.server.service.actor import Actor

_COMMITS_MAX: Final = 6
"""So many of the last ones are kept."""

Mirror = dict[FileId, StoredEntry]
"""What somebody knows who has applied all pages up to a cursor, deleted entries included."""


class ToldCommit(NamedTuple):
    """A commit, and what became of it."""

    actor: Actor
    changes: tuple[Change, ...]
    seen_seq: Seq
    key: str
    cursor: str
    result: CommitResult


class Told:
    """See the module. One per world: who reads what a cursor gives may be any device.

    Attributes:
        mirrors: By each cursor that was given out, in this order.
        commits: The last ones.
    """

    def __init__(self) -> None:
        self.mirrors: dict[str, Mirror] = {"": {}}
        self.commits: deque[ToldCommit] = deque(maxlen=_COMMITS_MAX)

    def note_page(self, cursor: str, page: RemotePage) -> None:
        """A page was read from a cursor on."""
        if page.reset or cursor not in self.mirrors:
            return
        known = {stored.file_id: stored for stored in page.entries}
        self.mirrors[page.cursor] = {**self.mirrors[cursor], **known}
