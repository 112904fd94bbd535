# SPDX-License-Identifier: Apache-2.0
"""What obstore raises, and what stores answer, in Drystone's words. Translated here, once."""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn, TypeVar

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from drystone.core.errors import Misconfigured
from drystone.server.ports.objects import ObjectStoreAway, ObjectStoreFull

_FULL: Final = ("507 Insufficient", "QuotaExceeded", "StorageFull", "InsufficientStorage")
"""How stores say that there is no room: there is no one word for it."""

_NOT_THERE: Final = ("NoSuchBucket", "ContainerNotFound", "specified bucket does not exist")
"""How stores say that not only an object is missing."""

_WAIT_S_FIRST: Final = 0.1
_WAIT_S_MAX: Final = 5.0

_Found = TypeVar("_Found")


class StoreUnusable(Misconfigured):
    """The object store that the settings name cannot be used as it is named."""

    code = "store-unusable"

    def __init__(self, where: str, what: str, *, advice: str = "") -> None:
        super().__init__(
            f"the object store {where} cannot be used: {what}",
            advice=advice
            or "Check its address, the bucket's name, the credentials and their"
            " rights (get, put, list, delete).",
        )


@contextmanager
def translated(doing: str, name: str) -> Iterator[None]:
    """Raises the port's errors in place of the library's; a missing object is no business of
    this one, a missing bucket is.

    Args:
        doing: What was tried ("write", "read").
        name: The object it was tried with.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, FileNotFoundError) and not is_bucket_missing(error):
            raise
        is_refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        told = tell_briefly(error)
        raise _make_error(doing, name, str(error), told, is_refused=is_refused) from error


def raise_answer(doing: str, name: str, status: int, body: bytes) -> NoReturn:
    """Raises the port's error for what a store answered to a request of our own.

    Raises:
        FileNotFoundError: There is no such thing.
        FileExistsError: There is something already, against the condition.
        ObjectStoreFull: There is no room.
        ObjectStoreAway: Anything else.
    """
    text = body[:2_000].decode(errors="replace")
    if status == 404 and not any(word in text for word in _NOT_THERE):
        raise FileNotFoundError(name)
    if status == 412 or "<Code>PreconditionFailed</Code>" in text:
        raise FileExistsError(name)
    reason = "507 Insufficient" if status == 507 else f"status {status}"
    told = f"status {status}{_find_code(text)}"
    raise _make_error(doing, name, f"{reason} {text}", told, is_refused=status in (401, 403))


def try_again(work: Callable[[], _Found], lasts_s: float) -> _Found:
    """Does work that may be done twice, again and again if its connection broke.

    The library itself tries again what it takes for safe; it does not take puts with a condition,
    deletions and pages of a listing for it.

    Args:
        work: May be repeated after it was done: what it answers the second time is right.
        lasts_s: After so many seconds the last error is raised.
    """
    end_s = time.monotonic() + lasts_s
    wait_s = _WAIT_S_FIRST
    while True:
        try:
            return work()
        except BaseError as error:
            pause_s = wait_s * random.uniform(0.5, 1.5)
            if not is_broken_off(error) or time.monotonic() + pause_s > end_s:
                raise
        time.sleep(pause_s)
        wait_s = min(wait_s * 2, _WAIT_S_MAX)


def is_broken_off(error: BaseException) -> bool:
    """Tells whether a connection broke and the library did not try again."""
    text = _first_line(error)
    return "HTTP error" in text and not re.search(r"after \d+ retries", text)


def is_about_the_store(error: BaseException) -> bool:
    """Tells whether the store is at fault, not what was asked of it."""
    text = _first_line(error)
    return re.search(r"HTTP error|after \d+ retries|status code: 5\d\d", text) is not None


def is_full(error: BaseException) -> bool:
    """Tells whether the library's error says that the store has no room."""
    return any(word in str(error) for word in _FULL)


def is_bucket_missing(error: BaseException) -> bool:
    """Tells whether it is not only one object that is not there."""
    return any(word in str(error) for word in _NOT_THERE)


def speaks_of_encryption(error: BaseException) -> bool:
    """Tells whether the library's error may be about encryption that the store does not have."""
    text = _first_line(error).lower()
    return any(word in text for word in ("encrypt", "kms", "notimplemented", "not implemented"))


def tell_briefly(error: BaseException) -> str:
    """Returns what an error says: a store's status and code of error if it has them.

    Neither the library's insides nor the store's address, which are nobody's business but the
    operator's: this goes to devices too.
    """
    line = _first_line(error)
    if status := re.search(r"status code: (\d{3} [A-Za-z ]+)", line):
        return f"{status[1].strip()}{_find_code(line)}"
    _, _, broken = line.partition("HTTP error: ")
    if broken:
        return f"it does not answer ({broken})"
    return line[:300]


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].removesuffix(".")


def _find_code(text: str) -> str:
    """Returns a store's own word for an error, as it is shown; ``""`` if it told none."""
    found = re.search(r"<Code>(\w+)</Code>", text)
    return f", {found[1]}" if found else ""


def _make_error(doing: str, name: str, text: str, told: str, *, is_refused: bool) -> Exception:
    """Returns the port's error for what a store said.

    Args:
        doing: What was tried.
        name: With which object.
        text: All that the store said.
        told: What of it is worth showing.
        is_refused: It was about credentials or rights.
    """
    message = f"the server's object store could not {doing} {name}: {told}"
    if any(word in text for word in _FULL):
        return ObjectStoreFull(
            message, advice="make room in the object store, or raise its quota", retry_after_s=60.0
        )
    advice = "if it stays, look at the object store and the way to it"
    if is_refused:
        advice = "check the server's credentials for the object store and their rights"
    elif any(word in text for word in _NOT_THERE):
        advice = "the bucket itself is not there: check the server's setting `objects`"
    return ObjectStoreAway(message, advice=advice, retry_after_s=5.0)
