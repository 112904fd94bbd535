# SPDX-License-Identifier: Apache-2.0
"""Readiness: whether a server can do its work, found out beside its work.

Each part (database, store, disk) is checked by itself, at intervals, in a thread of its own: a
part that does not answer holds up neither the others nor whoever asks. Asking costs nothing: it
gets what was found last.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import structlog

from drystone.core.errors import DrystoneError, Unavailable
from drystone.server.ports.watching.measuring import Measures

log = structlog.get_logger()

CHECK_INTERVAL_S: Final = 5.0
"""Between checks of a part; of one in trouble as well, so that it is back as soon."""
CHECK_S_MAX: Final = 5.0
"""A part that has not answered for so long is in trouble."""

NO_ANSWER: Final = "no-answer"


class NotReady(Unavailable):
    """A part that the server stands on is missing; the server itself runs."""

    code = "not-ready"

    def __init__(self, troubles: Mapping[str, str]) -> None:
        shown = ", ".join(f"{part} ({code})" for part, code in sorted(troubles.items()))
        super().__init__(
            f"the server cannot do its work now: {shown}",
            advice="It tries again by itself; its log tells more.",
            retry_after_s=CHECK_INTERVAL_S,
        )


class Check(NamedTuple):
    """How one part is checked.

    Attributes:
        run: Returns if all is well, raises if not; blocks.
        interval_s: From one check to the next, while all is well.
    """

    run: Callable[[], None]
    interval_s: float = CHECK_INTERVAL_S


class Readiness:
    """What was found out last about each part. Lives on the event loop.

    Args:
        checks: By the part's name.
        measures: Where each part is told as 1 (well) or 0.
    """

    def __init__(self, checks: Mapping[str, Check], measures: Measures) -> None:
        self._checks = dict(checks)
        self._threads = ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="readiness")
        self._troubles: dict[str, str] = {}
        self._asked: dict[str, asyncio.Future[None]] = {}
        self._is_watched = False
        for part in checks:
            measures.watch(
                "drystone_ready",
                "Whether a part that the server stands on is well: 1 or 0.",
                lambda part=part: float(part not in self._troubles),  # type: ignore[misc]
                part=part,
            )

    async def require(self) -> list[str]:
        """Returns the names of the parts, all of which are well.

        Cost: none while ``watch`` runs; else each part is checked now.

        Raises:
            NotReady: Some are not.
        """
        if not self._is_watched:
            await self.check_all()
        if self._troubles:
            raise NotReady(self._troubles)
        return list(self._checks)

    async def check_all(self) -> None:
        """Checks every part now; returns once each has answered or had ``CHECK_S_MAX``."""
        await asyncio.gather(*map(self._check, self._checks))

    async def watch(self) -> None:
        """Checks every part at intervals, until it is cancelled. The first time is over when
        ``require`` answers.
        """
        await self.check_all()
        self._is_watched = True
        try:
            await asyncio.gather(*(self._watch(part) for part in self._checks))
        finally:
            self._is_watched = False

    def close(self) -> None:
        """Lets go of the threads; one that hangs in a check is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _watch(self, part: str) -> None:
        while True:
            is_well = part not in self._troubles
            interval_s = self._checks[part].interval_s if is_well else CHECK_INTERVAL_S
            await asyncio.sleep(interval_s)
            await self._check(part)

    async def _check(self, part: str) -> None:
        """Checks one part, unless the check before still hangs: then that is waited for."""
        asked = self._asked.get(part)
        if asked is None or asked.done():
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._checks[part].run)
            self._asked[part] = asked
        done, _ = await asyncio.wait((asked,), timeout=CHECK_S_MAX)
        self._note(part, asked.exception() if done else None, has_answered=bool(done))

    def _note(self, part: str, error: BaseException | None, *, has_answered: bool) -> None:
        """Keeps what was found; tells the operator when it changes."""
        before = self._troubles.pop(part, None)
        code = None if has_answered else NO_ANSWER
        if error is not None:
            code = error.code if isinstance(error, DrystoneError) else "internal-error"
        if code is not None:
            self._troubles[part] = code
        if code == before:
            return
        if code is None:
            log.info("ready.again", part=part)
        else:
            what = getattr(error, "what", "")
            log.error("ready.trouble", part=part, code=code, reason=str(error or ""), what=what)
