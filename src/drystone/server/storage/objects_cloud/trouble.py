# SPDX-License-Identifier: Apache-2.0
"""What obstore raises, in Drystone's words. Translated here, once."""

from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from drystone.core.errors import Misconfigured
from drystone.server.ports.objects import ObjectStoreAway


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
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            advice = "check the server's credentials for the object store and their rights"
        else:
            advice = "if it stays, look at the object store and the way to it"
        raise ObjectStoreAway(
            f"the server's object store could not {doing} {name}: {first_line(error)}",
            advice=advice,
            retry_after_s=5.0,
        ) from error


def first_line(error: BaseException) -> str:
    """Returns what an error says, without the library's insides that follow."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].removesuffix(".")[:300]
