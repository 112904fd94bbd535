# SPDX-License-Identifier: Apache-2.0
"""Edits that people and package managers make, repeatable by a seed."""

import random
import stat
from pathlib import Path

from drystone.cli.demo.trees import iter_entries


def append_random(path: Path, size_bytes: int, seed: int) -> None:
    """Appends random bytes."""
    with path.open("ab") as file:
        file.write(random.Random(seed).randbytes(size_bytes))


def choose_files(root: Path, count: int, seed: int) -> list[Path]:
    """Returns ``count`` writable regular files of at least a few lines, spread over the tree."""
    candidates = [
        Path(entry.path)
        for entry in iter_entries(root)
        if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_size > 64
    ]
    source = random.Random(seed)
    return source.sample(candidates, min(count, len(candidates)))


def edit_line(path: Path, text: str, draft: Path) -> None:
    """Adds one line in the middle of a file the way editors save: a new file, renamed over it.

    ``draft`` is where the new file is written: on the same filesystem, outside of synced folders.
    """
    before = path.read_bytes()
    middle = before.find(b"\n", len(before) // 2) + 1
    draft.write_bytes(before[:middle] + text.encode() + b"\n" + before[middle:])
    draft.chmod(stat.S_IMODE(path.stat().st_mode))
    draft.replace(path)


def upgrade_files(root: Path, count: int, seed: int) -> int:
    """Edits files as a patch release does: a few lines here and there in each.

    Returns how many bytes the edited files hold afterwards.
    """
    source = random.Random(seed)
    total_bytes = 0
    for path in choose_files(root, count, seed):
        lines = path.read_bytes().splitlines(keepends=True)
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(lines) + 1)
            lines[at : at + source.randint(0, 2)] = [b"\tchanged = %d;\n" % source.getrandbits(32)]
        after = b"".join(lines)
        path.write_bytes(after)
        total_bytes += len(after)
    return total_bytes
