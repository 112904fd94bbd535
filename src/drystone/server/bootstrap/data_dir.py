# SPDX-License-Identifier: Apache-2.0
"""The data directory: made on the first start, held by one server, refused if it is newer.

Servers whose metadata are elsewhere may hold one together.

What lies in it: ``format`` (this layout's number), ``keys/``, the database, the objects,
``server.lock`` (held while a server runs), ``setup.lock`` (held while something is made or
migrated), ``serving.json`` (where the running server listens), ``accounts.stamp`` (longer after
every admin command that may end a token) and ``backup.stamp`` (of when the newest backup is). An
operator may put ``drystone.toml`` there.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from drystone.core.errors import Misconfigured

FORMAT: Final = 2
"""1: objects are never sealed. 2: they may be, so a version that knows only 1 must not take sealed
packs for damaged ones."""

KEY_BYTES: Final = 32
RESTORING: Final = "restoring"
"""Stands in a data directory from the beginning of a restore to its end, and tells which."""

SETUP_WAIT_S: Final = 30.0
"""Longest wait for another process that makes or migrates the same directory."""

_FORMAT_LINE: Final = "drystone data directory, format "
_MAY_STAND_BEFORE: Final = {"drystone.toml", "lost+found", "setup.lock", "setup.new"}


class UnusableHome(Misconfigured):
    """The data directory cannot be made, read or written, or is something else."""

    code = "unusable-data-dir"


class NewerHome(Misconfigured):
    """The data directory was made by a newer version, which this one cannot read."""

    code = "newer-data-dir"


class UnfinishedRestore(Misconfigured):
    """A restore into the data directory was interrupted; a server must not start on half of it."""

    code = "restore-unfinished"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"a restore into {path} was interrupted: not everything is there",
            advice="Run the same `drystone admin restore` again, or remove the directory.",
        )


class HomeInUse(Misconfigured):
    """Another server runs on this data directory."""

    code = "data-dir-in-use"


class NoServerThere(Misconfigured):
    """A command is about what a server keeps, and there is no data directory of one."""

    code = "no-data-dir"


class ServerHome:
    """An opened data directory. ``close`` lets go of it.

    Attributes:
        path: The directory, absolute.
        is_new: True if this call made it.
    """

    def __init__(self, path: Path, *, is_new: bool) -> None:
        self.path = path
        self.is_new = is_new
        self._lock_fd: int | None = None
        self._stamp_path = path / "accounts.stamp"

    @property
    def database_path(self) -> Path:
        """Where the metadata lie."""
        return self.path / "metadata.db"

    @property
    def objects_path(self) -> Path:
        """Where the packs lie."""
        return self.path / "objects"

    @property
    def master_key_path(self) -> Path:
        """Where the master key of sealed objects lies, unless the settings name another place."""
        return self.path / "keys" / "master.key"

    def raise_format(self) -> None:
        """Notes that versions which know only older formats must not read it any more."""
        mark = self.path / "format"
        with _translated(mark):
            line = f"{_FORMAT_LINE}{FORMAT}\n"
            if mark.read_text(encoding="ascii") != line:
                replace_durably(mark, line.encode("ascii"))

    def hold(self, *, is_shared: bool = False) -> None:
        """Keeps every other server away until ``close``; those that share it only from others.

        The kernel lets go of the lock when the process ends, however it ends.

        Raises:
            HomeInUse: Another server holds it.
        """
        fd = _open_lock(self.path / "server.lock")
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(fd, 100, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise HomeInUse(
                f"another server (process {other or 'unknown'}) uses {self.path}",
                advice="Stop it first, or give this one a data directory of its own.",
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        self._lock_fd = fd

    def join(self, lock_fd: int) -> None:
        """Holds it together with whoever held it and handed on ``lock_fd`` (``share``)."""
        self._lock_fd = lock_fd

    def share(self) -> int:
        """Returns a descriptor that holds it as well, until it is closed; for another process."""
        assert self._lock_fd is not None, "the data directory is not held"
        return os.dup(self._lock_fd)

    @contextmanager
    def contending(self, name: str) -> Iterator[Callable[[], bool]]:
        """Yields what tells whether this process may do what one of several on the directory is
        to do: it is asked again and again, and stays true until the end. Cost: a system call.
        """
        fd = _open_lock(self.path / f"{name}.lock")

        def has_turn() -> bool:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            yield has_turn
        finally:
            os.close(fd)

    def load_key(self, name: str) -> bytes:
        """Returns the secret key of this name; makes it, for the owner only, the first time.

        Raises:
            UnusableHome: The file does not hold a key.
        """
        path = self._key_path(name)
        with _translated(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                write_new(path, secrets.token_hex(KEY_BYTES).encode("ascii") + b"\n")
            text = path.read_text(encoding="ascii", errors="replace").strip()
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise UnusableHome(
                f"{path} does not hold a key of {KEY_BYTES} bytes in hexadecimal",
                advice="Bring it back from a backup, or remove it to have a new one made.",
            )
        return key

    def has_key(self, name: str) -> bool:
        """Tells whether there is a secret key of this name."""
        return self._key_path(name).exists()

    def find_stamp(self) -> Hashable:
        """Returns what differs after ``tell_server``. Cost: one stat."""
        try:
            stat = self._stamp_path.stat()
        except OSError:
            return None
        return stat.st_size

    def tell_server(self) -> None:
        """Tells a running server that accounts or devices have changed."""
        # A byte more each time: the file's times are too coarse to tell two changes apart.
        with _translated(self._stamp_path), self._stamp_path.open("ab") as file:
            file.write(b".")

    def note_serving(self, url: str) -> None:
        """Writes down where the server listens, for commands and tests on this machine."""
        path = self.path / "serving.json"
        with _translated(path):
            fresh = path.with_name("serving.json.new")
            fresh.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
            fresh.replace(path)

    def note_backup(self, made_s: int) -> None:
        """Writes down of when the newest backup is that was made of this server, UTC seconds.

        A note for whoever watches: that it cannot be written is no trouble.
        """
        path = self.path / "backup.stamp"
        with suppress(OSError):
            fresh = path.with_name("backup.stamp.new")
            fresh.write_text(f"{made_s}\n", encoding="ascii")
            fresh.replace(path)

    def find_backup_s(self) -> int | None:
        """Returns that instant; None if no backup was made from here yet."""
        try:
            return int((self.path / "backup.stamp").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """Lets go of the directory. Idempotent."""
        if self._lock_fd is not None:
            serving = find_serving(self.path)
            if serving is not None and serving.pid == os.getpid():
                with suppress(OSError):
                    (self.path / "serving.json").unlink(missing_ok=True)
            os.close(self._lock_fd)
            self._lock_fd = None

    def _key_path(self, name: str) -> Path:
        return self.path / "keys" / f"{name}.key"


@contextmanager
def opened_data_dir(path: Path, *, may_be_unfinished: bool = False) -> Iterator[ServerHome]:
    """Opens a data directory and keeps other processes from making or migrating it meanwhile.

    The context is for what must be done by one process at a time: making, migrating, opening.
    The ``ServerHome`` outlives it.

    Args:
        path: The directory; made if it is missing.
        may_be_unfinished: For whoever finishes a restore.

    Raises:
        UnusableHome: It cannot be made or written, or holds something else.
        NewerHome: It is of a newer version.
        UnfinishedRestore: A restore into it was interrupted.
    """
    with _translated(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _setup_lock(path):
        with _translated(path):
            is_new = _check_format(path)
            if not may_be_unfinished and (path / RESTORING).exists():
                raise UnfinishedRestore(path)
        yield ServerHome(path, is_new=is_new)


def require_data_dir(path: Path) -> None:
    """Raises ``NoServerThere`` unless there is a data directory: none is made for a question."""
    with _translated(path):
        is_there = (path / "format").exists()
    if not is_there:
        raise NoServerThere(
            f"{path} is not the data directory of a server", advice="Name it with --data-dir."
        )


class Serving(NamedTuple):
    """Where a server listens, and which process is to be asked to stop."""

    url: str
    pid: int


def find_serving(path: Path) -> Serving | None:
    """Returns where the last server that was started on a data directory listens; None if none
    has said so.
    """
    try:
        told = json.loads((path / "serving.json").read_text(encoding="utf-8"))
        return Serving(str(told["url"]), int(told["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_serving_url(path: Path) -> str | None:
    """Returns where the server of a data directory listens; None if none has said so."""
    serving = find_serving(path)
    return None if serving is None else serving.url


def _check_format(path: Path) -> bool:
    """Returns True if the directory was empty and is now a data directory."""
    mark = path / "format"
    if not mark.exists():
        strangers = sorted({item.name for item in path.iterdir()} - _MAY_STAND_BEFORE)
        if strangers:
            raise UnusableHome(
                f"{path} is not a data directory and not empty: it holds {strangers[0]!r}",
                advice="Choose an empty or a new folder with --data-dir.",
            )
        try:
            path.chmod(0o700)
        except PermissionError as error:
            raise UnusableHome(
                f"{path} belongs to another user and cannot be closed to others",
                advice=f"Name a folder in it, such as {path / 'data'}: it is made, for this user"
                " alone. So it is with volumes that are made for a container.",
            ) from error
        write_new(mark, f"{_FORMAT_LINE}{FORMAT}\n".encode("ascii"))
        return True
    text = mark.read_text(encoding="ascii", errors="replace").strip()
    number = text.removeprefix(_FORMAT_LINE)
    if not text.startswith(_FORMAT_LINE) or not number.isdecimal():
        raise UnusableHome(
            f"{mark} does not say what it should", advice="Bring it back from a backup."
        )
    if int(number) > FORMAT:
        raise NewerHome(
            f"{path} has format {number}; this version of Drystone reads up to {FORMAT}",
            advice="Install the newer version again. Nothing was changed.",
        )
    return False


@contextmanager
def _setup_lock(path: Path) -> Iterator[None]:
    """Holds ``setup.lock``, waiting for another process up to ``SETUP_WAIT_S``."""
    fd = _open_lock(path / "setup.lock")
    try:
        deadline = time.monotonic() + SETUP_WAIT_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise HomeInUse(
                        f"another process is preparing the data directory {path}",
                        advice="Wait until it has ended, then try again.",
                    ) from error
                time.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _open_lock(path: Path) -> int:
    with _translated(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def write_new(path: Path, content: bytes) -> None:
    """Writes a file, for its owner only, that is there whole and durable, or not at all.

    Raises:
        FileExistsError: There is one already; it stays as it is.
        OSError: It cannot be written.
    """
    fresh = _write_beside(path, content)
    try:
        os.link(fresh, path)  # Unlike a rename it replaces nothing.
    finally:
        fresh.unlink()
    _flush_folder(path.parent)


def replace_durably(path: Path, content: bytes) -> None:
    """Writes a file, for its owner only, in the place of what is there: the old one or the new
    one is there, whole, whatever happens.

    Raises:
        OSError: It cannot be written. The old one stays.
    """
    fresh = _write_beside(path, content)
    try:
        fresh.replace(path)
    except OSError:
        fresh.unlink()
        raise
    _flush_folder(path.parent)


def _write_beside(path: Path, content: bytes) -> Path:
    # A crash may leave it behind; in the data directory itself it must not look like a stranger.
    fresh = path.with_name("setup.new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        fresh.unlink()
        raise
    return fresh


def _flush_folder(path: Path) -> None:
    folder_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns the operating system's errors into ``UnusableHome``."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise UnusableHome(
            f"the data directory cannot be used: {where}: {error.strerror or error}",
            advice="Check that this user may write there and that the disk has room.",
        ) from error
