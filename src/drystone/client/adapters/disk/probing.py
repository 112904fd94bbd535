# SPDX-License-Identifier: Apache-2.0
"""Probing: what a filesystem can hold, found out by trying, in the control folder.

Asking which filesystem it is would not tell: the same one can be mounted or made in several ways,
and lie behind a network or another system.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from unicodedata import normalize

from drystone.client.adapters.disk.folders import CONTROL_NAME
from drystone.client.adapters.disk.root import RootUnusable
from drystone.client.adapters.disk.system import OPEN_FOLDER, OPEN_NEW
from drystone.client.ports import DiskTraits
from drystone.core.names.standing import ALL_NAMES, NameTraits

_FOLDER: Final = "probe"
_KEPT: Final = "traits"
_KEPT_BYTES_MAX: Final = 65_536

_SUSPECTS: Final = '\\:*?"<>|' + "".join(map(chr, range(1, 32))) + "\x7f"
"""What some system refuses in names."""

_LAST_SUSPECTS: Final = ". "
_COMPOSED: Final = "\u00e9"
_HARD_NAME: Final = f"Aa{_SUSPECTS}{_COMPOSED} ."
"""All of that in one name: whoever holds it as it is can hold every name but ``con``."""

_PLAIN: Final = frozenset({"Aa", _COMPOSED, normalize("NFD", _COMPOSED)})
"""Names that a disk shows as they were given, in some normal form, or not at all."""

_AT_NS: Final = 1_234_567_891_123_456_789
_STEPS_NS: Final = (1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000)
_MODES: Final = (0o600, 0o640)
_REFUSALS: Final = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENOSYS, errno.EOPNOTSUPP})


class _OtherNameError(Exception):
    """A disk shows another name than it was given: both, in this order."""


def probe(control_fd: int, shown: str) -> DiskTraits:
    """Returns what the filesystem of an open control folder can hold.

    What was found is kept there: on a disk that is too full to try anything it is read again.

    Args:
        control_fd: Descriptor of the control folder.
        shown: The synced folder, for people.

    Raises:
        RootUnusable: It shows names otherwise than they were given, so that they could not be
            read back.
        OSError: It could not be tried, and never was.

    Cost: some twenty system calls, on a disk that holds everything.
    """
    try:
        with _folder(control_fd) as fd:
            found = _probe(fd)
    except _OtherNameError as error:
        raise RootUnusable(
            f"{shown} is on a disk that shows {error.args[0]!r} for {error.args[1]!r}: names could"
            " not be told apart there",
            advice="Mount it so that it keeps case and characters of names; or choose a folder on"
            " another disk.",
        ) from error
    except OSError:
        kept = _read_kept(control_fd)
        if kept is None:
            raise
        return kept
    if found != _read_kept(control_fd):
        _keep(control_fd, found)
    return found


def _probe(fd: int) -> DiskTraits:
    names = ALL_NAMES
    if not (_is_held(fd, _HARD_NAME, _HARD_NAME.swapcase()) and _is_held(fd, "con")):
        names = _probe_names(fd)
    with _file(fd, "file") as file_fd:
        os.utime(file_fd, ns=(_AT_NS, _AT_NS))
        found_ns = os.fstat(file_fd).st_mtime_ns
        step_ns = next((s for s in _STEPS_NS if _AT_NS // s * s == found_ns), 1)
        held = []
        for mode in _MODES:
            try:
                os.fchmod(file_fd, mode)
            except OSError as error:
                if not _is_refusal(error):
                    raise
            held.append(os.fstat(file_fd).st_mode & 0o777)
    return DiskTraits(names, held == list(_MODES), _holds_symlinks(fd), step_ns)


def _probe_names(fd: int) -> NameTraits:
    decomposed = normalize("NFD", _COMPOSED)
    stored = _store(fd, _COMPOSED, decomposed)
    stored_other = _store(fd, decomposed, _COMPOSED)
    illegal = {char for char in _SUSPECTS if not _is_held(fd, f"a{char}a")}
    return NameTraits(
        folds_case=not _is_held(fd, "Aa", "aA"),
        folds_forms=stored[1] or stored_other[1],
        changes_forms=stored[0] not in ("", _COMPOSED) or stored_other[0] not in ("", decomposed),
        illegal=frozenset(illegal),
        illegal_last=frozenset(char for char in _LAST_SUSPECTS if not _is_held(fd, f"a{char}")),
        has_devices=not _is_held(fd, "con"),
    )


def _is_held(fd: int, name: str, other: str = "") -> bool:
    """Tells whether a file can have a name, and has not another one, too."""
    found, is_other_found = _store(fd, name, other or f"not {name}")
    return found == name and not is_other_found


def _store(fd: int, name: str, other: str) -> tuple[str, bool]:
    """Makes a file; returns the name it then has, ``""`` if it cannot have it, and whether it is
    found under the other name, too.

    Raises:
        _OtherNameError: It has a name that means something else.
    """
    try:
        with _file(fd, name):
            (found,) = os.listdir(fd)
            if name in _PLAIN and normalize("NFC", found) != normalize("NFC", name):
                raise _OtherNameError(found, name)
            try:
                os.stat(other, dir_fd=fd, follow_symlinks=False)
            except OSError:
                return found, False
            return found, True
    except OSError as error:
        if _is_refusal(error):
            return "", False
        raise


def _is_refusal(error: OSError) -> bool:
    """Tells whether the name was the trouble, and not the disk."""
    return isinstance(error, FileNotFoundError | PermissionError) or error.errno in _REFUSALS


def _holds_symlinks(fd: int) -> bool:
    try:
        os.symlink("nowhere", "link", dir_fd=fd)
    except OSError as error:
        if _is_refusal(error):
            return False
        raise
    os.unlink("link", dir_fd=fd)
    return True


@contextmanager
def _file(fd: int, name: str) -> Iterator[int]:
    file_fd = os.open(name, OPEN_NEW, 0o600, dir_fd=fd)
    try:
        yield file_fd
    finally:
        os.close(file_fd)
        os.unlink(name, dir_fd=fd)


@contextmanager
def _folder(control_fd: int) -> Iterator[int]:
    """Gives an empty folder to try in, and removes it."""
    with suppress(FileExistsError):
        os.mkdir(_FOLDER, 0o700, dir_fd=control_fd)
    fd = os.open(_FOLDER, OPEN_FOLDER, dir_fd=control_fd)
    try:
        for name in os.listdir(fd):  # A client was killed while it tried.
            os.unlink(name, dir_fd=fd)
        yield fd
    finally:
        os.close(fd)
        with suppress(OSError):
            os.rmdir(_FOLDER, dir_fd=control_fd)


# --- what is kept ----------------------------------------------------------------------------


def read_kept_traits(root: Path) -> DiskTraits | None:
    """Returns what was found when a synced folder was opened last; None if that is not known."""
    try:
        control_fd = os.open(root / CONTROL_NAME, OPEN_FOLDER)
    except OSError:
        return None
    try:
        return _read_kept(control_fd)
    finally:
        os.close(control_fd)


def _keep(control_fd: int, traits: DiskTraits) -> None:
    names = {
        key: sorted(value) if isinstance(value, frozenset) else value
        for key, value in traits.names._asdict().items()
    }
    text = json.dumps({**traits._asdict(), "names": names}, indent=2)
    staged = f"{_KEPT}.new"
    with suppress(OSError):  # Without it, it is only tried again.
        fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=control_fd)
        try:
            os.write(fd, text.encode() + b"\n")
        finally:
            os.close(fd)
        os.rename(staged, _KEPT, src_dir_fd=control_fd, dst_dir_fd=control_fd)


def _read_kept(control_fd: int) -> DiskTraits | None:
    try:
        fd = os.open(_KEPT, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=control_fd)
    except OSError:
        return None
    try:
        told = json.loads(os.read(fd, _KEPT_BYTES_MAX))
        names = told.pop("names")
        for key in ("illegal", "illegal_last"):
            names[key] = frozenset(names[key])
        return DiskTraits(names=NameTraits(**names), **told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    finally:
        os.close(fd)
