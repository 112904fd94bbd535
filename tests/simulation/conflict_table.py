# SPDX-License-Identifier: Apache-2.0
"""The table of docs/guides/conflicts.md as scenarios: its words are what is done and what is
expected, so that the guide and the tests cannot say different things.

Whoever has a device does the acts, which are called as the deeds of ``testing.world.users``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "conflicts.md"

BEFORE: Final[dict[str, int | None]] = {
    "a.txt": 1, "b.txt": 2, "docs": None, "docs/c.txt": 3, "docs/d.txt": 4, "old": None,
}  # fmt: skip
"""What both devices have: numbers of contents, None for folders."""

FIRST: Final = 10
SECOND: Final = 11
"""What the first and the second device write."""

_TIMES_S: Final = {FIRST: 1_000_000_000, SECOND: 1_100_000_000}
_COLUMNS: Final = 5
_COPY: Final = re.compile(r" \(conflicted copy, [^()]*\)")


class Look(NamedTuple):
    """What stands at a path.

    Attributes:
        what: The number of a file's content, the target of a link, None for a folder.
        mode: Permission bits; 0 for links.
        mtime_s: When somebody set it; None: any.
    """

    what: int | str | None
    mode: int
    mtime_s: int | None = None


class Act(NamedTuple):
    """Something that somebody does in a folder."""

    deed: str
    args: tuple[str | int, ...]


Tree = dict[str, Look]


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        row_id: Its first cell.
        words: What the first and what the second device does.
        first: As acts.
        second: As acts.
        then: All that both devices have afterwards.
        conflicts: The kinds that are told.
    """

    row_id: str
    words: tuple[str, str]
    first: tuple[Act, ...]
    second: tuple[Act, ...]
    then: Tree
    conflicts: frozenset[str]

    def then_on(self, device: str, date: str) -> Tree:
        """Returns what there is where the second device and the day are called so."""
        named = f"conflicted copy, {device}, {date}"
        old = "conflicted copy, laptop, 2026-11-21"
        return {path.replace(old, named): look for path, look in self.then.items()}


def read_rows() -> list[Row]:
    """Returns the rows of the guide's table.

    Raises:
        AssertionError: A cell has words that nobody understands.
    """
    rows = []
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == _COLUMNS:
            rows.append(_make_row(*cells))
    return rows


def before_tree() -> Tree:
    """Returns what both devices have before."""
    return {path: _plain(what) for path, what in BEFORE.items()}


def done_to(tree: Tree, acts: tuple[Act, ...]) -> Tree:
    """Returns what a tree is like after acts."""
    tree = dict(tree)
    for deed, args in acts:
        _CHANGES[deed](tree, *args)
    return tree


