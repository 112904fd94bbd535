# SPDX-License-Identifier: Apache-2.0
"""Probing: what a store can do is found out when the server starts, by trying, not believed."""

import secrets
from collections.abc import Callable
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


def finds_out_puts_once(store: Any, look: Callable[[str], None]) -> bool:
    """Tells whether a store refuses to put where something is, by putting a small object twice.

    Nothing of it stays; its name begins with a dot, so no listing of ours tells of it. It is read
    and deleted as well: whoever may not do one of them is told now and not when it matters.

    Args:
        store: The library's.
        look: Is told the object's name while it is there; what it raises is raised.

    Raises:
        BaseError: It takes, gives or removes no object at all.
        ValueError: It gives back something else.
    """
    name = f".probe-{secrets.token_hex(8)}"
    try:
        puts_once = _find_out(store, name, look)
    except BaseException:
        with suppress(BaseError, OSError):
            obstore.delete(store, name)
        raise
    obstore.delete(store, name)
    return puts_once


def _find_out(store: Any, name: str, look: Callable[[str], None]) -> bool:
    try:
        obstore.put(store, name, _CONTENT, use_multipart=False, mode="create")
    except NotSupportedError:
        obstore.put(store, name, _CONTENT, use_multipart=False)
        _look_all_over(store, name, look)
        return False
    _look_all_over(store, name, look)
    try:
        obstore.put(store, name, _CONTENT, use_multipart=False, mode="create")
    except TAKEN:
        return True
    return False


def _look_all_over(store: Any, name: str, look: Callable[[str], None]) -> None:
    look(name)
    if bytes(obstore.get(store, name).bytes()) != _CONTENT:
        raise ValueError("it does not give back what was put")
