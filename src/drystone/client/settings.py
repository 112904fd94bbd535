# SPDX-License-Identifier: Apache-2.0
"""Settings of a device: where its configuration lives and what it is called. Read only here."""

import os
import re
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import platformdirs

from drystone.core.errors import Misconfigured
from drystone.core.limits import DEVICE_NAME_CHARS_MAX

CONFIG_DIR_VARIABLE: Final = "DRYSTONE_CONFIG_DIR"
DEVICE_NAME_VARIABLE: Final = "DRYSTONE_DEVICE_NAME"
TRANSFER_VARIABLE: Final = "DRYSTONE_TRANSFER"
TRANSFERS: Final = ("auto", "relay")
SOCKET_PATH_BYTES_MAX: Final = 100
"""Unix socket paths end at 107 bytes on Linux and at 103 elsewhere."""


class BadDeviceName(Misconfigured):
    """A device name is empty or too long."""

    code = "bad-device-name"


class BadTransfer(Misconfigured):
    """``DRYSTONE_TRANSFER`` says something else than it may."""

    code = "bad-transfer"


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """What a device needs to know before it opens anything.

    Attributes:
        config_dir: Folder (0700) of credentials, the list of roots and the daemon's socket.
        device_name: What conflicted copies and the list of devices call this device.
        boot_id: Changes whenever the machine starts anew; empty where that is not known.
        transfer: ``auto``: large blocks go straight to the server's object store where the server
            offers that; ``relay``: all goes through the server.
    """

    config_dir: Path
    device_name: str
    boot_id: str
    transfer: str = "auto"

    @property
    def credentials_path(self) -> Path:
        """Where the device's token is kept, 0600."""
        return self.config_dir / "credentials.json"

    @property
    def roots_path(self) -> Path:
        """Where the list of synced folders is kept."""
        return self.config_dir / "roots.json"

    @property
    def log_path(self) -> Path:
        """Where a daemon in the background writes what it has to say."""
        return self.config_dir / "daemon.log"

    @property
    def socket_path(self) -> Path:
        """Where the daemon listens; below the temporary folder if the path were too long."""
        path = self.config_dir / "daemon.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            return path
        digest = blake2b(os.fsencode(self.config_dir), digest_size=8).hexdigest()
        name = f"drystone-{os.getuid()}-{digest}"
        path = Path(tempfile.gettempdir()) / name / "daemon.sock"
        # The folder for temporary files may itself be deep; this one is short everywhere.
        is_fit = len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX
        return path if is_fit else Path("/tmp") / name / "daemon.sock"  # noqa: S108  0700 below it


def load_settings(environment: Mapping[str, str] | None = None) -> ClientSettings:
    """Returns this device's settings from the environment and the system's defaults.

    Raises:
        BadDeviceName, BadTransfer: ``DRYSTONE_DEVICE_NAME`` or ``DRYSTONE_TRANSFER`` is unusable.
    """
    values = os.environ if environment is None else environment  # noqa: TID251 (the one door)
    chosen = values.get(CONFIG_DIR_VARIABLE, "")
    config_dir = Path(chosen) if chosen else platformdirs.user_config_path("drystone")
    name = values.get(DEVICE_NAME_VARIABLE, "")
    return ClientSettings(
        config_dir=config_dir.absolute(),
        device_name=check_device_name(name) if name else _default_device_name(),
        boot_id=_read_boot_id(),
        transfer=_check_transfer(values.get(TRANSFER_VARIABLE, "") or "auto"),
    )


def check_device_name(name: str) -> str:
    """Returns a device name without surrounding blanks.

    Raises:
        BadDeviceName: It is empty, too long, or holds characters that do not print.
    """
    name = name.strip()
    if not name or len(name) > DEVICE_NAME_CHARS_MAX or not name.isprintable():
        raise BadDeviceName(
            f"{name[:80]!r} cannot be a device's name: 1 to {DEVICE_NAME_CHARS_MAX} printable "
            "characters are needed",
            advice="Choose another one with --device-name or DRYSTONE_DEVICE_NAME.",
        )
    return name


def _check_transfer(text: str) -> str:
    if text not in TRANSFERS:
        raise BadTransfer(
            f"{TRANSFER_VARIABLE} is {text[:80]!r}",
            advice=f"It takes {' or '.join(TRANSFERS)}.",
        )
    return text


def _default_device_name() -> str:
    host = socket.gethostname().split(".")[0]
    return re.sub(r"[^\w .-]", "-", host)[:DEVICE_NAME_CHARS_MAX] or "device"


def _read_boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
