# SPDX-License-Identifier: Apache-2.0
"""Backups: how an operator's commands make them, look at them, and bring one back.

A backup may go beside a running server. A restore goes into an empty data directory, or one in
which the same restore was interrupted.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple

from drystone.core.errors import Misconfigured, Refused, Unavailable
from drystone.core.instant import NS_PER_S
from drystone.server.bootstrap.composing import (
    copy_metadata,
    open_metadata,
    open_objects,
    open_store,
)
from drystone.server.bootstrap.data_dir import (
    RESTORING,
    ServerHome,
    opened_data_dir,
    require_data_dir,
)
from drystone.server.bootstrap.keeping.checking import (
    CheckFinding,
    CheckSummary,
    Tell,
    install_database,
    make_check,
    open_store_as_it_is,
    private_files,
    remove_database,
)
from drystone.server.ports.objects import Objects, ObjectStoreFull
from drystone.server.settings import FILE_NAME, ServerSettings
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.trouble import DatabaseFull
from drystone.server.storage.objects_files import FileLinks, FileObjects
from drystone.server.workers.backup.backing_up import BackingUp, Source
from drystone.server.workers.backup.manifest import DamagedBackup, Manifest, NoBackup
from drystone.server.workers.backup.pieces import read_piece
from drystone.server.workers.backup.places import (
    KEYRING,
    check_place,
    list_stamps,
    load_manifest,
)
from drystone.server.workers.backup.restoring import (
    find_missing,
    remove_older,
    restore_metadata,
    restore_objects,
    verify_backup,
)

_UNFINISHED: Final = "metadata.db.unfinished"
_RESTORED_SETTINGS: Final = "drystone.toml.restored"
_COPYING: Final = ".copying"
_MASTER_KEY: Final = "master.key"


class UnusableBackupFolder(Refused):
    """A place that was named for backups is no folder, and cannot be made one."""

    code = "unusable-backup-folder"


class BackupInUse(Unavailable):
    """Another command is at work on the backups in a folder."""

    code = "backup-in-use"


class RestoreRefused(Refused):
    """A restore goes only where nothing is yet."""

    code = "restore-refused"


class BackedUp(NamedTuple):
    """What a backup came to.

    Attributes:
        manifest: What closes it.
        where: The place it is in.
        copied_count: Objects that were copied; the others were there already, or were linked.
        copied_bytes: How long these are together.
        removed: Older backups that were let go.
        not_removed: Why none was, if one that is to stay is damaged; else ``""``.
    """

    manifest: Manifest
    where: str
    copied_count: int
    copied_bytes: int
    removed: tuple[str, ...]
    not_removed: str


class Restored(NamedTuple):
    """What a restore came to.

    Attributes:
        manifest: Of the backup.
        lacking: Objects that were not in it, or damaged.
        settings_file: Where the settings of then lie, for a human to look at; ``""`` if none were
            in the backup.
        needs_key: True if what is there is encrypted, and the master key is not at hand: then
            nothing was checked yet.
        checked: What a check of all that is there now came to.
        findings: Of that check.
    """

    manifest: Manifest
    lacking: tuple[str, ...]
    settings_file: str
    needs_key: bool
    checked: CheckSummary
    findings: tuple[CheckFinding, ...]


def back_up(
    settings: ServerSettings,
    where: str,
    tell: Tell,
    *,
    keep_count: int = 0,
    with_master_key: bool = False,
) -> BackedUp:
    """Makes a backup beside a running server, or without one.

    Args:
        settings: Of the server.
        where: A folder, or the address of a place in an object store.
        tell: Is told of progress.
        keep_count: How many backups are to stay; older ones go. 0: all stay.
        with_master_key: Whether the master key, if it lies in the data directory, is to be in it.

    Raises:
        NoServerThere: There is no data directory.
        NotForBackups, NewerBackup: Something else is there, or a newer version's backups.
        BackupInUse: Another command is at work there.
        Unavailable: No room, or something is away; what was copied stays for the next try.
    """
    require_data_dir(settings.data_dir)
    _require_outside(settings, where)
    with ExitStack() as stack:
        stack.enter_context(private_files())
        with opened_data_dir(settings.data_dir) as data_dir:
            store = open_store_as_it_is(settings, data_dir)
        target, workshop = stack.enter_context(_opened_place(where, is_new=True))
        check_place(target, where)
        now_ns = SystemClock().now_ns()
        copy = workshop / "metadata.db"
        copy_metadata(settings, data_dir, copy, lambda count: tell("metadata", count))
        with closing(SqliteMetadata(copy)) as copied:
            source = Source(
                copy,
                copied,
                "sqlite" if settings.is_embedded else "postgresql",
                *store,
                _read_files(data_dir, with_master_key=with_master_key),
                now_ns,
            )
            links = _find_links(settings, data_dir, where)
            backing_up = BackingUp(
                source,
                target,
                link=links.link if links else lambda _: False,
                flush=links.flush if links else lambda: None,
                tell=tell,
            )
            manifest = backing_up.run()
        data_dir.note_backup(now_ns // NS_PER_S)
        removed, why_not = _remove_older(target, keep_count)
        return BackedUp(
            manifest,
            where,
            backing_up.copied_count,
            backing_up.copied_bytes,
            tuple(removed),
            why_not,
        )


def list_backups(where: str) -> tuple[list[Manifest], list[str]]:
    """Returns the manifests of all finished backups at a place, oldest first; and the stamps of
    those whose manifest is damaged.

    Raises:
        NoBackup: There is no such place.
        NewerBackup: One cannot be read.
    """
    whole, damaged = [], []
    with _opened_place(where, is_new=False) as (backup, _):
        check_place(backup, where)
        for stamp in list_stamps(backup):
            try:
                whole.append(load_manifest(backup, where, stamp))
            except DamagedBackup:
                damaged.append(stamp)
    return whole, damaged


def _remove_older(target: Objects, keep_count: int) -> tuple[list[str], str]:
    """Returns what was let go of; or why nothing was, which leaves the new backup what it is."""
    try:
        return remove_older(target, keep_count) if keep_count else [], ""
    except DamagedBackup as error:
        return [], error.message


def verify(where: str, stamp: str, tell: Tell) -> tuple[Manifest, list[str]]:
    """Reads all of a backup; returns its manifest and what is wrong with it.

    Raises:
        NoBackup: There is none, or not of that name.
        DamagedBackup, NewerBackup: Its manifest cannot be read.
    """
    with _opened_place(where, is_new=False) as (backup, _):
        check_place(backup, where)
        manifest = load_manifest(backup, where, stamp)
        return manifest, verify_backup(backup, manifest, tell)


def restore(
    settings: ServerSettings, where: str, stamp: str, tell: Tell, *, despite_damage: bool = False
) -> Restored:
    """Brings a backup back into an empty data directory, and checks it.

    Args:
        settings: Of the server that is to be: its data directory, database and object store.
        where: The place of the backups.
        stamp: Which; ``""`` for the newest.
        tell: Is told of progress.
        despite_damage: Go on without objects that are missing or damaged.

    Raises:
        RestoreRefused: There is something already. Nothing was changed.
        NoBackup, DamagedBackup, NewerBackup: As their names say.
        Unavailable: No room, or something is away: the same restore can be run again.
    """
    with ExitStack() as stack:
        stack.enter_context(private_files())
        backup, _ = stack.enter_context(_opened_place(where, is_new=False))
        check_place(backup, where)
        manifest = load_manifest(backup, where, stamp)
        _require_fit(settings, backup, manifest, despite_damage=despite_damage)
        with opened_data_dir(settings.data_dir, may_be_unfinished=True) as data_dir:
            data_dir.hold()
            stack.callback(data_dir.close)
            objects = _open_bare(settings, data_dir)
            _begin(settings, data_dir, objects, manifest)
        lacking = restore_objects(backup, manifest, objects, tell, despite_damage=despite_damage)
        settings_file = _restore_files(backup, manifest, data_dir)
        path = data_dir.path / _UNFINISHED
        remove_database(path)
        try:
            restore_metadata(backup, manifest, path)
            SqliteMetadata(path).close()
            # A restore that was interrupted at its very end may have done it already.
            if not _has_accounts(settings, data_dir):
                install_database(settings, data_dir, path)
        finally:
            remove_database(path)
        (data_dir.path / RESTORING).unlink()
        try:
            opened = open_store_as_it_is(settings, data_dir).opened
        except Misconfigured:
            if not any(objects.iter_names(KEYRING)):
                raise
            nothing = CheckSummary({}, {}, is_sound=False)
            return Restored(manifest, tuple(lacking), settings_file, True, nothing, ())  # noqa: FBT003
        with closing(open_metadata(settings, data_dir)) as metadata:
            check = make_check(metadata, opened, tell, is_deep=False)
            findings = tuple(check.iter_findings())
        summary = check.sum_up()
        return Restored(manifest, tuple(lacking), settings_file, False, summary, findings)  # noqa: FBT003


# --- places ---------------------------------------------------------------------------------------


@contextmanager
def _opened_place(where: str, *, is_new: bool) -> Iterator[tuple[Objects, Path]]:
    """Yields a place of backups, and a folder for what is only needed meanwhile.

    In a folder one command is at work at a time.
    """
    if "://" in where:
        with tempfile.TemporaryDirectory(prefix="drystone-backup-") as folder:
            yield open_store(where), Path(folder)
        return
    path = Path(where).expanduser().absolute()
    try:
        if is_new:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if not is_new and isinstance(error, FileNotFoundError | NotADirectoryError):
            advice = "Name the place of the backups."
            raise NoBackup(f"there is no folder {path}", advice=advice) from error
        raise UnusableBackupFolder(
            f"{path} cannot be a folder for backups: {error.strerror}",
            advice="Name a folder that this user may write to, or that can be made.",
        ) from error
    workshop = path / _COPYING
    try:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupInUse(
                f"another command is at work on the backups in {path}",
                advice="Wait until it has ended, then try again.",
            ) from error
        # What a killed one left behind is of no use to anybody.
        shutil.rmtree(workshop, ignore_errors=True)
        with _told_of_room(path) if is_new else nullcontext():
            if is_new:
                workshop.mkdir(mode=0o700)
            yield FileObjects(path), workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
        os.close(lock_fd)


@contextmanager
def _told_of_room(path: Path) -> Iterator[None]:
    """Says of a full disk that it is the one of the backups."""
    try:
        yield
    except (ObjectStoreFull, DatabaseFull) as error:
        raise ObjectStoreFull(
            f"there is no room for the backup in {path}",
            advice="Free some space there, or let older ones go (--keep), and run it again: what"
            " was copied is not copied twice.",
            retry_after_s=30.0,
        ) from error


def _require_outside(settings: ServerSettings, where: str) -> None:
    if "://" in where:
        return
    path = Path(where).expanduser().resolve()
    data_dir = settings.data_dir.resolve()
    if path == data_dir or data_dir in path.parents or path in data_dir.parents:
        raise RestoreRefused(
            f"{path} and the data directory {data_dir} are one in the other",
            advice="Name a folder beside it, best on another disk.",
        )


def _find_links(settings: ServerSettings, data_dir: ServerHome, where: str) -> FileLinks | None:
    if settings.objects != "files" or "://" in where:
        return None
    return FileLinks(data_dir.objects_path, Path(where).expanduser().absolute())


def _read_files(data_dir: ServerHome, *, with_master_key: bool) -> dict[str, bytes]:
    """Returns the keys and settings of a server, by their paths in the data directory."""
    keys = sorted((data_dir.path / "keys").glob("*.key"))
    paths = [key for key in keys if with_master_key or key.name != _MASTER_KEY]
    paths.append(data_dir.path / FILE_NAME)
    return {str(p.relative_to(data_dir.path)): p.read_bytes() for p in paths if p.exists()}


# --- restoring ------------------------------------------------------------------------------------


def _open_bare(settings: ServerSettings, data_dir: ServerHome) -> Objects:
    """Returns the store into which objects are put as they lie in the backup."""
    if settings.objects == "files":
        return FileObjects(data_dir.objects_path)
    return open_objects(settings, data_dir)


def _require_fit(
    settings: ServerSettings, backup: Objects, manifest: Manifest, *, despite_damage: bool
) -> None:
    if settings.objects != "files" and any(backup.iter_names(KEYRING)):
        raise RestoreRefused(
            "the backup is of an encrypted data directory, and the settings name an object store",
            advice="Restore it into a data directory of its own, without the setting `objects`.",
        )
    missing = find_missing(backup, manifest)
    if missing and not despite_damage:
        raise RestoreRefused(
            f"{len(missing):,} objects of the backup are not there, as {missing[0]}",
            advice="Take another backup, or go on without them: --despite-damage",
        )


def _begin(
    settings: ServerSettings, data_dir: ServerHome, objects: Objects, manifest: Manifest
) -> None:
    """Marks a data directory as one into which this backup is being restored.

    Raises:
        RestoreRefused: There is something in it, or in its stores, already.
    """
    mark = data_dir.path / RESTORING
    if mark.exists():
        if mark.read_text(encoding="utf-8").strip() == manifest.stamp:
            return
        raise RestoreRefused(
            f"another backup is half restored in {data_dir.path}",
            advice="Finish that with --at, or remove the directory.",
        )
    if data_dir.database_path.exists() or _has_accounts(settings, data_dir):
        raise RestoreRefused(
            f"there is a database already for {data_dir.path}",
            advice="Restore into an empty data directory and an empty database.",
        )
    found = next(iter(objects.iter_names()), None)
    if found is not None:
        raise RestoreRefused(
            f"there is something in the object store already: {found.name}",
            advice="Restore into an empty one; then the old one can be compared with it.",
        )
    mark.write_text(f"{manifest.stamp}\n", encoding="utf-8")


def _has_accounts(settings: ServerSettings, data_dir: ServerHome) -> bool:
    if settings.is_embedded:
        return False
    with closing(open_metadata(settings, data_dir)) as metadata:
        return bool(metadata.read(lambda unit: unit.accounts.list_accounts()))


def _restore_files(backup: Objects, manifest: Manifest, data_dir: ServerHome) -> str:
    """Writes keys and settings, for the server's user only; returns where the settings lie."""
    settings_file = ""
    for name, piece in manifest.files.items():
        path = data_dir.path / name
        if name == FILE_NAME:
            path = data_dir.path / _RESTORED_SETTINGS
            settings_file = str(path)
        elif not (name.startswith("keys/") and name.endswith(".key") and name.count("/") == 1):
            continue
        content = read_piece(backup, piece)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return settings_file
