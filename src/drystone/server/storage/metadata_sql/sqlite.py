# SPDX-License-Identifier: Apache-2.0
"""SQLite: connections and transactions. One connection writes, a few read beside it.

WAL lets readers and the writer not wait for each other; ``synchronous`` FULL makes a commit
durable when it returns. ``BEGIN IMMEDIATE`` takes the write lock before anything is read, so a
work's preconditions stay true to its end, in whichever process it runs.
"""

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Final, TypeVar

from drystone.server.ports.metadata import Unit
from drystone.server.storage.metadata_sql.migrations import (
    Migration,
    is_beyond,
    load_migrations,
    migrate,
    read_version,
)
from drystone.server.storage.metadata_sql.trouble import (
    DatabaseCorrupt,
    DatabaseTrouble,
    DatabaseUnusable,
    translate,
    translated,
)
from drystone.server.storage.metadata_sql.unit import SqlUnit

T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 10.0
"""How long to wait for a writer in another process; within ours a lock makes works queue."""

WRITER_CACHE_KIB: Final = 48 * 1024
READER_CACHE_KIB: Final = 8 * 1024
"""Page caches. The writer's holds the inner pages of the block index of some ten million blocks;
readers share the operating system's."""

READERS_KEPT_MAX: Final = 8
"""Idle reading connections that stay open. More are opened when more read at once."""

CHECKPOINT_PAGES: Final = 8_000
"""Pages of 4 KiB in the write-ahead log before it is carried over: 32 MB. New blocks land all
over their index, so the same pages are in the log many times, and are carried over once: with
1,000 pages indexing 160,000 blocks wrote 296 MB to the disk, with 8,000 190 MB."""

LOG_BYTES_KEPT_MAX: Final = 64 * 1024 * 1024
"""To what the file of the write-ahead log is cut down after a burst."""


