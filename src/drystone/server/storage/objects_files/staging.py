# SPDX-License-Identifier: Apache-2.0
"""Temporary names, and who may use a folder's store at once: every process that opened it.

Each opener has a folder of its own in ``.openers``, locked while it lives; what it writes stands
in ``.incoming`` under names that begin with that folder's. The kernel lets go of the locks of
whoever dies, so the next opener knows what nobody will finish, and removes that alone.
"""

import fcntl
import itertools
import os
import secrets
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_INCOMING: Final = ".incoming"
_OPENERS: Final = ".openers"
_TOKEN_BYTES: Final = 8


class Staging:
    """What one opener of a store holds. Let go when it is no longer referred to.

    Args:
        root: The store's folder; it exists. What the dead left in it is removed.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, root: str) -> None:
        self._incoming = os.path.join(root, _INCOMING)
        self._token = secrets.token_hex(_TOKEN_BYTES)
        self._numbers = itertools.count()
        self._thread_lock = threading.Lock()
        openers = os.path.join(root, _OPENERS)
        os.makedirs(self._incoming, mode=0o700, exist_ok=True)
        os.makedirs(openers, mode=0o700, exist_ok=True)
        self._publishing_fd = _open_kept(self, self._incoming)
        with _locked_folder(openers):
            own = os.path.join(openers, self._token)
            os.mkdir(own, mode=0o700)
            fcntl.flock(_open_kept(self, own), fcntl.LOCK_EX)
            living = _remove_dead(openers)
            for name in os.listdir(self._incoming):
                if name.partition("-")[0] not in living:
                    os.unlink(os.path.join(self._incoming, name))

    def next_path(self) -> str:
        """Returns a path that nobody else uses, on the store's filesystem."""
        return os.path.join(self._incoming, f"{self._token}-{next(self._numbers)}")

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Lets one at a time give names, among all threads of all processes.

        Whoever finds an object in its place must be able to rely on it. So the steps from
        "renamed" to "durable under its name, or gone again" are not to be seen half done.
        """
        with self._thread_lock:
            fcntl.flock(self._publishing_fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._publishing_fd, fcntl.LOCK_UN)


def _remove_dead(openers: str) -> set[str]:
    """Removes the folders of openers that live no more; returns the names of the others."""
    living: set[str] = set()
    for name in os.listdir(openers):
        path = os.path.join(openers, name)
        try:
            fd = _open_folder(path)
        except PermissionError:  # another user's, and nothing is known of it
            living.add(name)
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            living.add(name)
        else:
            with suppress(OSError):
                os.rmdir(path)
        finally:
            os.close(fd)
    return living


@contextmanager
def _locked_folder(path: str) -> Iterator[None]:
    fd = _open_folder(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open_kept(owner: object, path: str) -> int:
    """Opens a folder for as long as ``owner`` is referred to."""
    fd = _open_folder(path)
    weakref.finalize(owner, os.close, fd)
    return fd


def _open_folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
