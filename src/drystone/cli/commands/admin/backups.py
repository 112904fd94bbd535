# SPDX-License-Identifier: Apache-2.0
"""Backups of a server, and the way back."""

from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.commands.admin.group import group, read_settings
from drystone.cli.commands.admin.telling import counting
from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import ConfigOption, DataDirOption, JsonFlag
from drystone.cli.output import (
    Output,
    count_of,
    format_bytes,
    format_table,
    format_when,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drystone.server.bootstrap import BackedUp, Restored

PlaceArgument = Annotated[
    str,
    typer.Argument(
        help="Where backups lie: a folder, or a place in an object store (s3://bucket/folder).",
        metavar="TARGET",
    ),
]

AtOption = Annotated[
    str,
    typer.Option("--at", help="Which backup, as --list shows it.  [default: the newest]",
                 metavar="STAMP", show_default=False),
]  # fmt: skip


@group.command("backup")
def backup(
    target: PlaceArgument,
    *,
    keep: Annotated[
        int,
        typer.Option("--keep", min=0, help="Keep so many backups and remove older ones; 0: all."),
    ] = 0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none; read one and compare it with its manifest.")
    ] = False,
    list_all: Annotated[
        bool, typer.Option("--list", help="Make none; list those that there are.")
    ] = False,
    at: AtOption = "",
    include_master_key: Annotated[
        bool,
        typer.Option("--include-master-key", help="Put the master key beside what it encrypts."),
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Back up a whole server, at one point in time, while it is running.

    The first one copies everything; later ones into the same place copy what is new. On the same
    disk packs are linked, not copied: that guards against deletion, not against the disk. A backup
    holds the files of all users, hashes of passwords and tokens, and the server's keys: guard it as
    you do the server. What the server encrypts stays so, and its master key is not in the backup
    unless you ask for it: keep that elsewhere.

    Examples:
      drystone admin backup /mnt/backup/drystone
      drystone admin backup /mnt/backup/drystone --keep 14
      drystone admin backup s3://bucket/backups
      drystone admin backup /mnt/backup/drystone --verify
      drystone admin backup /mnt/backup/drystone --list
    """
    out = Output(as_json=as_json)
    if list_all:
        return _list(out, target)
    if verify:
        return _verify(out, target, at)
    from drystone.server.bootstrap import back_up

    settings = read_settings(data_dir, config)
    with counting(out) as counts:
        done = back_up(
            settings,
            target,
            counts.tell,
            keep_count=keep,
            with_master_key=include_master_key,
        )
    manifest = done.manifest
    out.answer(
        {
            "stamp": manifest.stamp,
            "made_ns": manifest.made_ns,
            "objects": manifest.objects_count,
            "objects_bytes": manifest.objects_bytes,
            "copied": done.copied_count,
            "copied_bytes": done.copied_bytes,
            "files": sorted(manifest.files),
            "lacking": manifest.lacking,
            "removed": done.removed,
            "not_removed": done.not_removed,
        },
        _describe_backup(done),
    )
    return ExitCode.PROBLEMS if manifest.lacking or done.not_removed else ExitCode.OK


@group.command("restore")
def restore(
    target: PlaceArgument,
    *,
    at: AtOption = "",
    despite_damage: Annotated[
        bool,
        typer.Option("--despite-damage", help="Go on without packs that are gone or damaged."),
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Bring a backup back, into an empty data folder.

    Everything is compared with its checksums on the way and checked as a whole at the end. If it is
    interrupted, no server starts on what is there; run it again. Devices notice that the server was
    put back, and send again what it lost.

    Examples:
      drystone admin restore /mnt/backup/drystone --data-dir /srv/new
      drystone admin restore /mnt/backup/drystone --at 20261121T201055Z --data-dir /srv/new
    """
    from drystone.server.bootstrap import restore as bring_back

    out = Output(as_json=as_json)
    settings = read_settings(data_dir, config)
    with counting(out) as counts:
        done = bring_back(settings, target, at, counts.tell, despite_damage=despite_damage)
    out.answer(
        {
            "stamp": done.manifest.stamp,
            "made_ns": done.manifest.made_ns,
            "objects": done.manifest.objects_count,
            "lacking": [*done.manifest.lacking, *done.lacking],
            "settings_file": done.settings_file,
            "needs_key": done.needs_key,
            "check": done.checked,
            "findings": done.findings,
        },
        _describe_restore(done),
    )
    return ExitCode.OK if done.needs_key or done.checked.is_sound else ExitCode.DIFFERENT


def _list(out: Output, target: str) -> int:
    from drystone.server.bootstrap import list_backups

    with counting(out):
        found, damaged = list_backups(target)
    rows = [
        (
            m.stamp,
            format_when(m.made_ns),
            f"{m.objects_count:,}",
            format_bytes(m.objects_bytes + m.metadata.length_bytes),
            f"lacks {len(m.lacking):,} packs" if m.lacking else "",
        )
        for m in found
    ]
    rows += [(stamp, "", "", "", "damaged: it cannot be read") for stamp in damaged]
    heads = ("BACKUP", "MADE", "OBJECTS", "SIZE", "")
    answer = [
        {"stamp": m.stamp, "made_ns": m.made_ns, "objects": m.objects_count,
         "objects_bytes": m.objects_bytes, "version": m.version, "lacking": m.lacking}
        for m in found
    ]  # fmt: skip
    answer += [{"stamp": stamp, "damaged": True} for stamp in damaged]
    out.answer(answer, format_table(heads, rows, right=[2, 3]))
    return ExitCode.OK


def _verify(out: Output, target: str, at: str) -> int:
    from drystone.server.bootstrap import verify_backup

    with counting(out) as counts:
        manifest, faults = verify_backup(target, at, counts.tell)
    faults += [f"{name} was missing when it was made" for name in manifest.lacking]
    lines = [printable(fault) for fault in faults]
    size = format_bytes(manifest.objects_bytes + manifest.metadata.length_bytes)
    told = f"{count_of(manifest.objects_count, 'object')}, {size}"
    verdict = f"{count_of(len(faults), 'fault')}." if faults else "It is whole."
    lines.append(f"Read the backup {manifest.stamp}: {told}. {verdict}")
    out.answer({"stamp": manifest.stamp, "faults": faults}, lines)
    return ExitCode.DIFFERENT if faults else ExitCode.OK


def _describe_backup(done: "BackedUp") -> "Iterator[str]":
    manifest = done.manifest
    what = "lacks what was lost before" if manifest.lacking else "is whole"
    yield (
        f"Backup {manifest.stamp} {what}: {count_of(manifest.objects_count, 'object')},"
        f" {format_bytes(manifest.objects_bytes)}; copied {format_bytes(done.copied_bytes)}."
    )
    for name in manifest.lacking:
        yield f"  LACKS {printable(name)}: it is gone or damaged; see drystone admin check"
    for stamp in done.removed:
        yield f"  removed {stamp}"
    if done.not_removed:
        yield f"  Older ones were not let go of: {printable(done.not_removed)}"
    kept = ", ".join(sorted(manifest.files)) or "no files"
    yield f"It holds secrets: password and token hashes, and {printable(kept)}. Guard it well."


def _describe_restore(done: "Restored") -> "Iterator[str]":
    manifest = done.manifest
    yield (
        f"The backup of {format_when(manifest.made_ns)} is in place:"
        f" {count_of(manifest.objects_count, 'object')}, {format_bytes(manifest.objects_bytes)}."
    )
    for name in (*manifest.lacking, *done.lacking):
        yield f"  LACKS {printable(name)}"
    for finding in done.findings:
        yield f"  {finding.code}: {printable(finding.what)} ({printable(finding.where)})"
    if done.settings_file:
        yield f"The settings of then are in {printable(done.settings_file)}; none counts yet."
    if done.needs_key:
        yield "It is encrypted, and its master key is not here: bring that back, then check it all:"
        yield "  drystone admin recover-key    (takes the line that export-key printed)"
        yield "  drystone admin check"
        return
    verdict = "It is sound." if done.checked.is_sound else "It is NOT sound."
    yield f"Checked: {verdict} Start the server; devices send again what it lost since then."
