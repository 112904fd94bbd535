# SPDX-License-Identifier: Apache-2.0
"""What obstore raises, in Drystone's words. Translated here, once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from drystone.core.errors import Misconfigured
from drystone.server.ports.objects import ObjectStoreAway, ObjectStoreFull

_FULL: Final = ("507 Insufficient", "QuotaExceeded", "StorageFull", "InsufficientStorage")
"""How stores say that there is no room: there is no one word for it."""


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
    this one.

    Args:
        doing: What was tried ("write", "read").
        name: The object it was tried with.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        is_refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        raise _tell(doing, name, str(error), first_line(error), is_refused=is_refused) from error


def raise_answer(doing: str, name: str, status: int, body: bytes) -> NoReturn:
    """Raises the port's error for what a store answered to a request of our own.

    Raises:
        FileNotFoundError: There is no such thing.
        FileExistsError: There is something already, against the condition.
        ObjectStoreFull: There is no room.
        ObjectStoreAway: Anything else.
    """
    if status == 404:
        raise FileNotFoundError(name)
    if status == 412 or b"<Code>PreconditionFailed</Code>" in body:
        raise FileExistsError(name)
    reason = "Insufficient" if status == 507 else ""
    text = f"{status} {reason} {body[:2_000].decode(errors='replace')}"
    codes = re.findall(r"<Code>(\w+)</Code>", text)
    said = f"status {status}{''.join(f', {code}' for code in codes[:1])}"
    raise _tell(doing, name, text, said, is_refused=status in (401, 403))


def is_full(error: BaseException) -> bool:
    """Tells whether the library's error says that the store has no room."""
    return any(word in str(error) for word in _FULL)


def _tell(doing: str, name: str, text: str, said: str, *, is_refused: bool) -> Exception:
    """Returns the port's error for what a store said.

    Args:
        doing: What was tried.
        name: With which object.
        text: All that the store said.
        said: What of it is worth showing.
        is_refused: It was about credentials or rights.
    """
    message = f"the server's object store could not {doing} {name}: {said}"
    if any(word in text for word in _FULL):
        return ObjectStoreFull(
            message, advice="make room in the object store, or raise its quota", retry_after_s=60.0
        )
    advice = (
        "check the server's credentials for the object store and their rights"
        if is_refused
        else "if it stays, look at the object store and the way to it"
    )
    return ObjectStoreAway(message, advice=advice, retry_after_s=5.0)


def first_line(error: BaseException) -> str:
    """Returns what an error says, without the library's insides that follow."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].removesuffix(".")[:300]
