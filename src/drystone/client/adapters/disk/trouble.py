# SPDX-License-Identifier: Apache-2.0
"""Trouble: the system's errors told as what happened, to what, and what to do now."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from drystone.client.ports import (
    ChangedMeanwhile,
    DiskFull,
    DiskProblem,
    NameTooLong,
    NotThere,
    Unreadable,
)
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.names.quoting import quoted


class ReadOnlyDisk(DiskProblem):
    """The disk takes no changes."""

    code = "read-only-disk"


class OtherFilesystem(DiskProblem):
    """A folder within the synced one is another filesystem: read, but not written."""

    code = "other-filesystem"


class NotWritable(DiskProblem):
    """This user may not change the folder or file."""

    code = "not-writable"


class DiskBusy(Unavailable):
    """The system has no room for one more open file, or holds the path right now."""

    code = "disk-busy"


class FlushFailed(DiskProblem):
    """The disk did not take what was written. What was not flushed must be verified again."""

    code = "flush-failed"


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_BUSY: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EBUSY, errno.ETXTBSY}
)
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})


@contextmanager
def translated(path: str, *, is_writing: bool = False) -> Iterator[None]:
    """Turns an ``OSError`` of the block into ours, once. See ``translate``."""
    try:
        yield
    except OSError as error:
        raise translate(error, path, is_writing=is_writing) from error


def translate(error: OSError, path: str, *, is_writing: bool = False) -> DrystoneError:
    """Returns our error for the system's.

    Args:
        error: As raised.
        path: What it happened to, for people.
        is_writing: A refusal then means "not writable", else "not readable".
    """
    code = error.errno
    shown = quoted(path) if path else "the synced folder"
    if code in _FULL:
        return disk_full(shown)
    if code in _GONE:
        return NotThere(f"{shown} is not there", advice="Nothing to do: it is looked at again.")
    if code in (errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR):
        return ChangedMeanwhile(
            f"something else stands at {shown}", advice="Nothing to do: it is looked at again."
        )
    if code in (errno.EACCES, errno.EPERM):
        if is_writing:
            return NotWritable(
                f"{shown} may not be changed by this user",
                advice="Give this user the right to write it (chmod, chown).",
            )
        return Unreadable(
            f"{shown} may not be read by this user",
            advice="Give this user the right to read it (chmod, chown), or ignore it.",
        )
    if code in _BUSY:
        return DiskBusy(f"{shown} is busy: {error.strerror}", advice="It is tried again.")
    if code == errno.EIO:
        return Unreadable(f"the disk failed at {shown}", advice="Check the disk; keep a copy.")
    if code == errno.ENAMETOOLONG:
        return NameTooLong(f"{shown} is too long for this disk", advice="Give it a shorter name.")
    if code == errno.EROFS:
        return ReadOnlyDisk(
            f"{shown} is on a disk that takes no changes", advice="Mount it for writing."
        )
    if code == errno.EXDEV:
        return OtherFilesystem(
            f"{shown} is on another filesystem than the synced folder, where nothing can be"
            " put in place safely",
            advice="Sync that folder by itself.",
        )
    reason = error.strerror or "unknown trouble"
    return DiskProblem(f"{shown}: {reason}", advice="Correct that; it is tried again.")


def disk_full(shown: str) -> DiskFull:
    """Returns the error for a disk without room; ``shown`` is what did not fit, quoted."""
    return DiskFull(
        f"this device's disk is full: {shown} was not written",
        advice="Make room; the sync goes on by itself.",
        retry_after_s=30.0,
    )


def changed(path: str) -> ChangedMeanwhile:
    """Returns the error for something that is not what was expected."""
    return ChangedMeanwhile(
        f"{quoted(path)} is not what it was when it was last looked at",
        advice="Nothing to do: it is looked at again.",
    )
