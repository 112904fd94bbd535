# SPDX-License-Identifier: Apache-2.0
"""Trees to show and measure with: copied, made, edited, and compared byte by byte."""

import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CONTROL_FOLDER = ".drystone"
_PIECE_BYTES = 1 << 22


class Size(NamedTuple):
    """What a tree holds."""

    files: int
    folders: int
    symlinks: int
    content_bytes: int


class Difference(NamedTuple):
    """One path that is not the same in two trees, and how."""

    path: str
    how: str


def copy_tree(source: Path, target: Path) -> None:
    """Copies a tree with modes, mtimes and symlinks; both must be folders."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def copy_readable(source: Path, target: Path) -> int:
    """Copies what can be synced of a folder that may hold anything, and returns what was left out.

    Special files, what may not be read, names that are not UTF-8 and a control folder are left
    out; Python's third-party packages too, where the folder is its standard library.
    """
    left_out = 0

    def ignore(folder: str, names: list[str]) -> set[str]:
        nonlocal left_out
        skipped = {name for name in names if not _is_copyable(Path(folder) / name)}
        left_out += len(skipped)
        return skipped | ({CONTROL_FOLDER, "site-packages"} & set(names))

    shutil.copytree(source, target, symlinks=True, ignore=ignore)
    return left_out


def measure_tree(root: Path) -> Size:
    """Returns how much a tree holds; special files are not counted."""
    files = folders = symlinks = content_bytes = 0
    for entry in iter_entries(root):
        if entry.is_symlink():
            symlinks += 1
        elif entry.is_dir(follow_symlinks=False):
            folders += 1
        elif entry.is_file(follow_symlinks=False):
            files += 1
            content_bytes += entry.stat(follow_symlinks=False).st_size
    return Size(files, folders, symlinks, content_bytes)


def iter_entries(root: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yields all below a folder, parents before children, the control folder left out."""
    with os.scandir(root) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name == CONTROL_FOLDER:
            continue
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from iter_entries(entry.path)


def find_differences(left: Path, right: Path, limit: int = 20) -> list[Difference]:
    """Compares two trees: kinds, bytes, permission bits, file mtimes, symlink targets.

    Folder times and owners do not count, since they do not travel. Returns the first ``limit``
    differences; an empty list says that both are the same.
    """
    found: list[Difference] = []
    for difference in _iter_differences(left, right, ""):
        found.append(difference)
        if len(found) >= limit:
            break
    return found


def make_random_file(path: Path, size_bytes: int, seed: int) -> None:
    """Writes a file of random bytes, the same for the same seed."""
    source = random.Random(seed)
    with path.open("wb") as file:
        left = size_bytes
        while left:
            piece = source.randbytes(min(left, _PIECE_BYTES))
            file.write(piece)
            left -= len(piece)


def overwrite_byte(path: Path, offset: int) -> None:
    """Changes one byte in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)
        file.seek(offset)
        file.write(bytes([old[0] ^ 0xFF]))


def insert_byte(path: Path, offset: int, draft: Path) -> None:
    """Inserts one byte, as an editor would: a new file, renamed over the old one.

    Args:
        path: The file.
        offset: Where the byte comes to stand; the rest of the file moves by one.
        draft: Where the new file is written, on the same filesystem; best outside of a synced
            folder, where it would be synced as well if it is slow to write.
    """
    with path.open("rb") as source, draft.open("wb") as target:
        target.write(source.read(offset) + b"+")
        shutil.copyfileobj(source, target, _PIECE_BYTES)
    draft.replace(path)


def _is_copyable(path: Path) -> bool:
    try:
        str(path).encode()
        mode = path.lstat().st_mode
    except (UnicodeEncodeError, OSError):
        return False
    if stat.S_ISLNK(mode):
        return True
    if stat.S_ISDIR(mode):
        return os.access(path, os.R_OK | os.X_OK)
    return stat.S_ISREG(mode) and os.access(path, os.R_OK)


def _iter_differences(left: Path, right: Path, below: str) -> Iterator[Difference]:
    names_left, names_right = _list_names(left), _list_names(right)
    for name in sorted(names_left | names_right):
        path = f"{below}{name}"
        if name not in names_left or name not in names_right:
            side = "left" if name in names_left else "right"
            yield Difference(path, f"only in the {side} tree")
            continue
        how = _compare(left / name, right / name)
        if how:
            yield Difference(path, how)
        elif (left / name).is_dir() and not (left / name).is_symlink():
            yield from _iter_differences(left / name, right / name, f"{path}/")


def _list_names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) - {CONTROL_FOLDER}  # noqa: PTH208  names, not paths


def _compare(left: Path, right: Path) -> str:
    one, other = left.lstat(), right.lstat()
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return "another kind of entry"
    if stat.S_ISLNK(one.st_mode):
        return "" if left.readlink() == right.readlink() else "points elsewhere"
    if stat.S_IMODE(one.st_mode) & 0o777 != stat.S_IMODE(other.st_mode) & 0o777:
        return f"mode {one.st_mode & 0o777:o}, {other.st_mode & 0o777:o}"
    if not stat.S_ISREG(one.st_mode):
        return ""
    if one.st_size != other.st_size:
        return f"size {one.st_size:,}, {other.st_size:,}"
    if one.st_mtime_ns != other.st_mtime_ns:
        return f"mtime {one.st_mtime_ns}, {other.st_mtime_ns}"
    return "" if _is_same_bytes(left, right) else "other bytes"


def _is_same_bytes(left: Path, right: Path) -> bool:
    with left.open("rb", buffering=0) as one, right.open("rb", buffering=0) as other:
        while True:
            piece = one.read(_PIECE_BYTES)
            if piece != other.read(_PIECE_BYTES):
                return False
            if not piece:
                return True
