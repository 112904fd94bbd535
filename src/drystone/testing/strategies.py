# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies: names that hurt, contents, entries, trees, edits of trees, commits.

Drawn values are small, so that what a failure is shrunk to can be read: file ids are small
numbers, contents are a handful, and names collide often.
"""

from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

from hypothesis import strategies as st

from drystone.core import limits
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.ids import ID_BYTES, ROOT_ID, BlockId, FileId, Rev, Seq
from drystone.core.journal.change import (
    Change,
    Commit,
    Create,
    Delete,
    Edit,
    Move,
    OnConflict,
    Restore,
)
from drystone.core.names.path import find_name_fault
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.tree import Tree

T = TypeVar("T")

NAMES_THAT_HURT: Final = (
    "a", "A", "b.txt", "B.TXT", ".hidden", "...", "-rf", "~", "con", "NUL.txt", "aux.",
    "trailing ", " leading", "new\nline", "tab\there", "semi;colon", "back\\slash", 'quo"te',
    "per%20cent", "st*r", "col:on",
    "caf\u00e9", "cafe\u0301", "stra\u00dfe", "STRASSE", "\u0130stanbul",
    "\u2167", "\ufb01le", "\u202egnp.exe", "\u200b", "\U0001f9f1",
    "a (conflicted copy, b, 2024-01-01).txt",
    "x" * 255, "\u00e4" * 127, "\U0001f9f1" * 63, ".drystone", "\x7f", "\x01", "\ufeffbom",
    "\uffff",
)  # fmt: skip
"""Legal names that other systems stumble over: case and Unicode twins, reserved words, control
and direction characters, the longest there may be."""

NAMES_ILLEGAL: Final = (
    "", ".", "..", "/", "a/b", "\0", "a\0b", "x" * 256, "\u00e4" * 128, "\ud800", "a\udfff",
)  # fmt: skip
"""Texts that can be no name."""

FILES_COUNT_DRAWN_MAX: Final = 12


def file_ids(count: int = 2 * FILES_COUNT_DRAWN_MAX) -> st.SearchStrategy[FileId]:
    """Draws one of the first ``count`` ids of ``make_file_id``."""
    return st.integers(1, count).map(make_file_id)


def make_file_id(number: int) -> FileId:
    """Returns the file id that is this number; 0 is the root."""
    return FileId(number.to_bytes(ID_BYTES, "big"))


def names() -> st.SearchStrategy[str]:
    """Draws legal names: often one of a few, often one that hurts, sometimes any."""
    few = st.sampled_from(["a", "b", "c", "d"])
    any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
    return st.one_of(
        few,
        st.sampled_from(NAMES_THAT_HURT),
        any_text.filter(lambda name: not find_name_fault(name)),
    )


def few_names() -> st.SearchStrategy[str]:
    """Draws one of four names, so that entries meet."""
    return st.sampled_from(["a", "b", "c", "d.txt"])


def contents() -> st.SearchStrategy[Content]:
    """Draws one of a few contents: empty, of one block, of several."""
    return st.sampled_from(CONTENTS)


def make_content(text: str) -> Content:
    """Returns the content of a file that holds this short text."""
    data = text.encode()
    if not data:
        return EMPTY_CONTENT
    root = block_id(data)
    return Content(len(data), root, chunked=False, content_hash=content_hash_of_block_id(root))


def make_chunked_content(text: str, size_bytes: int) -> Content:
    """Returns a content of several blocks that are not there: its root only looks like one."""
    root = BlockId(sha256(f"manifest of {text}".encode()).digest())
    content_hash = sha256(f"all of {text}".encode()).digest()
    return Content(size_bytes, root, chunked=True, content_hash=content_hash)


CONTENTS: Final = (
    EMPTY_CONTENT,
    make_content("one"),
    make_content("two"),
    make_content("three"),
    make_chunked_content("large", 3 * limits.MIB),
    make_chunked_content("huge", limits.FILE_BYTES_MAX),
)


def modes() -> st.SearchStrategy[int]:
    """Draws permission bits."""
    return st.sampled_from([0o644, 0o755, 0o600, 0o777, 0o000])


def times_ns() -> st.SearchStrategy[int]:
    """Draws modification times: few, at the ends, before 1970."""
    ends = [0, 1, -1, (1 << 63) - 1, 1 - (1 << 63)]
    return st.one_of(st.integers(0, 3), st.sampled_from(ends))


@st.composite
def entries(
    draw: st.DrawFn,
    *,
    file_id: FileId,
    parent_id: FileId = ROOT_ID,
    name: str | None = None,
    kind: Kind | None = None,
) -> Entry:
    """Draws an entry with a state that fits its kind, not yet committed (rev 0)."""
    if kind is None:
        kind = draw(st.sampled_from(list(Kind)))
    return Entry(
        file_id=file_id,
        parent_id=parent_id,
        name=draw(names()) if name is None else name,
        kind=kind,
        content=draw(contents()) if kind is Kind.FILE else None,
        mode=draw(modes()),
        mtime_ns=0 if kind is Kind.FOLDER else draw(times_ns()),
        target=draw(st.sampled_from(["a", "../b", "/etc/passwd"])) if kind is Kind.SYMLINK else "",
        rev=Rev(0),
    )


@st.composite
def trees(draw: st.DrawFn, *, entries_count_max: int = FILES_COUNT_DRAWN_MAX) -> Tree:
    """Draws a tree in which all live, some of them deep, some under names that hurt."""
    tree = Tree()
    for number in range(1, 1 + draw(st.integers(0, entries_count_max))):
        tree = tree.replace([draw(_new_entries(tree, make_file_id(number)))])
    return tree


@st.composite
def edited_trees(draw: st.DrawFn, tree: Tree, *, edits_count_max: int = 8) -> Tree:
    """Draws a tree made from ``tree`` by creating, editing, moving and deleting.

    Ids of new entries are beyond those that ``trees`` gives.
    """
    next_number = 1_000 + len(tree)
    for _ in range(draw(st.integers(0, edits_count_max))):
        living = list(tree.iter_living())
        what = draw(st.sampled_from(["create", "edit", "move", "delete"]))
        if what == "create" or not living:
            tree = tree.replace([draw(_new_entries(tree, make_file_id(next_number)))])
            next_number += 1
            continue
        entry = draw(st.sampled_from(living))
        if what == "delete":
            below = [e.file_id for e in tree.iter_living(entry.file_id)]
            tree = tree.replace([], {entry.file_id, *below})
        elif what == "edit":
            tree = tree.replace([draw(_restated(entry))])
        else:
            parent_id = draw(st.sampled_from(_folder_ids(tree, but_not_below=entry.file_id)))
            name = draw(_free_names(tree, parent_id))
            tree = tree.replace([entry._replace(parent_id=parent_id, name=name)])
    return tree


class Seen(NamedTuple):
    """What a committer saw of a namespace.

    Attributes:
        tree: The entries.
        head: The seq up to which it was seen.
        gone_ids: File ids of entries that were deleted.
    """

    tree: Tree = Tree()
    head: Seq = Seq(0)
    gone_ids: tuple[FileId, ...] = ()


@st.composite
def changes(draw: st.DrawFn, seen: Seen) -> Change:
    """Draws a change that somebody might ask for: mostly sensible, sometimes stale or absurd."""
    known_ids = [entry.file_id for entry in seen.tree]
    kinds: list[type[Change]] = [Create, Create, Edit, Move, Delete, Restore]
    what = draw(st.sampled_from(kinds if known_ids or seen.gone_ids else [Create]))
    if what is Create:
        new_id = draw(_new_ids(seen))
        parent_id = draw(_parent_ids(seen.tree))
        entry = draw(entries(file_id=new_id, parent_id=parent_id, name=draw(few_names())))
        return Create(entry, draw(st.sampled_from(OnConflict)))
    likely_ids = [*seen.gone_ids, *known_ids] if what is Restore else known_ids
    file_id = draw(_mostly(st.sampled_from(likely_ids or [ROOT_ID]), file_ids()))
    known = seen.tree.find(file_id)
    place = (known.parent_id, known.name) if known else (ROOT_ID, "a")
    known_rev = known.rev if known else Rev(0)
    base_rev = draw(_mostly(st.just(known_rev), st.integers(0, 9).map(Rev)))
    if what is Edit:
        state = draw(entries(file_id=file_id, kind=known.kind if known else None))
        copy = draw(st.sampled_from(OnConflict))
        return Edit(
            file_id, base_rev, state.content, state.mode, state.mtime_ns, state.target, copy
        )
    if what is Move:
        return Move(file_id, draw(_parent_ids(seen.tree)), draw(few_names()), *place)
    if what is Delete:
        return Delete(file_id, base_rev)
    rev = draw(st.sampled_from([Rev(0), base_rev]))
    folder_id = draw(st.one_of(st.none(), _parent_ids(seen.tree)))
    return Restore(file_id, rev, folder_id, draw(st.one_of(st.just(""), few_names())))


@st.composite
def commits(draw: st.DrawFn, seen: Seen, *, changes_count_max: int = 6) -> Commit:
    """Draws a commit of changes that build on each other, by somebody who saw this."""
    drawn: list[Change] = []
    expected = seen
    for _ in range(draw(st.integers(1, changes_count_max))):
        change = draw(changes(expected))
        drawn.append(change)
        if isinstance(change, Create):
            entry = change.entry._replace(rev=Rev(seen.head + len(drawn)))
            is_new = entry.file_id not in {*expected.gone_ids, *(e.file_id for e in expected.tree)}
            is_free = entry.name not in expected.tree.children(entry.parent_id)
            if is_new and is_free and expected.tree.is_living(entry.parent_id):
                expected = expected._replace(tree=expected.tree.replace([entry]))
    seen_seq = draw(_mostly(st.just(seen.head), st.integers(0, seen.head + 1).map(Seq)))
    all_or_nothing = draw(st.sampled_from([False, False, False, True]))
    return Commit(tuple(drawn), seen_seq, all_or_nothing)


def _mostly(usual: st.SearchStrategy[T], unusual: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Draws from ``usual`` nine times in ten."""
    return st.integers(0, 9).flatmap(lambda number: unusual if number == 9 else usual)


