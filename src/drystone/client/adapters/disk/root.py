# SPDX-License-Identifier: Apache-2.0
"""Root: the control folder, the marker that proves a folder is the root, and the lock."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from drystone.client.adapters.disk.folders import CONTROL_NAME
from drystone.client.adapters.disk.system import OPEN_READ
from drystone.client.ports import RootGone
from drystone.core.errors import Misconfigured, Refused

_MARKER: Final = f"{CONTROL_NAME}/marker"
_LOCK: Final = f"{CONTROL_NAME}/lock"
_FORMAT: Final = 1
_MARKER_BYTES_MAX: Final = 4_096


class RootTaken(Refused):
    """A folder is, holds or lies in another synced folder."""

    code = "root-taken"


class RootBusy(Refused):
    """Another client syncs this folder right now."""

    code = "root-busy"


class RootTooNew(Misconfigured):
    """The control folder was made by a newer version of the program."""

    code = "root-too-new"


class RootUnusable(Misconfigured):
    """A folder cannot be synced: no folder, or not ours to write."""

    code = "root-unusable"


def create_root(path: Path, root_id: str) -> None:
    """Makes a folder a synced one: makes it if it is missing, and puts the marker into it.

    Done already with the same id, it does nothing.

    Args:
        path: Absolute path of the folder.
        root_id: An id that no other root has; hexadecimal.

    Raises:
        RootTaken: It is a root with another id, or lies in one.
        RootUnusable: It cannot be made or written.
        RootTooNew: See there.
    """
    for above in path.parents:
        if (above / _MARKER).exists():
            raise RootTaken(
                f"{path} lies in the synced folder {above}",
                advice="It is synced with that one; or choose a folder outside it.",
            )
    try:
        path.mkdir(parents=True, exist_ok=True)
        known = read_root_id(path)
        if known is None:
            _write_marker(path, root_id)
            return
    except OSError as error:
        raise RootUnusable(
            f"{path} cannot be synced: {error.strerror}",
            advice="Choose a folder that this user may write.",
        ) from error
    if known != root_id:
        raise RootTaken(
            f"{path} is a synced folder already, under another id",
            advice=f"If it was copied from elsewhere, remove {path / CONTROL_NAME} and try again.",
        )


def read_root_id(path: Path) -> str | None:
    """Returns the id in a folder's marker, or None if it has none.

    Raises:
        RootTooNew: A newer program made the marker.
        RootUnusable: It cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            return _read_marker(fd)
        finally:
            os.close(fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RootUnusable(
            f"{path} cannot be read: {error.strerror}", advice="Correct its permissions."
        ) from error


def drop_marker(path: Path, root_id: str) -> None:
    """Makes a synced folder an ordinary one, if it still is the one with this id.

    Raises:
        RootTooNew, RootUnusable: See there.
    """
    if read_root_id(path) != root_id:
        return
    try:
        (path / _MARKER).unlink(missing_ok=True)
    except OSError as error:
        raise RootUnusable(
            f"{path / _MARKER} cannot be removed: {error.strerror}",
            advice="Correct the permissions of the control folder.",
        ) from error


def check_root(path: Path, root_fd: int, root_id: str) -> None:
    """Raises ``RootGone`` unless ``path`` still leads to the open root with its marker."""
    why = _find_why_gone(path, root_fd, root_id)
    if why:
        raise RootGone(
            f"{path} {why}; nothing was taken for deleted",
            advice="Mount or move it back; or, to begin anew by merging both sides: drystone forget"
            " DIR, then drystone sync DIR.",
        )


class RootLock:
    """Held by the one client that syncs a folder; the system releases it with the process."""

    def __init__(self, path: Path) -> None:
        """Takes the lock.

        Raises:
            RootBusy: Another client has it.
            RootUnusable: The control folder cannot be written.
        """
        try:
            self._fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RootUnusable(
                f"{path / _LOCK} cannot be opened: {error.strerror}",
                advice="Correct the permissions of the control folder.",
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            self._fd = -1
            raise RootBusy(
                f"another client (process {holder or 'unknown'}) syncs {path} right now",
                advice="Use that one (drystone status), or stop it first (drystone stop).",
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Gives the lock back. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _find_why_gone(path: Path, root_fd: int, root_id: str) -> str:
    try:
        there, held = os.stat(path), os.fstat(root_fd)
        if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            return "is another folder than the one that was synced"
        found = _read_marker(root_fd)
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    if found is None:
        return "has lost its marker"
    return "" if found == root_id else "holds the marker of another synced folder"


def _read_marker(root_fd: int) -> str | None:
    """Returns the id in the marker; None if there is none. Raises ``OSError``, ``RootTooNew``."""
    try:
        fd = os.open(_MARKER, OPEN_READ, dir_fd=root_fd)
    except FileNotFoundError:
        return None
    try:
        text = os.read(fd, _MARKER_BYTES_MAX)
    finally:
        os.close(fd)
    try:
        marker = json.loads(text)
        version, root_id = int(marker["format"]), str(marker["root"])
    except (ValueError, TypeError, KeyError):
        return None
    if version > _FORMAT:
        raise RootTooNew(
            f"the control folder was made by a newer version of Drystone (format {version}, this"
            f" program knows {_FORMAT})",
            advice="Use the newer version for this folder.",
        )
    return root_id


def _write_marker(path: Path, root_id: str) -> None:
    control = path / CONTROL_NAME
    with suppress(FileExistsError):
        control.mkdir(mode=0o700)
    staged = control / "marker.new"
    marker = {
        "format": _FORMAT,
        "root": root_id,
        "note": "Proves that this folder is the one that Drystone syncs. Leave it here.",
    }
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(marker, indent=2).encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(staged, path / _MARKER)