class SqliteMetadata:
    """Implements the port ``Metadata`` on one file. A work must not begin another one."""

    writes_at_once: Final = 1
    has_copy: Final = False

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        migrations: Sequence[Migration] | None = None,
        run: str | None = None,
    ) -> None:
        """Opens the database, makes it if there is none, and brings it up to date.

        Args:
            path: Of the file; its folder exists.
            migrations: Others than those of the program, for tests.
            run: The same in all processes that serve the database together, and never again:
                nobody puts another file in its place while they do. Made up if missing.

        Raises:
            SchemaNewer: It was written by a later version; it is left as it is.
            DatabaseUnusable: It cannot be opened there, or is something else.
            DatabaseCorrupt: It is damaged.
        """
        self._path = fspath(path)
        self._run = secrets.token_hex(16) if run is None else run
        self._turns = contextlib.nullcontext() if run is None else _Turns(f"{self._path}-turn")
        self._write_lock = threading.Lock()
        self._readers_lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._is_closed = False
        self._writer: sqlite3.Connection | None = self._open_writer()
        self._migrations = load_migrations() if migrations is None else migrations
        try:
            with translated():
                migrate(self._writer, self._path, self._migrations)
        except BaseException:
            self.close()
            raise

    def write(self, work: Callable[[Unit], T]) -> T:
        with self._writing() as connection:
            return work(SqlUnit(connection, self._run))

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        with self._writing() as connection:
            return [_run_in_savepoint(connection, work, self._run) for work in works]

    def read(self, work: Callable[[Unit], T]) -> T:
        with self._reading() as connection:
            try:
                return work(SqlUnit(connection, self._run))
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
                    raise AssertionError("a reading work has written") from error
                raise

    def schema_version(self) -> tuple[int, int]:
        """Returns the version of the database's schema, and the one that this program brings."""
        with self._reading() as connection:
            return read_version(connection, self._path), len(self._migrations)

    def examine(self, *, is_deep: bool) -> list[str]:
        """Returns what SQLite finds wrong with the file's structure; ``server.ports.survey``."""
        with self._reading() as connection:
            words = "integrity_check" if is_deep else "quick_check"
            found = [str(row[0]) for row in connection.execute(f"PRAGMA {words}")]
            strays = connection.execute("PRAGMA foreign_key_check").fetchmany(100)
        return [line for line in found if line != "ok"] + [
            f"a row of {table} refers to one of {other} that there is not"
            for table, _, other, _ in strays
        ]

    def is_outgrown(self) -> bool:
        with self._reading() as connection:
            return is_beyond(connection, self._migrations)

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        return self.read(work)

    def close(self) -> None:
        """Ends all connections once the work under way is done; idempotent.

        Reads under way end theirs themselves.
        """
        with self._write_lock, self._readers_lock:
            self._is_closed = True
            for connection in self._readers:
                connection.close()
            self._readers.clear()
            # The last one to close carries the write-ahead log over and removes it.
            self._drop_writer()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yields the writing connection in a transaction, which is durable at the end."""
        with self._write_lock, self._turns:
            assert not self._is_closed, "the metadata was closed"
            if self._writer is None:
                self._writer = self._open_writer()
            connection = self._writer
            try:
                with translated(), _transaction(connection, "BEGIN IMMEDIATE"):
                    yield connection
            except DatabaseTrouble:
                # After a failed flush nobody knows what a connection's pages are worth.
                self._drop_writer()
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Yields a reading connection in a transaction: one consistent state."""
        with self._readers_lock:
            assert not self._is_closed, "the metadata was closed"
            known = self._readers.pop() if self._readers else None
        connection = known or self._open_reader()
        is_sound = True
        try:
            with translated(), _transaction(connection, "BEGIN"):
                yield connection
        except (DatabaseCorrupt, DatabaseTrouble):
            is_sound = False
            raise
        finally:
            self._give_back(connection, is_sound=is_sound)

    def _give_back(self, connection: sqlite3.Connection, *, is_sound: bool) -> None:
        with self._readers_lock:
            if is_sound and not self._is_closed and len(self._readers) < READERS_KEPT_MAX:
                self._readers.append(connection)
                return
        connection.close()

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open_writer(self) -> sqlite3.Connection:
        with self._opening() as connection:
            (mode,) = _set_log_mode(connection)
            if mode != "wal":
                what = "its filesystem does not support a write-ahead log (is it a network's?)"
                raise DatabaseUnusable(self._path, what)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = FAST")
            connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_KEPT_MAX}")
            # What cannot be written is to be known at the start.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return connection

    def _open_reader(self) -> sqlite3.Connection:
        with self._opening() as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
            return connection

    @contextmanager
    def _opening(self) -> Iterator[sqlite3.Connection]:
        """Yields a new connection; closes it if it turns out to be of no use."""
        try:
            connection = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise DatabaseUnusable(self._path, str(error)) from error
        try:
            yield connection
        except sqlite3.Error as error:
            connection.close()
            trouble = translate(error)
            if isinstance(trouble, DatabaseTrouble):
                trouble = DatabaseUnusable(self._path, str(error))
            raise trouble from error
        except BaseException:
            connection.close()
            raise


def _set_log_mode(connection: sqlite3.Connection) -> tuple[str]:
    """Turns the write-ahead log on; returns the mode it is in then."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            mode: tuple[str] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # Two that turn it on at once do not wait for each other by themselves: the one that
            # would have to wait while it holds a lock is told that it is busy.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return mode


class _Turns:
    """Whose turn it is to write, among processes that all write much. One thread at a time.

    SQLite's own waiting looks again after ever longer naps, so that a process may be passed over
    for seconds by others that come at the right moment. The kernel wakes whoever waits, and lets
    go when a process ends. It is only about turns: what is right is up to ``BEGIN IMMEDIATE``.

    Args:
        path: Of the file by which they know each other; made if it is missing, opened with the
            first turn.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError as error:
            raise DatabaseTrouble(f"{self._path}: {error.strerror}") from error

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Inside it, all is done or nothing."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have undone it already (a full disk).
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _run_in_savepoint(
    connection: sqlite3.Connection, work: Callable[[Unit], object], run: str
) -> object:
    """Returns what ``work`` returned, or what it raised; then it alone is undone."""
    connection.execute("SAVEPOINT work")
    try:
        result = work(SqlUnit(connection, run))
    except Exception as error:
        # SQLite undid the whole transaction (a full disk): the group is lost together.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return translate(error) if isinstance(error, sqlite3.Error) else error
    connection.execute("RELEASE work")
    return result
