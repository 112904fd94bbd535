# SPDX-License-Identifier: Apache-2.0
"""Standing names: what an entry is called on a disk that cannot hold its name.

The journal keeps names exactly. Some disks are narrow: they take ``README`` and ``readme`` for
one name, or two spellings of ``é``; they refuse ``a:b`` or ``CON``; they drop a dot at the end.
There an entry stands under another name, from which its own can be read without knowing anything
else, so that no database is needed and none can be wrong:

- Characters that the disk refuses are quoted: the mark ``‛`` (U+201B) and a look-alike, as in
  ``a‛：b``; or, without a look-alike, the mark and a number, as in ``e‛301;``.
- What the disk cannot tell from a neighbour gets a number: ``readme (twin‛2).md``.

The mark is legal everywhere, looks the same in all normal forms and cases, and is rare in names
that people give. A name that holds it by chance is quoted too if it could be misread.
"""

import re
from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple
from unicodedata import combining, normalize

from drystone.core.names.conflicted import split_extension
from drystone.core.names.folding import fold_name
from drystone.core.names.path import find_name_fault

MARK: Final = "\u201b"


class NameTraits(NamedTuple):
    """Which names a disk cannot hold.

    Attributes:
        folds_case: ``A`` and ``a`` are one name.
        folds_forms: The composed and the decomposed ``é`` are one name.
        changes_forms: It stores names in a normal form of its own, whatever it is given.
        illegal: Characters that no name may hold.
        illegal_last: Characters that no name may end in.
        has_devices: ``CON``, ``nul.txt`` and their like are no files.
    """

    folds_case: bool = False
    folds_forms: bool = False
    changes_forms: bool = False
    illegal: frozenset[str] = frozenset()
    illegal_last: frozenset[str] = frozenset()
    has_devices: bool = False

    @property
    def is_narrow(self) -> bool:
        """True if there are names that this disk cannot hold."""
        return self != ALL_NAMES


ALL_NAMES: Final = NameTraits()
"""Of a disk that holds every legal name as it is."""


def name_key(standing: str, traits: NameTraits) -> str:
    """Returns what all names have in common that are the same name on such a disk.

    Cost: a microsecond; less for ASCII.
    """
    folds_forms = traits.folds_forms or traits.changes_forms
    if traits.folds_case:
        if standing.isascii():
            return standing.lower()
        return fold_name(standing) if folds_forms else standing.casefold()
    return normalize("NFC", standing) if folds_forms else standing


def standing_name(name: str, traits: NameTraits, number: int = 1) -> str:
    """Returns the name under which ``name`` can stand on such a disk.

    Always the same for the same arguments; ``true_name`` reads it back, whatever the number.
    It may be longer than what is legal.

    Args:
        name: As in the journal; legal.
        traits: Of the disk.
        number: 1 for the plain one; from 2 on those beside twins.
    """
    if not traits.is_narrow:
        return name
    written = _quote(name, traits, is_mark_quoted=False)
    if _read(written) != name:
        # It holds the mark itself, in a way that means something.
        written = _quote(name, traits, is_mark_quoted=True)
    if number == 1:
        return written
    stem, extension = split_extension(written)
    return f"{stem} (twin{MARK}{number}){extension}"


def free_standing_name(name: str, is_taken: Callable[[str], bool], traits: NameTraits) -> str:
    """Returns the first standing name for ``name`` that is free.

    Args:
        name: As in the journal; legal.
        is_taken: Tells of a ``name_key`` whether something stands in the folder under it.
        traits: Of the disk.
    """
    for number in count(1):
        found = standing_name(name, traits, number)
        if not is_taken(name_key(found, traits)):
            return found
    raise AssertionError("numbers do not run out")


def true_name(standing: str, traits: NameTraits) -> str:
    """Returns the name in the journal of what stands under a name on such a disk.

    What ``standing_name`` would not have made means itself, as every name on a disk that holds all.

    Cost: below a microsecond for a name without the mark.
    """
    if not traits.is_narrow:
        return standing
    if traits.changes_forms and not standing.isascii():
        standing = normalize("NFC", standing)
    if MARK not in standing:
        return standing
    name = _read(standing)
    twin = _TWIN.search(standing)
    number = 1 if twin is None else int(twin[1])
    if find_name_fault(name) or standing_name(name, traits, number) != standing:
        return standing
    return name


def true_path(standing: str, traits: NameTraits) -> str:
    """Returns the path in the journal of what stands at a path on such a disk.

    Relative to the synced folder, ``/``-separated, ``""`` for the folder itself.
    """
    return "/".join(true_name(name, traits) for name in standing.split("/"))


# --- writing ---------------------------------------------------------------------------------


def _quote(name: str, traits: NameTraits, *, is_mark_quoted: bool) -> str:
    quoted = set(traits.illegal)
    if is_mark_quoted:
        quoted.add(MARK)
    written = [_quote_char(char) if char in quoted else char for char in name]
    if name[-1] in traits.illegal_last:
        written[-1] = _quote_char(name[-1])
    if traits.has_devices and _is_device(name):
        written[0] = _quote_char(name[0])
    result = "".join(written)
    if not traits.changes_forms or normalize("NFC", result) == result:
        return result
    # The disk would not give this spelling back: so nothing may be left for it to change.
    for is_unsafe in (combining, _is_not_ascii):
        spelled = [
            _quote_char(char) if len(char) == 1 and is_unsafe(char) else char for char in written
        ]
        result = "".join(spelled)
        if normalize("NFC", result) == result:
            break
    return result


def _is_not_ascii(char: str) -> bool:
    return not char.isascii() and char != MARK


def _quote_char(char: str) -> str:
    code = ord(char)
    if char == MARK:
        return MARK + MARK
    if 0x21 <= code <= 0x7E:
        return MARK + chr(code + _FULL_WIDTH)
    if 0 < code <= 0x20:
        return MARK + chr(code + _PICTURES)
    return f"{MARK}{code:x};"


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").upper() in _DEVICES


# --- reading ---------------------------------------------------------------------------------


def _read(standing: str) -> str:
    return _QUOTED.sub(_unquote, _TWIN.sub("", standing, count=1))


def _unquote(found: re.Match[str]) -> str:
    mark, wide, picture, number = found.groups()
    if mark:
        return MARK
    if wide:
        return chr(ord(wide) - _FULL_WIDTH)
    if picture:
        return chr(ord(picture) - _PICTURES)
    code = int(number, 16)
    return chr(code) if 0x7F <= code <= 0x10FFFF else found[0]


_FULL_WIDTH: Final = 0xFEE0
"""From ASCII to the full-width look-alike."""

_PICTURES: Final = 0x2400
"""From a control character or a space to its picture."""

_TWIN: Final = re.compile(rf" \(twin{MARK}([2-9]|[1-9][0-9]{{1,5}})\)")
_QUOTED: Final = re.compile(
    rf"{MARK}(?:({MARK})|([\uff01-\uff5e])|([\u2401-\u2420])|([0-9a-f]{{2,6}});)"
)

_DEVICES: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "123456789¹²³"}
)