def original_of(path: str) -> str | None:
    """Returns beside which name a conflicted copy stands; None if it is none."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + _COPY.sub("", name) if _COPY.search(name) else None


# --- words of the second and the third column --------------------------------------------------

_DEEDS: Final = (
    (r"edits `(\S+)`(?: in the same way)?", "write P N"),
    (r"deletes `(\S+)`", "remove P"),
    (r"(?:moves|renames) `(\S+)` to `(\S+)`", "move P Q"),
    (r"moves `(\S+)` over `(\S+)`", "replace P Q"),
    (r"swaps `(\S+)` and `(\S+)`", "swap P Q"),
    (r"creates (?:the same )?`(\S+)`", "write P N"),
    (r"creates the folder `(\S+)`", "mkdir P"),
    (r"creates (?:the same )?`(\S+)` in a new folder", "mkdir F; write P N"),
    (r"puts a folder in place of `(\S+)`", "remove P; mkdir P"),
    (r"puts a file in place of `(\S+)`", "remove P; write P N"),
    (r"makes `(\S+)` a link to `(\S+)`", "link P Q"),
    (r"puts a link to `(\S+)` in place of `(\S+)`", "remove Q; link Q P"),
    (r"makes `(\S+)` executable", "chmod P X"),
    (r"makes `(\S+)` private", "chmod P R"),
    (r"sets the time of `(\S+)`", "touch P T"),
)


def _read_deed(words: str, number: int) -> tuple[Act, ...]:
    """Returns the acts that words stand for."""
    for pattern, acts in _DEEDS:
        found = re.fullmatch(pattern, words)
        if found is not None:
            path, other = (*found.groups(), "")[:2]
            values: Mapping[str, str | int] = {
                "P": path, "Q": other, "F": path.rpartition("/")[0],
                "N": FIRST if " same" in words else number,
                "X": 0o755, "R": 0o600, "T": _TIMES_S[number],
            }  # fmt: skip
            lines = [act.split() for act in acts.split(";")]
            return tuple(Act(deed, tuple(values[arg] for arg in args)) for deed, *args in lines)
    raise AssertionError(f"nobody knows how one {words!r}")


# --- words of the fourth column ----------------------------------------------------------------


def _read_tree(cell: str, row_id: str, moved: str) -> Tree:
    """Returns what a cell names: ``path (remark), path (remark)``."""
    if cell == "nothing of it":
        return {}
    found: Tree = {}
    rest = re.sub(r"`([^`]+)` \(((?:[^()`]|`[^`]+`)+)\)(?:, |$)", "", cell)
    assert not rest, f"{row_id}: {rest!r} names nothing"
    for path, remark in re.findall(r"`([^`]+)` \(((?:[^()`]|`[^`]+`)+)\)", cell):
        found[path] = _read_look(remark, moved)
    return found


def _read_look(remark: str, moved: str) -> Look:
    words, *more = remark.split(", ")
    look = _plain(_read_what(words, moved))
    for word in more:
        if word in ("executable", "private"):
            look = look._replace(mode=0o755 if word == "executable" else 0o600)
        else:
            writer = {"with the first's time": FIRST, "with the second's time": SECOND}[word]
            look = look._replace(mtime_s=_TIMES_S[writer])
    return look


def _read_what(words: str, moved: str) -> int | str | None:
    known = {"a folder": None, "the first's": FIRST, "the second's": SECOND}
    if words in known:
        return known[words]
    link = re.fullmatch(r"a link to `(.+)`", words)
    if link is not None:
        return link[1]
    was = re.fullmatch(r"as (?:it|`(.+)`) was", words)
    assert was is not None, f"nobody knows what {words!r} is"
    return BEFORE[was[1] or moved]


def _make_row(row_id: str, first: str, second: str, then: str, conflict: str) -> Row:
    one, other = _read_deed(first, FIRST), _read_deed(second, SECOND)
    tree = before_tree()
    left, right = done_to(tree, one), done_to(tree, other)
    # What nobody touched is not named again.
    same = {path: look for path, look in tree.items() if left.get(path) == look == right.get(path)}
    then_all = same | _read_tree(then, row_id, str(one[0].args[0]))
    kinds = frozenset(kind for kind in conflict.split(", ") if kind)
    return Row(row_id.strip("`"), (first, second), one, other, then_all, kinds)


# --- what acts do to a tree --------------------------------------------------------------------


def _plain(what: int | str | None) -> Look:
    return Look(what, 0o755 if what is None else 0 if isinstance(what, str) else 0o644)


def _write(tree: Tree, path: str, number: int) -> None:
    mode = tree[path].mode if path in tree else 0o644
    tree[path] = Look(number, mode)


def _remove(tree: Tree, path: str) -> None:
    for below in [p for p in tree if p == path or p.startswith(f"{path}/")]:
        del tree[below]


def _move(tree: Tree, path: str, new_path: str) -> None:
    for below in [p for p in tree if p == path or p.startswith(f"{path}/")]:
        tree[new_path + below[len(path) :]] = tree.pop(below)


def _swap(tree: Tree, path: str, other: str) -> None:
    tree[path], tree[other] = tree[other], tree[path]


def _make_folder(tree: Tree, path: str) -> None:
    tree[path] = _plain(None)


def _link(tree: Tree, path: str, target: str) -> None:
    tree[path] = _plain(target)


def _chmod(tree: Tree, path: str, mode: int) -> None:
    tree[path] = tree[path]._replace(mode=mode)


def _touch(tree: Tree, path: str, mtime_s: int) -> None:
    tree[path] = tree[path]._replace(mtime_s=mtime_s)


_CHANGES: Final = {
    "write": _write, "remove": _remove, "move": _move, "replace": _move, "swap": _swap,
    "mkdir": _make_folder, "link": _link, "chmod": _chmod, "touch": _touch,
}  # fmt: skip
