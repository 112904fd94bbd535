# SPDX-License-Identifier: Apache-2.0
"""Output: text for people, JSON for machines, trouble on stderr.

Names come from disks and servers that may be hostile: whatever is shown to a person has its
control characters escaped, so that no file name can move the cursor or repaint a terminal.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from drystone.cli.exit_codes import exit_code_of
from drystone.core.errors import DrystoneError, Refused, Unavailable
from drystone.core.instant import NS_PER_S

_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB")
_SECONDS_PER_MINUTE: Final = 60
_SECONDS_PER_HOUR: Final = 3_600
_SECONDS_PER_DAY: Final = 86_400

# C0 and C1 controls, DEL, and the marks that turn the direction of writing: a name that holds
# U+202E shows "gpj.exe" as "exe.jpg".
_HIDDEN: Final = frozenset(
    point
    for span in [(0, 0x20), (0x7F, 0xA0), (0x200B, 0x2010), (0x2028, 0x202F), (0x2060, 0x2070)]
    for point in range(*span)
) | {0xFEFF}


class Output:
    """Where the answer of one command goes.

    Args:
        as_json: One JSON document on stdout in place of text.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def answer(self, value: object, text: str | Iterable[str] = ()) -> None:
        """Prints the command's answer: ``value`` as JSON, or the lines of ``text``."""
        if self.as_json:
            print(format_json(value), flush=True)
            return
        for line in (text,) if isinstance(text, str) else text:
            print(line)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Says something in passing on stderr; machines do not hear it."""
        if not self.as_json:
            print(text, file=sys.stderr, flush=True)


def show_error(error: DrystoneError, *, as_json: bool) -> None:
    """Tells on stderr what happened, to what, and what to do now."""
    if as_json:
        print(format_json(problem_of(error)), file=sys.stderr, flush=True)
        return
    lines = [f"drystone: {printable(error.message)}"]
    for number, line in enumerate(error.advice.splitlines()):
        lines.append(f"  {'    ' if number else 'now:'} {printable(line)}")
    lines += [f"  code: {error.code}"]
    if error.request_id and not isinstance(error, Refused):
        # Who looks into the server's log finds the rest under it.
        lines += [f"  request: {printable(error.request_id)}"]
    print("\n".join(lines), file=sys.stderr, flush=True)


def problem_of(error: DrystoneError) -> dict[str, object]:
    """Returns an error as the problem object that ``--json`` prints."""
    problem: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "advice": error.advice,
        "retryable": error.retryable,
        "exit_code": int(exit_code_of(error)),
    }
    if isinstance(error, Unavailable) and error.retry_after_s > 0:
        problem["retry_after_s"] = error.retry_after_s
    if error.request_id:
        problem["request_id"] = error.request_id
    return problem


def format_json(value: object) -> str:
    """Returns JSON text: bytes as hexadecimal, enumerations by name, tuples with names as objects.

    One line, ASCII only: what a name holds can neither break a line nor a terminal.
    """
    return json.dumps(_plain(value), separators=(",", ":"))


def printable(text: str) -> str:
    r"""Returns ``text`` with whatever a terminal would act upon shown as ``\xNN`` or ``\uNNNN``.

    Lone surrogates (bytes of a name that is not UTF-8) are shown as the byte they stand for.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def shorten(text: str, chars_max: int = 120) -> str:
    """Returns a printable text, with its middle left out if it is longer than that."""
    shown = printable(text)
    if len(shown) <= chars_max:
        return shown
    head = (chars_max - 1) * 2 // 5
    return f"{shown[:head]}…{shown[head + 1 - chars_max :]}"


def format_bytes(count: float) -> str:
    """Returns a number of bytes for people: ``512 B``, ``1.3 MB``, decimal units."""
    if abs(count) < 1_000:
        return f"{count:.0f} B"
    for unit in _UNITS[1:]:
        count /= 1_000
        if abs(count) < 999.5 or unit == _UNITS[-1]:
            break
    return f"{count:.3g} {unit}" if abs(count) < 99.95 else f"{count:.0f} {unit}"


def format_duration(seconds: float) -> str:
    """Returns a span of time for people: ``0.8 s``, ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _SECONDS_PER_MINUTE:
        return f"{whole} s"
    if whole < _SECONDS_PER_HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * _SECONDS_PER_DAY:
        return f"{whole // 3_600} h {whole % 3_600 // 60:02d} min"
    return f"{whole // _SECONDS_PER_DAY} days"


def format_when(instant_ns: int) -> str:
    """Returns an instant in the reader's own time zone, to the second; ``-`` for none."""
    if instant_ns == 0:
        return "-"
    try:
        moment = datetime.fromtimestamp(instant_ns // NS_PER_S, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"{instant_ns // NS_PER_S}s"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def count_of(number: int, thing: str, things: str = "") -> str:
    """Returns ``1 file``, ``78,579 files``."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def format_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> list[str]:
    """Returns the lines of a table whose columns are as wide as they must be.

    Args:
        heads: Column titles; all empty leaves the line of titles out.
        rows: Cells; they are made printable here.
        right: Indices of columns aligned to the right.
    """
    right_columns = set(right)
    cells = [[printable(cell) for cell in row] for row in rows]
    lines = [list(heads), *cells] if any(heads) else cells
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(len(heads))]
    return [
        "  ".join(
            cell.rjust(widths[i]) if i in right_columns else cell.ljust(widths[i])
            for i, cell in enumerate(line)
        ).rstrip()
        for line in lines
    ]


def _shown(character: str) -> str:
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if 0xD800 <= point <= 0xDFFF or (point > 0xFF and point in _HIDDEN):
        return f"\\u{point:04x}"
    return f"\\x{point:02x}" if point in _HIDDEN else character


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
