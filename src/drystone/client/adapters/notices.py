# SPDX-License-Identifier: Apache-2.0
"""Notices for those who do not watch: nothing at all, or lines in a log."""

import structlog
from structlog.typing import FilteringBoundLogger

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


class LogNotices(SilentNotices):
    """Logs what somebody may ask about later, not how far a transfer has come.

    Args:
        folder: Which synced folder it is about.
    """

    def __init__(self, folder: str) -> None:
        self._log: FilteringBoundLogger = structlog.get_logger().bind(folder=folder)

    def problem(self, row: ProblemRow) -> None:
        self._log.warning("problem", path=row.path, code=row.code, message=row.message)

    def conflict(self, conflict: Conflict, path: str) -> None:
        self._log.info("conflict", path=path, kind=conflict.kind.value, kept_as=conflict.kept_as)

    def message(self, text: str) -> None:
        self._log.info("message", text=text)
