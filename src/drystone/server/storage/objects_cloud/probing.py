# SPDX-License-Identifier: Apache-2.0
"""Probing: what a store can do is found out when the server starts, by trying, not believed."""

import secrets
from contextlib import suppress
from typing import Any, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PreconditionError,
)

TAKEN: Final = (AlreadyExistsError, PreconditionError)
"""What the library raises if there is something already under a name."""

_CONTENT: Final = b"Drystone looks whether this store keeps what it is given. Delete it."


def finds_out_puts_once(store: Any) -> bool:
    """Tells whether a store refuses to put where something is, by putting a small object twice.

    Nothing of it stays; its name begins with a dot, so no listing of ours tells of it.

    Raises:
        BaseError: It takes no object at all.
    """
    name = f".probe-{secrets.token_hex(8)}"
    try:
        return _put_twice(store, name)
    finally:
        with suppress(BaseError, OSError):
            obstore.delete(store, name)


def _put_twice(store: Any, name: str) -> bool:
    try:
        obstore.put(store, name, _CONTENT, use_multipart=False, mode="create")
    except NotSupportedError:
        obstore.put(store, name, _CONTENT, use_multipart=False)
        return False
    try:
        obstore.put(store, name, _CONTENT, use_multipart=False, mode="create")
    except TAKEN:
        return True
    return False
