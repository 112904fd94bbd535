# SPDX-License-Identifier: Apache-2.0
"""Object stores on loopback, for tests: moto's server for S3, and one that checks signatures."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from drystone.testing.brokers.process import find_free_port

_START_S_MAX: Final = 120.0

S3_CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

_ANY_SIGNATURE: Final = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"
}
"""moto does not look whether it is right, but there has to be one."""


class S3Server:
    """moto's S3 in a process of its own; as a context manager, stopped at its end.

    It checks conditions and every step of a multipart upload, and no signatures.

    Args:
        folder: For its log, and what it keeps.
    """

    _environment: Mapping[str, str] = MappingProxyType({})

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def make_bucket(self) -> str:
        """Makes an empty bucket and returns its name."""
        name = f"bucket-{os.getpid()}-{next(self._names)}"
        self._put_bucket(name)
        return name

    def list_names(self, bucket: str) -> list[str]:
        """Returns what lies in a bucket, whatever its name."""
        with urllib.request.urlopen(f"{self.endpoint}/{bucket}?list-type=2", timeout=120) as page:  # noqa: S310
            return re.findall(r"<Key>([^<]*)</Key>", page.read().decode())

    def head(self, bucket: str, name: str) -> dict[str, str]:
        """Returns what the store tells of an object, names in small letters."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.endpoint}/{bucket}/{name}", method="HEAD", headers=_ANY_SIGNATURE
        )
        with urllib.request.urlopen(request, timeout=120) as found:  # noqa: S310
            return {key.lower(): value for key, value in found.headers.items()}

    def delete(self, bucket: str, name: str) -> None:
        """Removes an object, without anybody's knowing."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.endpoint}/{bucket}/{name}", method="DELETE", headers=_ANY_SIGNATURE
        )
        urllib.request.urlopen(request, timeout=120).close()  # noqa: S310

    def _put_bucket(self, name: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")  # noqa: S310
        urllib.request.urlopen(request, timeout=120).close()  # noqa: S310  our own server

    def _command(self) -> list[str]:
        """Returns what starts it on its port."""
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]

    def url(self, bucket: str, folder: str = "") -> str:
        """Returns the address of a place in it, as the settings take it."""
        return f"s3://{bucket}/{folder}?endpoint={self.endpoint}&allow_http=true"

    def start(self) -> Self:
        """Starts it, on the port it had before if it had one, and returns once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._port = self._port or find_free_port()
        with (self.folder / "s3.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the package's own program
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},  # noqa: TID251  handed on, not read
            )
        deadline = time.monotonic() + _START_S_MAX
        while True:
            try:
                urllib.request.urlopen(self.endpoint, timeout=2).close()  # noqa: S310
            except urllib.error.HTTPError:
                return self  # it answers: that it wants to be asked with a signature
            except OSError:
                said = (self.folder / "s3.log").read_text(errors="replace")[-2000:]
                assert self._process.poll() is None, f"the store ended: {said}"
                assert time.monotonic() < deadline, f"the store does not answer: {said}"
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        """Ends it, with all that it held; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class StrictS3Server(S3Server):
    """nanio: it checks every signature, and refuses what differs from what was signed.

    It knows no conditions (a put overwrites) and no encryption, and believes checksums.
    """

    _environment = MappingProxyType(
        {
            "NANIO_ACCESS_KEY": S3_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "NANIO_SECRET_KEY": S3_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
    )

    def _command(self) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(self._port)]
        kept = ["--data-dir", str(self.folder / "kept"), "--log-level", "warning"]
        return [sys.executable, "-m", "nanio", "serve", *where, *kept, "--no-access-log"]

    def url(self, bucket: str, folder: str = "") -> str:
        return f"{super().url(bucket, folder)}&encryption=none"

    def _put_bucket(self, name: str) -> None:
        # A bucket is a folder.
        (self.folder / "kept" / name).mkdir(parents=True)
