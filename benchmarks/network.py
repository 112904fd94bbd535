# SPDX-License-Identifier: Apache-2.0
"""Bytes on the wire: a network namespace of the run's own, whose loopback nobody else uses.

Everything that crosses it is counted by the kernel, headers and acknowledgements included, at no
cost to the processes that are measured. Needs Linux, and either root or user namespaces.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1


class WireCount(NamedTuple):
    """What crossed loopback: each packet once, with all its headers."""

    wire_bytes: int
    packets: int

    def since(self, before: "WireCount") -> "WireCount":
        """Returns what was added after ``before``."""
        return WireCount(self.wire_bytes - before.wire_bytes, self.packets - before.packets)


def enter_own_network() -> bool:
    """Moves this process, and all it starts, to an empty network with loopback only.

    Must be called before there is a second thread. Returns False, with nothing changed, where
    the system does not allow it; then loopback is shared and counts what others send, too.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    # As root the mounts are made private as well, so that a fresh image mounted for the run
    # vanishes with it, however it ends.
    flags = _CLONE_NEWNET | _CLONE_NEWNS if uid == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        return False
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    else:
        libc.mount(None, b"/", None, _MS_REC_PRIVATE, None)
    _raise_loopback()
    return True


def read_wire() -> WireCount:
    """Returns what has crossed loopback so far (received and sent are the same there)."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "lo":
            fields = rest.split()
            return WireCount(int(fields[0]), int(fields[1]))
    return WireCount(0, 0)


def find_free_port() -> int:
    """Returns a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))
