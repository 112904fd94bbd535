# SPDX-License-Identifier: Apache-2.0
"""Folders: open descriptors by path, walked to one component at a time."""

import os
import time
from collections import OrderedDict
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Final

from drystone.client.adapters.disk.system import OPEN_FOLDER
from drystone.client.ports import PathTooLong, UnsafeName
from drystone.core import limits
from drystone.core.names.quoting import quoted

CONTROL_NAME: Final = ".drystone"

_OPEN_MAX: Final = 128
"""Folders kept open: far below the usual limit of 1,024 descriptors."""

_TRUSTED_S: Final = 2.0
"""Seconds for which a path is taken to lead where it led when it was walked. Somebody may
rename folders at any time; whatever is written meanwhile is found by the next scan."""


_RESERVED: Final = frozenset({"", ".", ".."})


class Folder:
    """An open folder. Use it as a context; it may be closed once nobody does."""

    __slots__ = ("_folders", "_users_count", "fd", "is_dropped", "opened_s")

    def __init__(self, folders: "Folders", fd: int) -> None:
        self.fd = fd
        self.opened_s = time.monotonic()
        self.is_dropped = False
        self._folders = folders
        self._users_count = 0

    def __enter__(self) -> int:
        """Returns the descriptor."""
        return self.fd

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._folders.lock:
            self._users_count -= 1
            self.close_if_unused()

    def take(self) -> None:
        """Counts one more user. Under the lock."""
        self._users_count += 1

    def close_if_unused(self) -> None:
        """Closes a dropped folder that nobody uses. Under the lock."""
        if self.is_dropped and not self._users_count:
            self.is_dropped = False
            os.close(self.fd)


class Folders:
    """Folders below one that is open. Safe for several threads.

    Args:
        top_fd: Descriptor of the folder that all paths start from; whoever opened it closes
            it, after the last use of these.
        is_making: Folders that are missing are made, for this user only.

    Methods raise ``OSError`` for what the system says, and ours for paths that are not safe.
    """

    def __init__(self, top_fd: int, *, is_making: bool = False) -> None:
        self.lock = Lock()
        self._is_making = is_making
        self._top = Folder(self, top_fd)
        self._top.take()
        self._open: OrderedDict[str, Folder] = OrderedDict()

    @property
    def top_fd(self) -> int:
        """Descriptor of the folder that all paths start from."""
        return self._top.fd

    def open(self, path: str) -> Folder:
        """Returns a folder to be used as a context; ``""`` is the top."""
        with self.lock:
            if not path:
                self._top.take()
                return self._top
            folder = self._open.get(path)
            if folder is not None:
                if time.monotonic() - folder.opened_s < _TRUSTED_S:
                    folder.take()
                    self._open.move_to_end(path)
                    return folder
                self._drop(path)
        return self._keep(path, self.open_fresh(path))

    def open_fresh(self, path: str) -> int:
        """Returns a descriptor of a folder, opened now; the caller closes it."""
        above, _, name = path.rpartition("/")
        check_safe(name, path)
        with self.open(above) as above_fd:
            if not self._is_making:
                return os.open(name, OPEN_FOLDER, dir_fd=above_fd)
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=above_fd)
            return os.open(name, OPEN_FOLDER, dir_fd=above_fd)

    def keep(self, path: str, fd: int) -> None:
        """Takes over a descriptor that ``open_fresh`` gave, for the next who needs it."""
        with self.lock:
            self._insert(path, Folder(self, fd))

    def forget(self, path: str) -> None:
        """Trusts no path at or below ``path`` any more; ``""`` is all. Closes what is unused."""
        below = f"{path}/"
        with self.lock:
            for known in list(self._open):
                if not path or known == path or known.startswith(below):
                    self._drop(known)

    # --- inside ------------------------------------------------------------------------------

    def _keep(self, path: str, fd: int) -> Folder:
        """Keeps a descriptor and returns it as taken."""
        folder = Folder(self, fd)
        with self.lock:
            folder.take()
            self._insert(path, folder)
        return folder

    def _insert(self, path: str, folder: Folder) -> None:
        if path in self._open:
            self._drop(path)
        self._open[path] = folder
        if len(self._open) > _OPEN_MAX:
            self._drop(next(iter(self._open)))

    def _drop(self, path: str) -> None:
        folder = self._open.pop(path)
        folder.is_dropped = True
        folder.close_if_unused()


def check_safe(name: str, path: str) -> None:
    """Accepts a name as that of something in an open folder, or raises.

    Names from a server are hostile: they were checked there, and are checked again here.

    Raises:
        UnsafeName: It would lead elsewhere, into a control folder, or is no text.
        PathTooLong: The path it ends is too deep.
    """
    if (
        name in _RESERVED
        or "/" in name
        or "\0" in name
        or path[0] == "/"
        or (len(name) == len(CONTROL_NAME) and name.casefold() == CONTROL_NAME)
    ):
        raise UnsafeName(
            f"{quoted(path)} cannot be a path here: {quoted(name)} has a meaning of its own",
            advice="Rename it where it was made.",
        )
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UnsafeName(
                f"{quoted(path)} cannot be a path here: it is not text that UTF-8 can hold",
                advice="Rename it where it was made.",
            ) from error
    # One more, because the trash puts the day above.
    if len(path) > limits.DEPTH_MAX and path.count("/") > limits.DEPTH_MAX + 1:
        raise PathTooLong(
            f"{quoted(path[:80])}… is too deep: at most {limits.DEPTH_MAX} folders",
            advice="Move it up.",
        )
