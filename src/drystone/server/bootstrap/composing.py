# SPDX-License-Identifier: Apache-2.0
"""Composing: which engines a server stands on, and how an operator's command reaches them."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from drystone.core.errors import Misconfigured
from drystone.core.ids import NamespaceId
from drystone.core.journal.eras import ERA_ID_BYTES
from drystone.server.bootstrap.background import Background, add_upkeep
from drystone.server.bootstrap.data_dir import (
    KEY_BYTES,
    ServerHome,
    opened_data_dir,
    require_data_dir,
)
from drystone.server.bootstrap.libraries import library
from drystone.server.bootstrap.messaging import add_outlet, make_bell, make_cache
from drystone.server.bootstrap.storing.direct import add_jobs, find_store
from drystone.server.bootstrap.storing.objects_folder import is_folder
from drystone.server.bootstrap.storing.sealing import OpenedObjects, open_embedded_objects
from drystone.server.bootstrap.storing.tenant import move_in
from drystone.server.bootstrap.watching import Watch, make_checks
from drystone.server.faces.native.app import NativeApp
from drystone.server.ports.bell import Bell
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.service.duties import MetadataDuties
from drystone.server.service.identity.admin import Admin
from drystone.server.service.identity.passwords import Passwords
from drystone.server.service.identity.stamps import ToldStamp
from drystone.server.service.service import Engines, Service, make_service
from drystone.server.service.trees.brakes import BrakeBounds
from drystone.server.settings import (
    BadSetting,
    ServerSettings,
    check_settings,
    read_cloud_environment,
)
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.bell_relayed import RelayedBell
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.keeping import copy_sqlite
from drystone.server.storage.metadata_versioned import VersionedMetadata
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.journals.keeper import JournalKeeper

_CURSOR_KEY: Final = "cursor"


class NotEmbedded(Misconfigured):
    """What is asked for is about metadata in the data directory, and they are not there."""

    code = "not-embedded"


class Server:
    """An opened server: nothing listens yet. Closed by whoever opened it.

    Attributes:
        app: The ASGI app.
        service: What it asks.
        data_dir: What it stands on, held against other servers.
        metadata: Where it keeps what is not blocks.
        bell: What it rings.
        watch: What it counts of itself.
        background: What whoever serves runs beside the requests.
        made_key_path: Where this start made a master key; None if it made none.
        warnings: Sentences for the operator.
    """

    def __init__(
        self,
        service: Service,
        data_dir: ServerHome,
        metadata: VersionedMetadata,
        bell: Bell,
        *,
        opened: OpenedObjects,
        watch: Watch,
        background: Background,
        cache: Cache | None,
    ) -> None:
        self.app = NativeApp(service)
        self.background = background
        background.add("readiness", service.readiness.watch)
        self.service = service
        self.data_dir = data_dir
        self.bell = bell
        self.watch = watch
        self._cache = cache
        self.made_key_path = opened.made_key_path
        self.warnings = opened.warnings
        self.metadata = metadata

    async def count_accounts(self) -> int:
        """Returns how many accounts there are."""
        return await self.service.writer.read(lambda unit: len(unit.accounts.list_accounts()))

    def close(self) -> None:
        """Finishes what was handed over to be written and lets go of everything. Idempotent."""
        self.service.close()
        if self._cache is not None:
            self._cache.close()
        self.metadata.close()
        self.watch.close()
        self.data_dir.close()


class Membership(NamedTuple):
    """What one of several workers on a data directory was given by their supervisor.

    Attributes:
        run: The same for all of them, and of no others before; see ``SqliteMetadata``.
        lock_fd: Holds the data directory; closed with the server.
    """

    run: str
    lock_fd: int


def open_server(settings: ServerSettings, membership: Membership | None = None) -> Server:
    """Opens the data directory, made if it is missing, and puts a server on it.

    Args:
        settings: What to open.
        membership: If it is one of several workers.

    Raises:
        Misconfigured: The data directory cannot be used, is newer, or in use by a server.
    """
    with opened_data_dir(settings.data_dir) as data_dir, ExitStack() as undo:
        undo.callback(data_dir.close)
        if membership is None:
            data_dir.hold(is_shared=not settings.is_embedded)
        else:
            data_dir.join(membership.lock_fd)
        watch = Watch(settings)
        undo.callback(watch.close)
        database = open_metadata(settings, data_dir, membership.run if membership else None)
        versioned = VersionedMetadata(database)
        undo.callback(versioned.close)
        metadata = watch.metadata(versioned, database)
        cursor_key = _load_cursor_key(settings, data_dir, metadata)
        stamp = ToldStamp(data_dir.find_stamp, data_dir.tell_server)
        opened = _open_own_store(settings, data_dir, database)
        background, worker, clock = Background(), secrets.token_hex(8), SystemClock()

        def find_heads(ids: Collection[NamespaceId]) -> Awaitable[Mapping[NamespaceId, int]]:
            return service.writer.read(lambda unit: unit.tree.find_heads(ids))

        own = LocalBell() if membership is None else RelayedBell(LocalBell())
        bell = make_bell(settings, background, worker, own, find_heads)
        cache = make_cache(settings)
        if cache is not None:
            undo.callback(cache.close)
        engines = Engines(
            metadata,
            ObjectPacks(watch.objects(opened.objects)),
            watch.bell(bell, clock),
            clock,
            _passwords(settings),
            find_store(settings.transfer, opened.objects),
            watch.cache(cache),
        )
        service = make_service(
            engines,
            cursor_key,
            make_era_id=lambda: secrets.token_bytes(ERA_ID_BYTES),
            read_threads=settings.read_threads,
            stamp=stamp if settings.is_embedded else None,
            measures=watch.measures,
            tracing=watch.tracing,
            checks=make_checks(settings, data_dir.path, database, opened.objects),
            brake=BrakeBounds(
                settings.brake_entries, settings.brake_percent, settings.brake_window_s
            ),
        )
        undo.callback(service.close)
        outlet = add_outlet(
            settings, background, worker, writer=service.writer, bell=bell, clock=clock
        )
        add_upkeep(settings, background, worker, engines, service.writer, watch.measures)
        direct = add_jobs(background, service, engines, opened.objects)
        journals = _add_journals(settings, background, versioned, opened.objects, data_dir)
        watch.beside(background, bell, outlet)
        watch.working(background, service.writer, clock, data_dir, direct=direct, journals=journals)
        server = Server(
            service,
            data_dir,
            versioned,
            bell,
            opened=opened,
            watch=watch,
            background=background,
            cache=cache,
        )
        undo.pop_all()
        return server


@contextmanager
def open_admin(settings: ServerSettings) -> Iterator[Admin]:
    """Opens what the operator's commands need, beside a running server or without one.

    The first command may be the one that makes the data directory.

    Raises:
        Misconfigured: The data directory cannot be used, or is newer.
    """
    with opened_data_dir(settings.data_dir) as data_dir:
        metadata = open_metadata(settings, data_dir)
    try:
        yield Admin(metadata, SystemClock(), _passwords(settings), data_dir.tell_server)
    finally:
        metadata.close()


def move_metadata(
    settings: ServerSettings, url: str, tell: Callable[[str, int], None]
) -> dict[str, int]:
    """Carries an embedded server's metadata over to an empty PostgreSQL.

    The server must not run; its data directory keeps what it has.

    Args:
        settings: Of the server.
        url: Of the new database.
        tell: Is told of each table when it has been copied: its name, and how many rows.

    Returns:
        Of each table, how many rows stand in both now.

    Raises:
        Misconfigured: The server runs, or one of the databases cannot be used.
        MovingTo: There is something in the new one already. Nothing was changed.
    """
    if not settings.is_embedded:
        raise NotEmbedded(
            "the settings name a PostgreSQL already: there is nothing to move out of the data"
            " directory",
            advice="Use PostgreSQL's own tools to move it from one to another.",
        )
    check_settings({"database": url})
    require_data_dir(settings.data_dir)
    with library("PostgreSQL", "postgres"):
        from drystone.server.storage.metadata_sql.postgres import move_to  # noqa: PLC0415
    with opened_data_dir(settings.data_dir) as data_dir:
        data_dir.hold()
        try:
            return move_to(str(data_dir.database_path), url, tell).rows_counts
        finally:
            data_dir.close()


def open_metadata(
    settings: ServerSettings, data_dir: ServerHome, run: str | None = None
) -> Metadata:
    """Opens the metadata that the settings name, and brings them up to date.

    Args:
        settings: Of the server.
        data_dir: Its data directory.
        run: See ``Membership``.
    """
    if settings.is_embedded:
        return SqliteMetadata(data_dir.database_path, run=run)
    with library("PostgreSQL", "postgres"):
        from drystone.server.storage.metadata_sql.postgres import (  # noqa: PLC0415
            PostgresMetadata,
        )
    return PostgresMetadata(
        settings.database,
        connections_max=settings.read_threads + settings.database_writes + 2,
        writes_at_once=settings.database_writes,
        replica_url="" if settings.database_replica == "none" else settings.database_replica,
    )


def _load_cursor_key(settings: ServerSettings, data_dir: ServerHome, metadata: Metadata) -> bytes:
    """Returns the key that all workers sign cursors with; makes it the first time."""
    if settings.is_embedded:
        return data_dir.load_key(_CURSOR_KEY)
    kept = metadata.read(lambda unit: unit.shared.find_secret(_CURSOR_KEY))
    if kept is not None:
        return kept
    # That of the embedded server it was: its devices go on where they are.
    has_own = data_dir.has_key(_CURSOR_KEY)
    key = data_dir.load_key(_CURSOR_KEY) if has_own else secrets.token_bytes(KEY_BYTES)
    return metadata.write(lambda unit: unit.shared.keep_secret(_CURSOR_KEY, key))


def _open_store(settings: ServerSettings, data_dir: ServerHome) -> OpenedObjects:
    if is_folder(settings.objects):
        return open_embedded_objects(settings, data_dir)
    if settings.master_key not in ("file", "none"):
        raise BadSetting(
            "master_key is set, but only what lies in a folder is encrypted with it",
            advice="Remove it, and have the object store encrypt what it keeps.",
        )
    return OpenedObjects(open_store(settings.objects), None, ())


def _add_journals(
    settings: ServerSettings,
    background: Background,
    metadata: Metadata,
    objects: Objects,
    data_dir: ServerHome,
) -> JournalKeeper | None:
    """Adds what lets journals follow into the object store, unless the settings say no."""
    if not settings.journal_lag_s:
        return None
    clock = SystemClock()
    duties = None if settings.is_embedded else MetadataDuties(metadata, clock)
    keeper = JournalKeeper(metadata, objects, clock, lag_s=settings.journal_lag_s, duties=duties)
    background.add("journals", partial(_keep_journals, keeper, data_dir))
    return keeper


def _open_own_store(
    settings: ServerSettings, data_dir: ServerHome, metadata: Metadata
) -> OpenedObjects:
    """Opens the object store; raises if what lies there is another database's."""
    opened = _open_store(settings, data_dir)
    if settings.objects != "files":
        move_in(metadata, opened.objects)
    return opened


