# SPDX-License-Identifier: Apache-2.0
"""What systems do differently: renames that replace nothing, exchanges, filesystem syncs.

Everything here raises ``OSError``; callers translate. Linux has the calls; elsewhere, and on
filesystems that lack them, the fallbacks leave a moment between look and deed.

Source: renameat2(2), syncfs(2), lseek(2).
"""

import ctypes
import errno
import os
import stat
import struct
from typing import Final

OPEN_FOLDER: Final = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
OPEN_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    # Opening a pipe that somebody put in the place of a file must not wait for a writer.
    | getattr(os, "O_NONBLOCK", 0)
)
OPEN_NEW: Final = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)

_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_NO_FOLLOW: Final = 0x100
_WANT_BIRTH: Final = 0x800
_STATX_BYTES: Final = 256
_BIRTH_OFFSET: Final = 80
_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})


class _Libc:
    """The C library's calls that Python does not offer; None where it lacks them."""

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(None, use_errno=True)
        except OSError:
            self.renameat2 = self.syncfs = self.statx = None
            return
        self.renameat2 = getattr(library, "renameat2", None)
        self.syncfs = getattr(library, "syncfs", None)
        self.statx = getattr(library, "statx", None)
        if self.renameat2 is not None:
            self.renameat2.argtypes = (
                ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint,
            )  # fmt: skip
        if self.statx is not None:
            self.statx.argtypes = (
                ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p,
            )  # fmt: skip


_LIBC: Final = _Libc()


def rename_new(source: str, target: str, source_fd: int, target_fd: int) -> None:
    """Renames atomically; raises ``FileExistsError`` if anything has the target name."""
    code = _renameat2(source, target, source_fd, target_fd, _NOREPLACE)
    if code == 0:
        return
    if code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), target)
    mode = os.stat(source, dir_fd=source_fd, follow_symlinks=False).st_mode
    if not stat.S_ISDIR(mode):
        try:
            os.link(
                source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False
            )
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EMLINK, *_UNSUPPORTED):
                raise
        else:
            os.unlink(source, dir_fd=source_fd)
            return
    try:
        os.stat(target, dir_fd=target_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)


def exchange(one: str, other: str, one_fd: int, other_fd: int) -> bool:
    """Exchanges two names atomically; returns False where that cannot be done."""
    code = _renameat2(one, other, one_fd, other_fd, _EXCHANGE)
    if code == 0:
        return True
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), other)


def find_birth_ns(fd: int, name: str) -> int:
    """Returns when a name of an open folder was made; 0 where nobody tells.

    Source: statx(2), which Python does not offer yet; elsewhere the status has it.
    """
    if _LIBC.statx is None:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        return round(getattr(found, "st_birthtime", 0) * 1_000_000_000)
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if _LIBC.statx(fd, os.fsencode(name), _NO_FOLLOW, _WANT_BIRTH, buffer):
        code = ctypes.get_errno()
        if code in _UNSUPPORTED or code == errno.EPERM:
            return 0
        raise OSError(code, os.strerror(code), name)
    (told,) = struct.unpack_from("=I", buffer, 0)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BIRTH_OFFSET)
    return seconds * 1_000_000_000 + nanoseconds if told & _WANT_BIRTH else 0


def sync_filesystem(descriptor: int) -> None:
    """Makes durable what was written to the filesystem of an open descriptor."""
    if _LIBC.syncfs is None:
        os.sync()
    elif _LIBC.syncfs(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def next_data(descriptor: int, offset_bytes: int, size_bytes: int) -> int:
    """Returns where stored bytes begin at or after an offset; the size if there are none.

    Moves the descriptor's own position. Where holes cannot be told, all is stored.
    """
    if offset_bytes >= size_bytes:
        return size_bytes
    if not hasattr(os, "SEEK_DATA"):
        return offset_bytes
    try:
        return min(os.lseek(descriptor, offset_bytes, os.SEEK_DATA), size_bytes)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size_bytes
        if error.errno in _UNSUPPORTED:
            return offset_bytes
        raise


def open_any(fd: int, name: str) -> int:
    """Opens a file or folder of an open folder, even one that may not be read, if possible."""
    try:
        return os.open(name, OPEN_READ, dir_fd=fd)
    except PermissionError:
        if not hasattr(os, "O_PATH"):
            raise
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)


def dress_open(fd: int, mode: int, mtime_ns: int | None) -> os.stat_result:
    """Sets permission bits and, unless None, mtime of what ``open_any`` gave.

    A filesystem that cannot hold the bits keeps its own: the returned status shows it.
    """
    try:
        os.fchmod(fd, mode)
    except OSError as error:
        if error.errno == errno.EBADF:
            return _dress_by_path(fd, mode, mtime_ns)
        if error.errno not in (errno.EPERM, *_UNSUPPORTED):
            raise
    if mtime_ns is not None:
        os.utime(fd, ns=(mtime_ns, mtime_ns))
    return os.fstat(fd)


def _dress_by_path(fd: int, mode: int, mtime_ns: int | None) -> os.stat_result:
    """The same for a descriptor that only names something (``O_PATH``)."""
    path = f"/proc/self/fd/{fd}"
    os.chmod(path, mode)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return os.fstat(fd)


def _renameat2(source: str, target: str, source_fd: int, target_fd: int, flag: int) -> int:
    """Returns 0 or an errno."""
    call = _LIBC.renameat2
    if call is None:
        return errno.ENOSYS
    if call(source_fd, os.fsencode(source), target_fd, os.fsencode(target), flag) == 0:
        return 0
    return ctypes.get_errno()
