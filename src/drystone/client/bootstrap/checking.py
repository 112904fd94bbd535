# SPDX-License-Identifier: Apache-2.0
"""Checking: what stands between this device and a sync, told before it hurts (``doctor``)."""

import asyncio
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from drystone.client.adapters.credentials import find_credential, load_credentials
from drystone.client.adapters.disk import read_root_id
from drystone.client.adapters.remote_http import HttpSession, read_account
from drystone.client.adapters.roots import RootLine, load_roots
from drystone.client.bootstrap.inspecting import list_problems
from drystone.client.control.client import DaemonAway, ask_daemon
from drystone.client.settings import ClientSettings
from drystone.core.errors import DrystoneError, Unavailable

_ROOM_BYTES_MIN: Final = 200 * 1024 * 1024
_WATCHES_MIN: Final = 65_536
_WATCHES_PATH: Final = Path("/proc/sys/fs/inotify/max_user_watches")


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        subject: What.
        verdict: ``ok``, ``warning`` or ``trouble``.
        message: What was found.
        advice: What to do, unless it is fine.
    """

    subject: str
    verdict: str
    message: str
    advice: str = ""


def check_device(settings: ClientSettings) -> list[Finding]:
    """Returns what was found about this device, its servers and its synced folders."""
    findings = [_check_daemon(settings), *_check_watches()]
    try:
        credentials = load_credentials(settings.credentials_path)
        roots = load_roots(settings.roots_path)
    except DrystoneError as error:
        return [*findings, trouble("configuration", error)]
    if not credentials:
        advice = "Sign in first: drystone login URL"
        findings.append(Finding("sign-in", "trouble", "this device is signed in nowhere", advice))
    findings += [_check_server(settings, credential.url) for credential in credentials]
    for root in roots:
        findings += _check_root(settings, root)
    return findings


def _check_daemon(settings: ClientSettings) -> Finding:
    try:
        answer = ask_daemon(settings.socket_path, "status", brief=True)
    except DaemonAway as error:
        return Finding("daemon", "warning", error.message, error.advice)
    except DrystoneError as error:
        return trouble("daemon", error)
    return Finding("daemon", "ok", f"runs as process {answer['pid']}")


def _check_watches() -> list[Finding]:
    try:
        count = int(_WATCHES_PATH.read_text("ascii"))
    except (OSError, ValueError):
        return []
    if count >= _WATCHES_MIN:
        return [Finding("watching", "ok", f"up to {count} folders can be watched")]
    return [
        Finding(
            "watching",
            "warning",
            f"only {count} folders can be watched; in larger trees changes are seen by scans only",
            "Raise fs.inotify.max_user_watches with sysctl.",
        )
    ]


def _check_server(settings: ClientSettings, url: str) -> Finding:
    credential = find_credential(settings.credentials_path, url)

    async def ask() -> str:
        session = HttpSession(credential.url, credential.token)
        try:
            return (await read_account(session)).account
        finally:
            await session.close()

    try:
        account = asyncio.run(ask())
    except DrystoneError as error:
        return trouble(f"server {url}", error)
    return Finding(f"server {url}", "ok", f"answers; signed in as {account}")


def _check_root(settings: ClientSettings, root: RootLine) -> list[Finding]:
    subject = f"folder {root.path}"
    try:
        found = read_root_id(Path(root.path))
    except DrystoneError as error:
        return [trouble(subject, error)]
    if found != root.root_id:
        told = "is not there" if found is None else "is not the folder that was synced"
        advice = "Mount or move it back, or begin anew with: drystone sync DIR"
        return [Finding(subject, "trouble", f"it {told}", advice)]
    findings = [Finding(subject, "ok", f"is synced with {root.remote_path} at {root.url}")]
    room_bytes = shutil.disk_usage(root.path).free
    if room_bytes < _ROOM_BYTES_MIN:
        mib = room_bytes // (1024 * 1024)
        findings.append(
            Finding(subject, "warning", f"its disk has only {mib} MiB left", "Make room.")
        )
    try:
        find_credential(settings.credentials_path, root.url)
        problems = [row for row in list_problems(settings, Path(root.path)) if not row.is_notice]
    except DrystoneError as error:
        return [*findings, trouble(subject, error)]
    if problems:
        count = len(problems)
        told = "one path in it is" if count == 1 else f"{count:,} paths in it are"
        findings.append(
            Finding(subject, "trouble", f"{told} in trouble", "See which: drystone problems")
        )
    return findings


def trouble(subject: str, error: DrystoneError) -> Finding:
    """Returns what an error says about something that was looked at."""
    verdict = "warning" if isinstance(error, Unavailable) else "trouble"
    return Finding(subject, verdict, error.message, error.advice)
