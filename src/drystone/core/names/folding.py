# SPDX-License-Identifier: Apache-2.0
"""Folding: when two names are the same name to a reader or a case-insensitive disk.

Source: Unicode Standard, section 3.13, D145 (canonical caseless matching).
"""

from unicodedata import normalize


def fold_name(name: str) -> str:
    """Returns the folded form of ``name``: equal exactly if the names are the same name.

    It is idempotent. It may be longer than ``name`` and is for comparing only, never shown
    or stored as a name.

    Cost: a microsecond; less for ASCII.
    """
    if name.isascii():
        return name.lower()
    # Normalizing first lets casefold see what a reader sees; casefold then can undo the
    # normal form (U+0345 and others), so it is normalized until nothing changes.
    folded = normalize("NFC", normalize("NFD", name).casefold())
    while (again := normalize("NFC", normalize("NFD", folded).casefold())) != folded:
        folded = again
    return folded
