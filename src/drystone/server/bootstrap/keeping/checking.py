# SPDX-License-Identifier: Apache-2.0
"""Keeping: how an operator's commands reach all that a server keeps, to look after it.

``open_check`` reads beside a running server; ``rebuild_metadata`` needs the server to be stopped.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from drystone.core.errors import Refused
from drystone.server.bootstrap.composing import carry_over, open_metadata, open_objects
from drystone.server.bootstrap.data_dir import (
    ServerHome,
    opened_data_dir,
    require_data_dir,
)
from drystone.server.bootstrap.storing.tenant import adopt
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.settings import ServerSettings
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.backup.places import KEYRING
from drystone.server.workers.checking import Check
from drystone.server.workers.checking import Checked as CheckSummary
from drystone.server.workers.checking import Finding as CheckFinding
from drystone.server.workers.rebuilding import Rebuilding, Rebuilt

Tell = Callable[[str, int], None]
"""Is told how far something has come: what, and how many of it are done."""

_UNFINISHED: Final = "metadata.db.unfinished"


class RebuildRefused(Refused):
    """There are metadata already, or nothing that they could be rebuilt from."""

    code = "rebuild-refused"


class RebuiltAndChecked(NamedTuple):
    """What was made anew, and what a check of it came to."""

    rebuilt: Rebuilt
    checked: CheckSummary
    findings: tuple[CheckFinding, ...]


@contextmanager
def open_check(settings: ServerSettings, tell: Tell, *, is_deep: bool) -> Iterator[Check]:
    """Opens what a check looks at, beside a running server or without one.

    Raises:
        NoServerThere: There is no data directory.
        Misconfigured: It cannot be used, or is newer.
    """
    require_data_dir(settings.data_dir)
    with opened_data_dir(settings.data_dir) as data_dir:
        metadata = open_metadata(settings, data_dir)
        objects = open_store_as_it_is(settings, data_dir).opened
    with closing(metadata):
        yield make_check(metadata, objects, tell, is_deep=is_deep)


class OpenedStore(NamedTuple):
    """A server's store of objects.

    Attributes:
        stored: Objects as they lie there: encrypted, maybe.
        opened: Objects as the server reads them.
    """

    stored: Objects
    opened: Objects


def open_store_as_it_is(settings: ServerSettings, data_dir: ServerHome) -> OpenedStore:
    """Opens a server's store without beginning to encrypt one that is not encrypted yet.

    Raises:
        Misconfigured: It cannot be opened; it is encrypted, and the master key is not at hand.
    """
    if settings.objects != "files":
        objects = open_objects(settings, data_dir)
        return OpenedStore(objects, objects)
    stored = FileObjects(data_dir.objects_path)
    is_sealed = any(True for _ in stored.iter_names(KEYRING))
    return OpenedStore(stored, open_objects(settings, data_dir) if is_sealed else stored)


def make_check(metadata: Metadata, objects: Objects, tell: Tell, *, is_deep: bool) -> Check:
    """Returns a check of these."""
    now_ns = SystemClock().now_ns()
    return Check(metadata, objects, ObjectPacks(objects), now_ns, is_deep=is_deep, tell=tell)


def rebuild_metadata(settings: ServerSettings, tell: Tell) -> RebuiltAndChecked:
    """Makes the metadata anew from the object store, and checks them.

    They are put together in a file of their own, which becomes the database, or is carried over to
    PostgreSQL in one transaction, when it is whole. What is interrupted leaves nothing behind that
    could be taken for a database.

    Raises:
        RebuildRefused: There is a database already, or nothing to rebuild one from.
        Misconfigured: The server runs, or something cannot be opened.
    """
    with private_files(), opened_data_dir(settings.data_dir) as data_dir:
        data_dir.hold()
    with private_files(), closing(data_dir):
        _require_no_database(settings, data_dir)
        objects = open_store_as_it_is(settings, data_dir).opened
        if not any(objects.iter_names("packs/")) and not any(objects.iter_names("journal/")):
            raise RebuildRefused(
                "there are neither packs nor journals in the object store",
                advice="Check the settings `data_dir` and `objects`.",
            )
        path = data_dir.path / _UNFINISHED
        remove_database(path)
        try:
            has_tenant = settings.objects != "files"
            done = _rebuild_at(path, objects, tell, has_tenant=has_tenant)
            install_database(settings, data_dir, path)
        finally:
            remove_database(path)
        return done


@contextmanager
def private_files() -> Iterator[None]:
    """Makes what is written meanwhile readable by its owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def install_database(settings: ServerSettings, data_dir: ServerHome, path: Path) -> None:
    """Lets a whole database, in a file that nobody uses, be that of the server.

    Raises:
        MovingTo: There is something in the PostgreSQL that the settings name. Nothing was changed.
    """
    if settings.is_embedded:
        path.replace(data_dir.database_path)
        flush_folder(data_dir.path)
        return
    carry_over(str(path), settings.database)


def remove_database(path: Path) -> None:
    """Removes a file of SQLite and what stands beside it."""
    for suffix in ("", "-wal", "-shm", "-journal", "-turn"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()


def flush_folder(path: Path) -> None:
    """Waits until the names in a folder are on the medium."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_no_database(settings: ServerSettings, data_dir: ServerHome) -> None:
    if settings.is_embedded:
        if data_dir.database_path.exists():
            raise RebuildRefused(
                f"there is a database already: {data_dir.database_path}",
                advice="If it is damaged, move metadata.db, metadata.db-wal and metadata.db-shm"
                " out of the data directory, keep them, and try again.",
            )
        return
    with closing(open_metadata(settings, data_dir)) as metadata:
        if metadata.read(lambda unit: unit.accounts.list_accounts()):
            raise RebuildRefused(
                "there are accounts in the PostgreSQL that the settings name",
                advice="Name an empty database.",
            )


def _rebuild_at(path: Path, objects: Objects, tell: Tell, *, has_tenant: bool) -> RebuiltAndChecked:
    packs = ObjectPacks(objects)
    with closing(SqliteMetadata(path)) as metadata:
        rebuilt = Rebuilding(metadata, objects, packs, SystemClock().now_ns(), tell).run()
        if has_tenant:
            adopt(metadata, objects)
        check = make_check(metadata, objects, tell, is_deep=False)
        findings = tuple(check.iter_findings())
        return RebuiltAndChecked(rebuilt, check.sum_up(), findings)


__all__ = [
    "CheckFinding",
    "CheckSummary",
    "Rebuilt",
    "open_check",
    "rebuild_metadata",
]
