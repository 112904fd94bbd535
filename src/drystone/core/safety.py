# SPDX-License-Identifier: Apache-2.0
"""Safety: is everything in a synced folder that is to be synced durably on the server?

    evidence of each folder -> judge -> its Safety;   all of them -> join -> the device's

The answer is never yes while anything is unsure. Each doubt is one rule, a function of the
evidence that returns a reason or nothing; whoever has a new doubt adds a field and a rule.
What is not to be synced (ignored names, pipes, sockets and devices) is no doubt.
"""

import math
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from drystone.core.instant import NS_PER_S
from drystone.core.limits import LOOKED_AT_S_MAX, SERVER_SILENT_S_MAX, WATCH_LAG_S

UNHELD_CODE: Final = "no-symlinks"
"""Of what the server holds and this disk cannot: it stays there."""

NOTICE_CODES: Final = frozenset({"special-file", UNHELD_CODE})
"""Codes of what is told of a path and needs nobody: of pipes, sockets and devices nothing could be
kept anywhere, and what only this disk cannot hold is kept elsewhere.
"""


class Answer(IntEnum):
    """To "is everything safe?". The greater of two is the answer for both."""

    YES = 0
    NOT_YET = 1
    """It will be by itself, if nothing comes between."""
    NO = 2
    """Somebody has to do something, or it cannot be told."""


class Stop(NamedTuple):
    """What keeps a folder from being synced as a whole.

    Attributes:
        code: Of the error.
        message: What happened.
        advice: What to do now.
        since_ns: When it began; 0 if that is not known.
    """

    code: str
    message: str
    advice: str
    since_ns: int = 0


class Evidence(NamedTuple):
    """All that is known of one synced folder. The defaults are those of one not looked at.

    Attributes:
        now_ns: When the evidence was taken.
        is_kept: A client keeps it in step at this moment.
        is_paused: A human told it to leave the folder alone.
        stop: What keeps it from going on: a guard, a revoked device, a server that is away.
        problems_count: Paths in trouble, unreadable files and names that cannot be synced among
            them.
        is_looking: It is just looking at the disk, or syncing.
        is_hinted: Something on the disk may have changed since it was looked at.
        scanned_ns: When the last scan of everything began that came to its end; 0: none did.
        is_watched: The system tells of whatever changes on the disk since then.
        local_count: Entries in which the disk differs from what was agreed on.
        unread_count: Files among them whose bytes have not been read yet.
        local_bytes: Content bytes of theirs.
        remote_count: Entries in which the server differs from what was agreed on.
        remote_bytes: Content bytes of theirs.
        is_behind: The server has, or may have, records that were not read yet.
        silent_s: Seconds since the last sign of life of the server; infinite: there was none.
        doubtful_count: Entries that a power loss may have taken back from this disk.
        is_flushed: What was written here would survive a power loss.
        bytes_per_s: How fast content bytes go at the moment; 0 if that is not known.
        left_s: Seconds until the rest is done, about; 0 if that is not known.
        settled_ns: When both sides agreed last; 0 if that is not known.
        kept_by: Another client that keeps it and does not tell how it goes; empty: none.
    """

    now_ns: int
    is_kept: bool = False
    is_paused: bool = False
    stop: Stop | None = None
    problems_count: int = 0
    is_looking: bool = False
    is_hinted: bool = False
    scanned_ns: int = 0
    is_watched: bool = False
    local_count: int = 0
    unread_count: int = 0
    local_bytes: int = 0
    remote_count: int = 0
    remote_bytes: int = 0
    is_behind: bool = True
    silent_s: float = math.inf
    doubtful_count: int = 0
    is_flushed: bool = True
    bytes_per_s: float = 0.0
    left_s: float = 0.0
    settled_ns: int = 0
    kept_by: str = ""


class Reason(NamedTuple):
    """Why the answer is not yes. ``code`` is stable; that of the error where there is one."""

    code: str
    message: str
    advice: str = ""


class Safety(NamedTuple):
    """The answer, and what it rests on.

    Attributes:
        answer: Is everything safe?
        reasons: Why not, those of the answer first; empty just if the answer is yes.
        as_of_ns: If the answer is yes, it holds for what was on the disk at this moment; else
            when both sides agreed last. 0: that is not known.
        files_left: Entries to be sent or fetched.
        bytes_left: Content bytes of theirs.
        bytes_per_s: How fast they go; 0 if that is not known.
        left_s: Seconds until they are done, about; 0 if that is not known.
    """

    answer: Answer
    reasons: tuple[Reason, ...]
    as_of_ns: int = 0
    files_left: int = 0
    bytes_left: int = 0
    bytes_per_s: float = 0.0
    left_s: float = 0.0


Rule = Callable[[Evidence], Reason | None]


def judge(evidence: Evidence) -> Safety:
    """Returns whether everything in one folder is safe."""
    needs_somebody = _apply(_NEEDS_SOMEBODY, evidence)
    needs_time = _apply(_NEEDS_TIME, evidence)
    if needs_time and not evidence.is_kept and not needs_somebody:
        # Nobody is at work who would do it.
        needs_somebody = (_NOBODY_AT_WORK,)
    answer = Answer.NO if needs_somebody else Answer.NOT_YET if needs_time else Answer.YES
    return Safety(
        answer,
        needs_somebody + needs_time,
        _find_as_of(evidence) if answer == Answer.YES else evidence.settled_ns,
        evidence.local_count + evidence.remote_count,
        evidence.local_bytes + evidence.remote_bytes,
        evidence.bytes_per_s,
        evidence.left_s,
    )


