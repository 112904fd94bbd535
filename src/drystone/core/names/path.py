# SPDX-License-Identifier: Apache-2.0
"""Names and paths: what a legal name is, and how names make a path.

A path is ``/``-separated names below a namespace's root, which itself is ``""``. Names are
what POSIX allows, in UTF-8: the rules of narrower filesystems are those devices' affair.
"""

from collections.abc import Sequence

from drystone.core import limits
from drystone.core.errors import Refused


class InvalidName(Refused):
    """A text that cannot be the name of an entry."""

    code = "invalid-name"


class InvalidPath(Refused):
    """A text that cannot be the path of an entry, though its names may be legal."""

    code = "invalid-path"


def check_name(name: str) -> None:
    """Accepts ``name`` as the name of an entry, or raises.

    Raises:
        InvalidName: It is empty, ``.`` or ``..``; holds ``/`` or NUL; is not text that
            UTF-8 can hold (lone surrogates); or is longer than ``NAME_BYTES_MAX``.

    Cost: well below a microsecond.
    """
    if fault := find_name_fault(name):
        raise InvalidName(f"{show_name(name)} cannot be a name: {fault}; rename it")


def find_name_fault(name: str) -> str:
    """Returns what is wrong with ``name`` as the name of an entry, or ``""``."""
    if not name:
        return "it is empty"
    if name in (".", ".."):
        return "it stands for a folder already"
    if "/" in name:
        return "it holds a slash"
    if "\0" in name:
        return "it holds a zero byte"
    try:
        length_bytes = len(name.encode())
    except UnicodeEncodeError:
        return "it is not text that UTF-8 can hold"
    if length_bytes > limits.NAME_BYTES_MAX:
        return f"it has {length_bytes} bytes, {limits.NAME_BYTES_MAX} are allowed"
    return ""


def split_path(path: str) -> tuple[str, ...]:
    """Returns the names of which ``path`` consists; none for the root (``""`` or ``"/"``).

    Raises:
        InvalidName: One of the names is illegal; an empty one too (``//``, trailing ``/``).
        InvalidPath: It does not begin with ``/``, is longer than ``PATH_BYTES_MAX``, or
            has more than ``DEPTH_MAX`` folders.
    """
    if path in ("", "/"):
        return ()
    if not path.startswith("/"):
        raise InvalidPath(f"{show_name(path)} is not a path: begin it with a slash")
    # Characters are at least a byte each, so this bounds the work done below.
    if len(path) > limits.PATH_BYTES_MAX:
        raise InvalidPath(f"{show_name(path)} is too long: {_PATH_BOUND}")
    names = tuple(path[1:].split("/"))
    for name in names:
        check_name(name)
    if len(path.encode()) > limits.PATH_BYTES_MAX:
        raise InvalidPath(f"{show_name(path)} is too long: {_PATH_BOUND}")
    if len(names) - 1 > limits.DEPTH_MAX:
        raise InvalidPath(f"{show_name(path)} is too deep: at most {limits.DEPTH_MAX} folders")
    return names


def join_path(names: Sequence[str]) -> str:
    """Returns the path that consists of ``names``; ``""`` for none. The names are not checked."""
    return "".join(f"/{name}" for name in names)


def show_name(name: str) -> str:
    """Returns ``name`` quoted and shortened, fit for a message and safe to print."""
    shown = name if len(name) <= _SHOWN_CHARS_MAX else name[:_SHOWN_CHARS_MAX] + "…"
    return ascii(shown) if not shown.isprintable() else repr(shown)


_SHOWN_CHARS_MAX = 80
_PATH_BOUND = f"at most {limits.PATH_BYTES_MAX} bytes"
