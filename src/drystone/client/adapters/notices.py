# SPDX-License-Identifier: Apache-2.0
"""Notices for those who do not watch: nothing at all, or lines in a log."""

from drystone.client.ports import ProblemRow
from drystone.core.planning.plan import Conflict


class SilentNotices:
    """Says nothing."""

    def phase(self, name: str) -> None:
        pass

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        pass

    def problem(self, row: ProblemRow) -> None:
        pass

    def conflict(self, conflict: Conflict, path: str) -> None:
        pass

    def message(self, text: str) -> None:
        pass