async def _keep_journals(keeper: JournalKeeper, data_dir: ServerHome) -> None:
    """Lets journals follow into the object store; of the workers of one machine one does so."""
    with data_dir.contending("journals") as may_work:
        await keeper.run(may_work)


def _passwords(settings: ServerSettings) -> Passwords:
    return Passwords(memory_kib=settings.password_memory_kib, rounds=settings.password_rounds)


# --- for the other doors of this room ------------------------------------------------------------


def open_objects(settings: ServerSettings, data_dir: ServerHome) -> Objects:
    """Opens the object store that the settings name."""
    return _open_store(settings, data_dir).objects


def carry_over(path: str, url: str) -> None:
    """Carries the metadata in a file of SQLite that nobody uses over to an empty PostgreSQL.

    Raises:
        MovingTo: There is something in the new one already. Nothing was changed.
    """
    with library("PostgreSQL", "postgres"):
        from drystone.server.storage.metadata_sql.postgres import move_to  # noqa: PLC0415
    move_to(path, url)


def open_store(address: str) -> Objects:
    """Opens an object store at an address (``s3://…``), apart from the server's own."""
    with library("object stores", "cloud"):
        from drystone.server.storage.objects_cloud import (  # noqa: PLC0415
            CloudObjects,
            parse_location,
        )
    location = parse_location(address)
    return CloudObjects(location, environment=read_cloud_environment(), clock=SystemClock())


def copy_metadata(
    settings: ServerSettings, data_dir: ServerHome, path: Path, tell: Callable[[int], None]
) -> None:
    """Writes all metadata, as they are at one instant, to a new SQLite database.

    Args:
        settings: Of the server, which may run.
        data_dir: Its data directory.
        path: Of the new file.
        tell: Is told how much was copied: bytes or rows.
    """
    if settings.is_embedded:
        copy_sqlite(data_dir.database_path, path, tell)
        return
    with library("PostgreSQL", "postgres"):
        from drystone.server.storage.metadata_sql.postgres import export_to  # noqa: PLC0415
    export_to(settings.database, path, tell)
