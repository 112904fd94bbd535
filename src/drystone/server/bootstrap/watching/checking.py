# SPDX-License-Identifier: Apache-2.0
"""Checking: how the parts that a server stands on are found to be well."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import structlog

from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.ids import ID_BYTES, NamespaceId
from drystone.core.limits import SERVER_DISK_BYTES_MIN
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects, ObjectStoreAway, ObjectStoreFull
from drystone.server.service.readiness import Check
from drystone.server.settings import ServerSettings

log = structlog.get_logger()

STORE_INTERVAL_S: Final = 60.0
"""A store that is paid by the request is not asked more often than that while it is well."""

_NOBODY: Final = NamespaceId(bytes(ID_BYTES))
_PROBE_BYTES: Final = 16


class SchemaOlder(Unavailable):
    """The database became one of an earlier version while the server ran: it was restored, say.

    A restart brings it up to date.
    """

    code = "schema-older"


class HomeReadOnly(Unavailable):
    """The data directory can no longer be written to."""

    code = "data-dir-read-only"


@runtime_checkable
class HasSchema(Protocol):
    """Metadata whose schema has versions."""

    def schema_version(self) -> tuple[int, int]:
        """Returns the version that is there, and the one that this program brings."""
        ...


def make_checks(
    settings: ServerSettings, data_dir: Path, metadata: Metadata, objects: Objects
) -> dict[str, Check]:
    """Returns how each part of a server is checked.

    Embedded objects are not written to for that: their disk is looked at, and a disk at rest
    stays at rest.
    """
    checks = {
        "database": Check(lambda: check_database(metadata)),
        "disk": Check(lambda: check_disk(data_dir)),
    }
    if settings.objects != "files":
        checks["store"] = Check(lambda: check_store(objects), STORE_INTERVAL_S)
    return checks


def check_database(metadata: Metadata) -> None:
    """Raises unless the database answers, and has at least the schema that is needed.

    A newer schema is no trouble: while workers are replaced one by one, those of the version
    before go on beside the new ones.
    """
    if not isinstance(metadata, HasSchema):
        metadata.read(lambda unit: unit.tree.head(_NOBODY))
        return
    found, known = metadata.schema_version()
    if found < known:
        raise SchemaOlder(
            f"the database has schema {found}, and this server needs {known}",
            advice="Restart the server: it brings the database up to date.",
        )


def check_disk(path: Path) -> None:
    """Raises unless the data directory can be written to and has room."""
    if not os.access(path, os.W_OK | os.X_OK):
        raise HomeReadOnly(f"{path} cannot be written to", advice="Look whether its disk failed.")
    stat = os.statvfs(path)
    free_bytes = stat.f_bavail * stat.f_frsize
    if free_bytes < SERVER_DISK_BYTES_MIN:
        raise ObjectStoreFull(
            f"the disk of {path} has {free_bytes:,} bytes left", advice="Make room on it."
        )


def check_store(objects: Objects) -> None:
    """Raises unless an object can be put into the store and read back; then it is removed."""
    name = f"probes/{secrets.token_hex(8)}"
    content = secrets.token_bytes(_PROBE_BYTES)
    objects.put(name, (content,))
    try:
        found = objects.read(name, ((0, _PROBE_BYTES),))
    except FileNotFoundError as error:
        raise ObjectStoreAway("the store lost an object that it had taken") from error
    finally:
        # A store that keeps what it has, by its own rules, is well all the same.
        with suppress(DrystoneError):
            objects.delete(name)
    if found != [content]:
        raise ObjectStoreAway("the store gave back other bytes than it had taken")