def _new_ids(seen: Seen) -> st.SearchStrategy[FileId]:
    first = 1 + len(seen.tree) + len(seen.gone_ids)
    return _mostly(st.integers(first, first + 5).map(make_file_id), file_ids())


def _parent_ids(tree: Tree) -> st.SearchStrategy[FileId]:
    folders = [entry.file_id for entry in tree if entry.kind is Kind.FOLDER]
    return _mostly(st.sampled_from([ROOT_ID, *folders]), file_ids())


@st.composite
def _new_entries(draw: st.DrawFn, tree: Tree, file_id: FileId) -> Entry:
    parent_id = draw(st.sampled_from(_folder_ids(tree)))
    name = draw(_free_names(tree, parent_id))
    return draw(entries(file_id=file_id, parent_id=parent_id, name=name))


@st.composite
def _restated(draw: st.DrawFn, entry: Entry) -> Entry:
    state = draw(entries(file_id=entry.file_id, kind=entry.kind))
    return state._replace(parent_id=entry.parent_id, name=entry.name, rev=Rev(entry.rev + 1))


def _free_names(tree: Tree, parent_id: FileId) -> st.SearchStrategy[str]:
    taken = tree.children(parent_id)
    return names().filter(lambda name: name not in taken)


def _folder_ids(tree: Tree, but_not_below: FileId | None = None) -> list[FileId]:
    """Returns the root and the living folders; without one of them and all below it."""
    folders = [entry.file_id for entry in tree.iter_living() if entry.kind is Kind.FOLDER]
    if but_not_below is not None:
        below = {entry.file_id for entry in tree.iter_living(but_not_below)}
        folders = [f for f in folders if f != but_not_below and f not in below]
    return [ROOT_ID, *folders]
