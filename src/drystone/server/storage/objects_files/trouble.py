# SPDX-License-Identifier: Apache-2.0
"""What the operating system says of files, in Drystone's words. Translated here, once."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from drystone.core.errors import Corrupt
from drystone.server.ports.objects import ObjectStoreAway, ObjectStoreFull

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ObjectUnreadable(Corrupt):
    """The medium failed while an object was read: its bytes are there but do not come."""

    code = "object-unreadable"


@contextmanager
def translated(doing: str, name: str) -> Iterator[None]:
    """Raises the port's errors in place of ``OSError``.

    A missing object is the port's own ``FileNotFoundError`` when it was to be read.

    Args:
        doing: What was tried ("write", "read").
        name: The object it was tried with.
    """
    try:
        yield
    except OSError as error:
        if doing == "read" and isinstance(error, FileNotFoundError):
            raise
        reason = error.strerror or type(error).__name__
        if error.errno in _NO_ROOM:
            raise ObjectStoreFull(
                f"the server's storage has no room to {doing} {name}: {reason}",
                advice="free some space in the server's data directory, then try again",
                retry_after_s=30.0,
            ) from error
        if error.errno == errno.EIO and doing == "read":
            raise ObjectUnreadable(
                f"the medium failed while {name} was read: {reason}",
                advice="check the server's disk; restore the object from a backup",
            ) from error
        raise ObjectStoreAway(
            f"the server's storage could not {doing} {name}: {reason}",
            advice="check the server's data directory and its permissions",
            retry_after_s=5.0,
        ) from error
