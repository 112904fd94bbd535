# SPDX-License-Identifier: Apache-2.0
"""Ignoring: what ignore rules leave out, what others would, and adding some."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drystone.client.bootstrap.inspecting import Opened, with_opened
from drystone.client.bootstrap.roots import get_root
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.loop.parts import World
from drystone.client.settings import ClientSettings
from drystone.client.steps.scan import compare_rules
from drystone.core.errors import Refused
from drystone.core.limits import SMALL_FILE_BYTES_MAX
from drystone.core.names.ignore import IGNORE_FILE_NAME


class IgnoreFileUnfit(Refused):
    """A file of ignore rules cannot be read or written, or is too large to be one."""

    code = "ignore-file-unfit"


def check_rules(settings: ClientSettings, directory: Path, text: str | None) -> dict[str, Any]:
    """Returns what another ignore file in a folder would change. Nothing is changed.

    Keys: ``file`` (its path), ``dropped``, ``taken_in``, ``left_out``, ``kept`` (each with
    ``files_count``, ``folders_count``, ``size_bytes`` and ``samples``) and ``faults`` (lines
    that are no rules), as ``client.steps.scan.Comparison`` explains.

    Args:
        settings: Of this device.
        directory: A folder in a synced folder.
        text: What its ignore file would hold; None: as it is now.

    Raises:
        NotARoot: The folder is in no synced folder of this device.
        IgnoreFileUnfit: It is no folder, or the text is too long.
    """
    directory = _check_folder(directory)
    root = get_root(settings, directory)
    if text is not None and len(text.encode(errors="replace")) > SMALL_FILE_BYTES_MAX:
        raise IgnoreFileUnfit(
            f"an ignore file may have {SMALL_FILE_BYTES_MAX:,} bytes, and this one has more",
            advice="Put rules into the folders for which they are meant.",
        )
    folder = directory.relative_to(root.path).as_posix().removeprefix(".")
    try:
        # A large folder takes a while to be looked through.
        return ask_daemon(
            settings.socket_path, "check-rules", None, folder=root.path, inside=folder, text=text
        )
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    return with_opened(settings, root, lambda opened: check_open(opened, folder, text))


def check_open(opened: Opened | World, folder: str, text: str | None) -> dict[str, Any]:
    """As ``check_rules``, for a folder inside a root that is open; uses its State and disk."""
    found = compare_rules(opened.disk, opened.state, folder, text)
    groups = {
        "dropped": found.dropped,
        "taken_in": found.taken_in,
        "left_out": found.left_out,
        "kept": found.kept,
    }
    return {
        "file": f"{folder}/{IGNORE_FILE_NAME}" if folder else IGNORE_FILE_NAME,
        **{name: asdict(group) for name, group in groups.items()},
        "faults": list(found.faults),
    }


def read_rules_file(path: Path) -> str:
    """Returns what a file of rules holds, to be checked.

    Raises:
        IgnoreFileUnfit: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(SMALL_FILE_BYTES_MAX + 1).decode(errors="replace")
    except OSError as error:
        raise IgnoreFileUnfit(f"{path} cannot be read: {error.strerror}") from error


def extend_rules(directory: Path, patterns: Sequence[str]) -> str:
    """Returns what a folder's ignore file would hold with more rules at its end.

    Raises:
        IgnoreFileUnfit: It cannot be read.
    """
    path = _check_folder(directory) / IGNORE_FILE_NAME
    text = read_rules_file(path) if path.exists() else ""
    return text + _lines_after(text, patterns)


def add_rules(directory: Path, patterns: Sequence[str]) -> Path:
    """Adds rules at the end of a folder's ignore file, which is made if there is none.

    What is in it stays as it is. Returns its path.

    Raises:
        IgnoreFileUnfit: It cannot be written.
    """
    path = _check_folder(directory) / IGNORE_FILE_NAME
    text = read_rules_file(path) if path.exists() else ""
    try:
        # One write at the end: nothing of what is there can be lost by it.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        with open(descriptor, "ab", buffering=0) as file:  # noqa: PTH123  a descriptor
            file.write(_lines_after(text, patterns).encode(errors="surrogateescape"))
    except OSError as error:
        raise IgnoreFileUnfit(f"{path} cannot be written: {error.strerror}") from error
    return path


def _lines_after(text: str, patterns: Sequence[str]) -> str:
    start = "" if not text or text.endswith("\n") else "\n"
    return start + "".join(f"{pattern}\n" for pattern in patterns)


def _check_folder(directory: Path) -> Path:
    directory = directory.expanduser().absolute()
    if not directory.is_dir():
        raise IgnoreFileUnfit(f"{directory} is no folder", advice="Name one with --in DIR.")
    return directory
