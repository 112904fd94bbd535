# SPDX-License-Identifier: Apache-2.0
"""Small private files: readable by their owner only, replaced whole or not at all."""

import os
import tempfile
from pathlib import Path

from drystone.core.errors import Misconfigured


class ConfigUnusable(Misconfigured):
    """The configuration folder or a file in it cannot be read or written."""

    code = "config-unusable"


def read_private(path: Path) -> bytes | None:
    """Returns a file's bytes, or None if there is no such file.

    Raises:
        ConfigUnusable: It is there but cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigUnusable(
            f"cannot read {path}: {error.strerror}",
            advice="Correct its permissions, or name another folder in DRYSTONE_CONFIG_DIR.",
        ) from error


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file atomically and durably; 0600 in a folder of 0700 made if missing.

    Raises:
        ConfigUnusable: It cannot be written; the old file is still whole.
    """
    staged = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).replace(path)
        staged = None
    except OSError as error:
        raise ConfigUnusable(
            f"cannot write {path}: {error.strerror}",
            advice="Make room or correct the folder's permissions, then try again.",
        ) from error
    finally:
        if staged is not None:
            Path(staged).unlink(missing_ok=True)
