# SPDX-License-Identifier: Apache-2.0
"""Conflicted-copy names: what a conflict's loser is called beside the winner."""

from collections.abc import Container
from itertools import count

from drystone.core.limits import NAME_BYTES_MAX


def conflicted_name(name: str, device: str, date_text: str, taken: Container[str]) -> str:
    """Returns ``name (conflicted copy, DEVICE, DATE).ext``, a legal name that is not taken.

    The stem is shortened at a character where the whole would pass ``NAME_BYTES_MAX``. What
    cannot stand in a name is left out of ``device``.

    Args:
        name: The name of the winner; legal.
        device: Name of the device whose version this is; anything.
        date_text: When, as people read it, without slashes.
        taken: Names that are in use in the folder. With ``, 2`` (and so on) behind the date
            the first free one is found.
    """
    stem, extension = split_extension(name)
    source = _clean(device) or "a device"
    for number in count(1):
        numbering = f", {number}" if number > 1 else ""
        mark = f"{_MARK}{source}, {_clean(date_text)}{numbering})"
        candidate = _fit(stem, mark, extension)
        if candidate not in taken:
            return candidate
    raise AssertionError("numbers do not run out")


def is_conflicted_name(name: str) -> bool:
    """Tells whether a name looks like one that ``conflicted_name`` made."""
    return _MARK in name


def split_extension(name: str) -> tuple[str, str]:
    """Returns stem and extension of a name, split before the last dot.

    A leading dot does not begin an extension, and neither does one before something long.
    """
    stem, dot, last = name.rpartition(".")
    if not stem.strip(".") or not last or len(last.encode()) > _EXTENSION_BYTES_MAX:
        return name, ""
    return stem, dot + last


def _fit(stem: str, mark: str, extension: str) -> str:
    room = NAME_BYTES_MAX - len((mark + extension).encode())
    return _shorten(stem, room) + mark + extension


def _shorten(text: str, bytes_max: int) -> str:
    """Cuts text at a code point, so that its UTF-8 has at most so many bytes."""
    return text.encode()[:bytes_max].decode(errors="ignore")


def _clean(text: str) -> str:
    """Returns what of a hostile text may stand inside a name, in one line, shortened."""
    printable = "".join(char for char in text if char.isprintable() and char not in _LEFT_OUT)
    return _shorten(" ".join(printable.split()), _WORD_BYTES_MAX).strip()


_MARK = " (conflicted copy, "

# Slashes can never stand in a name; the others not on the disks of some devices.
_LEFT_OUT = '/\\:*?"<>|'
_EXTENSION_BYTES_MAX = 32
_WORD_BYTES_MAX = 64
