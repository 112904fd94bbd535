# SPDX-License-Identifier: Apache-2.0
"""Findings: what a check has to tell, under stable codes. docs/operations/keeping.md lists them."""

from typing import Final, NamedTuple


class Finding(NamedTuple):
    """One thing that is not as it should be.

    Attributes:
        code: Stable; a key of ``CODES``.
        what: What is wrong, in a sentence without its full stop.
        where: What it concerns: a namespace and seq, a pack, an object.
        advice: What to do now.
        is_harmless: True if nothing is lost or wrong for it; the server is sound all the same.
    """

    code: str
    what: str
    where: str
    advice: str
    is_harmless: bool


_FROM_BACKUP: Final = "Restore the server from a backup, or rebuild it: drystone admin rebuild"
_SEND_AGAIN: Final = (
    "Restore the pack from a backup, or have a device that has the file send it again: drystone"
    " doctor --repair"
)

_COLLECT: Final = (
    "Nothing needs to be done: an upload that was broken off left it, and drystone admin collect"
    " removes it."
)
_WRITTEN_AGAIN: Final = "Nothing needs to be done: the server writes it again after its next start."

_HARMFUL: Final = {
    "database-damaged": _FROM_BACKUP,
    "seq-gap": _FROM_BACKUP,
    "head-wrong": _FROM_BACKUP,
    "era-ahead": _FROM_BACKUP,
    "entry-missing": _FROM_BACKUP,
    "entry-differs": _FROM_BACKUP,
    "entry-stray": _FROM_BACKUP,
    "folder-missing": _FROM_BACKUP,
    "folder-circle": _FROM_BACKUP,
    "block-unknown": _SEND_AGAIN,
    "block-not-held": _SEND_AGAIN,
    "block-damaged": _SEND_AGAIN,
    "manifest-unreadable": _SEND_AGAIN,
    "content-differs": _SEND_AGAIN,
    "place-without-pack": _FROM_BACKUP,
    "place-outside": _FROM_BACKUP,
    "pack-missing": _SEND_AGAIN,
    "pack-length": _SEND_AGAIN,
}

_HARMLESS: Final = {
    "pack-unknown": _COLLECT,
    "object-unknown": "Nothing needs to be done: Drystone did not write it, and leaves it there.",
    "journal-copy-damaged": f"Remove the object. {_WRITTEN_AGAIN}",
    "journal-copy-missing": _WRITTEN_AGAIN,
}

CODES: Final[dict[str, tuple[str, bool]]] = {
    **{code: (advice, False) for code, advice in _HARMFUL.items()},
    **{code: (advice, True) for code, advice in _HARMLESS.items()},
}
"""What to do about each kind of finding, and whether it is harmless."""


def make_finding(code: str, what: str, where: str) -> Finding:
    """Returns a finding of one of the kinds in ``CODES``."""
    advice, is_harmless = CODES[code]
    return Finding(code, what, where, advice, is_harmless)