def join(found: Iterable[Safety]) -> Safety:
    """Returns the answer for several folders together: that of the worst of them."""
    folders = sorted(found, key=lambda one: -one.answer)
    if not folders:
        return Safety(Answer.NO, (_NO_FOLDER,))
    return Safety(
        folders[0].answer,
        tuple(dict.fromkeys(reason for one in folders for reason in one.reasons)),
        min(one.as_of_ns for one in folders),
        sum(one.files_left for one in folders),
        sum(one.bytes_left for one in folders),
        sum(one.bytes_per_s for one in folders),
        max(one.left_s for one in folders),
    )


def _apply(rules: Iterable[Rule], evidence: Evidence) -> tuple[Reason, ...]:
    return tuple(reason for rule in rules if (reason := rule(evidence)) is not None)


def _find_as_of(evidence: Evidence) -> int:
    if evidence.is_watched:
        return max(evidence.scanned_ns, evidence.now_ns - WATCH_LAG_S * NS_PER_S)
    return evidence.scanned_ns


# --- what needs somebody, or cannot be told ------------------------------------------------------


def _is_stopped(evidence: Evidence) -> Reason | None:
    stop = evidence.stop
    return None if stop is None else Reason(stop.code, stop.message, stop.advice)


def _is_paused(evidence: Evidence) -> Reason | None:
    if not evidence.is_paused:
        return None
    return Reason("paused", "it is paused", "Go on with: drystone resume")


def _has_problems(evidence: Evidence) -> Reason | None:
    count = evidence.problems_count
    if not count:
        return None
    told = "1 path is" if count == 1 else f"{count:,} paths are"
    return Reason("problems", f"{told} in trouble", "See which, and why: drystone problems")


def _is_silent(evidence: Evidence) -> Reason | None:
    if evidence.silent_s <= SERVER_SILENT_S_MAX or evidence.stop is not None:
        return None
    if not evidence.scanned_ns and evidence.is_kept:
        return None  # It has only begun.
    return Reason(
        "server-silent",
        "nothing was heard from the server of late",
        "Check the network and the server: drystone doctor",
    )


# --- what needs time -----------------------------------------------------------------------------


def _is_kept_elsewhere(evidence: Evidence) -> Reason | None:
    if not evidence.kept_by:
        return None
    return Reason("root-busy", f"{evidence.kept_by} keeps it in step, and tells there how it goes")


def _is_not_sent(evidence: Evidence) -> Reason | None:
    if not evidence.local_count:
        return None
    return Reason("to-send", f"{_entries(evidence.local_count)} here not sent yet")


def _is_not_read(evidence: Evidence) -> Reason | None:
    count = evidence.unread_count
    return Reason("to-read", f"{_entries(count)} here not read yet") if count else None


def _is_not_fetched(evidence: Evidence) -> Reason | None:
    if not evidence.remote_count:
        return None
    return Reason("to-fetch", f"{_entries(evidence.remote_count)} not fetched yet")


def _is_not_scanned(evidence: Evidence) -> Reason | None:
    if not evidence.scanned_ns:
        return Reason("not-looked-at", "the folder has not been looked at wholly yet")
    if evidence.is_watched:
        return None
    if evidence.now_ns - evidence.scanned_ns <= LOOKED_AT_S_MAX * NS_PER_S:
        return None
    return Reason("not-looked-at", "the folder is not watched and was not looked at of late")


def _is_at_work(evidence: Evidence) -> Reason | None:
    if evidence.is_hinted:
        return Reason("changed", "something changed just now and is about to be looked at")
    return Reason("at-work", "it is being looked at") if evidence.is_looking else None


def _is_behind(evidence: Evidence) -> Reason | None:
    if not evidence.is_behind:
        return None
    return Reason("behind", "the server has changes that were not read yet")


def _is_doubtful(evidence: Evidence) -> Reason | None:
    count = evidence.doubtful_count
    if not count:
        return None
    return Reason("power-loss", f"{_entries(count)} to be checked after a power loss")


def _is_not_flushed(evidence: Evidence) -> Reason | None:
    if evidence.is_flushed:
        return None
    return Reason("unflushed", "what was written here is about to be made durable")


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


_NOBODY_AT_WORK: Final = Reason(
    "daemon-not-running", "nobody is at work on it", "Start the daemon: drystone start"
)
_NO_FOLDER: Final = Reason(
    "no-folder", "no folder of this device is synced", "Name one with: drystone sync DIR"
)

_NEEDS_SOMEBODY: Final[tuple[Rule, ...]] = (_is_stopped, _is_paused, _has_problems, _is_silent)
_NEEDS_TIME: Final[tuple[Rule, ...]] = (
    _is_kept_elsewhere,
    _is_not_sent,
    _is_not_read,
    _is_not_fetched,
    _is_not_scanned,
    _is_at_work,
    _is_behind,
    _is_doubtful,
    _is_not_flushed,
)
