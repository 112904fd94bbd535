# SPDX-License-Identifier: Apache-2.0
"""Inward: read what changed on the server, and put what is new in place while reading on."""

from collections.abc import Sequence
from typing import Final

from drystone.client.loop.parts import Parts, Saving
from drystone.client.loop.planning import Planning
from drystone.client.loop.receiving import Receiving
from drystone.core.ids import FileId
from drystone.core.planning.plan import Place, Plan
from drystone.core.tree.entry import Kind

_REWOUND: Final = (
    "the server does not know all that was agreed on with it; it may have been restored from a"
    " backup. What it lost is sent again from here"
)


class Inward:
    """Reads the server's changes.

    Args:
        parts: The steps.
        planning: Makes plans of what is new.
        saving: Saves now and then.

    Attributes:
        has_met_server: It answered at least once since the start.
    """

    def __init__(self, parts: Parts, planning: Planning, saving: Saving) -> None:
        self._parts = parts
        self._planning = planning
        self._saving = saving
        self._threads = parts.threads
        self._in_flight: set[FileId] = set()
        self._news: list[FileId] = []
        """What the server told, as long as it may not be planned by itself."""
        self.has_met_server = False

    def forget(self) -> None:
        """A round is over: nothing is under way any more, and all is planned together."""
        self._in_flight.clear()
        self._news = []

    async def pull_page(self, receiving: Receiving) -> None:
        """Reads one page of changes, and lists folders that came back or in with it."""
        pull = self._parts.pull
        cursor = await self._threads.control(pull.find_cursor)
        page = await pull.read(cursor)
        self.has_met_server = True
        self._planning.is_remote_complete = False
        pulled = await self._threads.control(pull.note, page)
        if page.rewound_to is not None:
            self._parts.tally.notices.message(_REWOUND)
        self._news += pulled.changed
        await self.take_new(receiving)
        while (folder := await self._threads.control(pull.find_unlisted)) is not None:
            after = ""
            while True:
                entries, after = await pull.list_below(folder, after)
                listed = await self._threads.control(pull.note_listed, folder, entries, after)
                self._news += listed.changed
                await self.take_new(receiving)
                if not after:
                    break
        self._planning.is_remote_complete = not pulled.has_more
        await self._saving.sometimes()

    async def take_new(self, receiving: Receiving) -> None:
        """Begins to put on the disk what is new on the server, as soon as that may go."""
        if not self._planning.is_local_complete or not self._news:
            return
        news = [file_id for file_id in self._news if file_id not in self._in_flight]
        self._news = []
        plan = await self._threads.control(self._plan_unknown, news)
        placed = [step for step in plan.steps if isinstance(step, Place)]
        if not placed:
            return
        self._parts.tally.phase("transfer")
        self._in_flight.update(step.entry.file_id for step in placed)
        await receiving.do_now([step for step in placed if step.entry.kind == Kind.FOLDER])
        await receiving.put([step for step in placed if step.entry.kind != Kind.FOLDER])

    def _plan_unknown(self, news: Sequence[FileId]) -> Plan:
        """Plans what was never synced: only that can be put in place before all is known."""
        synced = self._parts.world.state.synced
        return self._planning.plan_new([one for one in news if synced.find(one) is None])
