# SPDX-License-Identifier: Apache-2.0
"""Troubles: what a listing cannot take in, kept as problems until a listing can."""

from collections.abc import Callable, Collection, Container, Sequence
from typing import Final

from drystone.client.ports import ProblemRow, Skipped, State
from drystone.core.errors import DrystoneError
from drystone.core.names.quoting import quoted

_FOUND_BY_LISTING: Final = frozenset(
    {
        "name-not-utf8",
        "special-file",
        "name-too-long",
        "name-twice",
        "path-too-long",
        "unreadable",
        "nested-root",
    }
)
"""Codes of problems that end when a listing no longer shows them."""

_ADVICE: Final = {
    "name-not-utf8": "Rename it to text that UTF-8 can hold, or ignore it.",
    "special-file": "Nothing to do: pipes, sockets and devices are left out.",
    "name-too-long": "Give it a shorter name.",
    "name-twice": "Rename it, or what it stands for.",
    "path-too-long": "Give the folders above it shorter names, or move it up.",
    "unreadable": "Let this user read it (chmod, chown), or ignore it.",
    "nested-root": "Sync either this folder or the one above it.",
    "other-disk": "Mount what was mounted there; or delete the folder, to delete it everywhere.",
    "bad-ignore-rule": "Write the line in the syntax of gitignore.",
}

FOUND_BY_SCAN: Final = frozenset({*_ADVICE, "disk-problem"})
"""Codes of problems that scans find, and end where they look."""

_SHOWN_CHARS_MAX: Final = 100


class Troubles:
    """The problems a scan finds and ends. Notes only what differs from what State has."""

    def __init__(self, state: State, now_ns: Callable[[], int]) -> None:
        self._state = state
        self._now_ns = now_ns
        self._by_folder: dict[str, dict[str, ProblemRow]] = {}
        for row in state.problems():
            if row.code in _ADVICE and not row.next_try_ns:
                folder, _, name = row.path.rpartition("/")
                self._by_folder.setdefault(folder, {})[name] = row

    def see_listing(self, path: str, found: Sequence[Skipped], seen: Container[str]) -> None:
        """A folder was listed: notes what was skipped, ends what is fine or gone.

        Args:
            path: Of the folder.
            found: What was skipped in it.
            seen: The names that were not.
        """
        known = self._by_folder.get(path)
        if known is None and not found:
            return
        skipped = {one.name: one for one in found}
        for name, row in list((known or {}).items()):
            # A file that cannot be read is seen all the same: whoever reads it will tell.
            is_open = name in skipped or (row.code == "unreadable" and name in seen)
            if name and not is_open and row.code in _FOUND_BY_LISTING:
                self.end(row.path)
        for one in skipped.values():
            self.note(_join(path, one.name), one.code, _describe(path, one))

    def see_listed(self, path: str, *, is_replaced: bool) -> None:
        """A folder could be listed: it is no problem itself (any more).

        Args:
            path: Of the folder.
            is_replaced: It is not the one that was known there: whether that is trouble, its
                children tell.
        """
        if self._by_folder:
            row = self._find(path)
            if row is None:
                return
            if row.code in _FOUND_BY_LISTING or (row.code == "other-disk" and not is_replaced):
                self.end(path)

    def list_unreadable(self, path: str) -> Collection[str]:
        """Returns the names in a folder whose problem is that they cannot be read. One that is
        as it was when it was read last needs no reading: that ends it.
        """
        rows = self._by_folder.get(path)
        return [name for name, row in rows.items() if row.code == "unreadable"] if rows else ()

    def note_error(self, path: str, error: DrystoneError) -> None:
        """A folder could not be listed."""
        self.note(path, error.code, error.message, error.advice)

    def note_ignore_faults(self, path: str, faults: Sequence[str]) -> None:
        """An ignore file was read: notes lines that are no rules, or that all are now."""
        row = self._find(path)
        if faults:
            message = f"{quoted(path)} holds a line that is no ignore rule: {faults[0][:80]!r}"
            self.note(path, "bad-ignore-rule", message)
        elif row is not None and row.code == "bad-ignore-rule":
            self.end(path)

    def note(self, path: str, code: str, message: str, advice: str = "") -> None:
        """Notes a problem, unless it is known already."""
        known = self._find(path)
        if known is not None and known.code == code:
            return
        advice = advice or _ADVICE.get(code, "")
        row = ProblemRow(path, code, message, advice, self._now_ns(), 1, 0)
        folder, _, name = path.rpartition("/")
        self._by_folder.setdefault(folder, {})[name] = row
        self._state.note_problem(row)

    def end(self, path: str) -> None:
        """Ends a problem."""
        folder, _, name = path.rpartition("/")
        known = self._by_folder.get(folder)
        if known is not None and known.pop(name, None) is not None:
            self._state.clear_problem(path)

    def _find(self, path: str) -> ProblemRow | None:
        folder, _, name = path.rpartition("/")
        known = self._by_folder.get(folder)
        return None if known is None else known.get(name)


def _describe(path: str, one: Skipped) -> str:
    shown = path if len(path) <= _SHOWN_CHARS_MAX else f"…{path[-_SHOWN_CHARS_MAX:]}"
    place = f"in {quoted(shown)}" if path else "in the synced folder"
    return f"{quoted(one.name)} {place} is left out: {one.detail}"


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
