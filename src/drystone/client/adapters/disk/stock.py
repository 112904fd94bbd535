# SPDX-License-Identifier: Apache-2.0
"""Stock: all that is in a folder, as numbers that tell whether anything of it is new."""

import os
import stat as modes

from drystone.client.adapters.disk.folders import Folders


def take_stock(folders: Folders, path: str) -> frozenset[int]:
    """Returns a number for everything below a folder; see ``Disk.take_stock``.

    A folder's own times change with what is put into it or taken away, so of folders only it
    counts which one they are. No links are followed, and no other disk is entered.

    Args:
        folders: Below which the folder is.
        path: Of the folder.

    Raises:
        OSError: It cannot be listed itself.
    """
    found: set[int] = set()
    waiting = [""]
    with folders.open(path) as fd:
        dev = os.fstat(fd).st_dev
    while waiting:
        below = waiting.pop()
        try:
            with folders.open(f"{path}/{below}" if below else path) as fd, os.scandir(fd) as listed:
                for entry in listed:
                    place = f"{below}/{entry.name}" if below else entry.name
                    stat = entry.stat(follow_symlinks=False)
                    if modes.S_ISDIR(stat.st_mode):
                        found.add(hash((place, stat.st_dev, stat.st_ino)))
                        if stat.st_dev == dev:
                            waiting.append(place)
                    else:
                        found.add(hash((place, *_fingerprint(stat))))
        except OSError:
            if not below:
                raise
    return frozenset(found)


def _fingerprint(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
