# SPDX-License-Identifier: Apache-2.0
"""Checkers: the laws that hold whatever happens. Each raises ``Broken``."""

from collections.abc import Mapping, Sequence

from drystone.core import limits
from drystone.core.content.noise import looks_like_noise
from drystone.core.ids import ROOT_ID
from drystone.core.journal.fold import fold
from drystone.core.journal.record import Action, Record
from drystone.core.names.ignore import IGNORE_FILE_NAME
from drystone.core.tree.entry import Kind
from drystone.core.tree.tree import Tree
from drystone.server.ports.metadata import Unit
from drystone.testing.world.ledger import Broken, Ledger, show_content
from drystone.testing.world.stage.device import WorldDevice
from drystone.testing.world.stage.server import NAMESPACE_ID, WorldServer

Paths = dict[str, bytes | str | None]
"""A tree: content of files, targets of symlinks, None for folders."""

_ENTRIES_MAX = 10_000


def check_server(server: WorldServer, ledger: Ledger) -> tuple[Paths, list[bytes]]:
    """The journal has no gaps, its fold is the tree, and all content that it names is there.

    Returns:
        What the server holds now, and all contents that it ever held.
    """
    records = server.read_journal()
    for number, record in enumerate(records, 1):
        if record.seq != number:
            raise Broken("gapless", f"record {number} has seq {record.seq}")
    if len(records) != server.head():
        raise Broken("gapless", f"{len(records)} records, and the head is {server.head()}")
    tree = fold(Tree(), records)
    listed = server.read(_list_all)
    told = {entry.file_id: entry for entry in tree.iter_living()}
    if told != listed:
        raise Broken("fold", "the fold of the journal is not the tree")
    history = _read_contents(server, records, ledger)
    paths: Paths = {}
    for entry in tree.iter_living():
        path = (tree.path_of(entry.file_id) or "")[1:]
        if entry.kind == Kind.FILE:
            paths[path] = history[entry.content]
        else:
            paths[path] = entry.target if entry.kind == Kind.SYMLINK else None
    return paths, list(history.values())


def check_agreement(devices: Sequence[WorldDevice], paths: Paths) -> None:
    """What is on each device is what the server holds and is selected there, and what ignore
    rules leave out.
    """
    everything = paths
    for device in devices:
        found = device.disk.hand.list_tree()
        paths = _without(everything, device.find_unselected())
        if found == paths:
            continue
        found = {p: x for p, x in found.items() if p in paths or not device.is_left_out(p)}
        if found == paths:
            continue
        more = sorted(found.keys() - paths.keys())
        less = sorted(paths.keys() - found.keys())
        other = sorted(p for p in found.keys() & paths.keys() if found[p] != paths[p])
        raise Broken(
            "convergence",
            f"device {device.name} differs from the server: only here {more}, only there {less},"
            f" not the same {other}",
        )


def check_no_loss(
    ledger: Ledger, paths: Paths, history: Sequence[bytes], devices: Sequence[WorldDevice]
) -> None:
    """What nobody destroyed is current, and what nobody wrote is nowhere."""
    trash = {content for d in devices for _, content in d.disk.hand.list_trash()}
    current = {content for content in paths.values() if isinstance(content, bytes)}
    left_out = find_left_out_contents(devices, paths)
    known = set(history)
    for content in current:
        if not ledger.is_known(content):
            raise Broken("whole", f"nobody wrote {show_content(content)}")
    for content, who in ledger.made.items():
        # What a failing machine took is to be found again if the server had it: in its history, if
        # the machine's own disk had lied about it; else as it was.
        is_given_up = content in ledger.destroyed or (
            content in ledger.taken and (content not in known or content in ledger.lied_about)
        )
        if content not in current and content not in left_out and not is_given_up:
            where = "only in the history" if content in known else "nowhere"
            law = "no loss"
            if content in trash and content not in known:
                where, law = "only in a trash", "not trashed"
            raise Broken(law, f"{show_content(content)}, written on {who}, is {where}")


def find_left_out_contents(devices: Sequence[WorldDevice], paths: Paths) -> set[bytes]:
    """Returns what only one disk holds because of ignore rules; also what went to the trash with
    a folder that another device deleted, where there are any rules.
    """
    found: set[bytes] = set()
    for device in devices:
        tree = device.disk.hand.list_tree()
        for path, content in tree.items():
            if isinstance(content, bytes) and path not in paths and device.is_left_out(path):
                found.add(content)
        if any(path.endswith(IGNORE_FILE_NAME) for path in tree):
            found |= {content for _, content in device.disk.hand.list_trash()}
    return found


def _without(paths: Paths, folders: Sequence[str]) -> Paths:
    if not folders:
        return paths
    hidden = tuple(f"{folder}/" for folder in folders)
    return {path: held for path, held in paths.items() if not f"{path}/".startswith(hidden)}


def check_held(server: WorldServer, devices_count: int) -> None:
    """Before anybody agreed, the server has not taken more noise in place of what it had than a
    guard lets pass.
    """
    bound = devices_count * (limits.MASS_REWRITE_ENTRIES_MIN - 1)
    edits = [r.entry for r in server.read_journal() if r.action is Action.EDIT]
    contents = (server.find_content(entry) for entry in edits if entry.kind == Kind.FILE)
    count = sum(looks_like_noise(content) for content in contents if content)
    if count > bound:
        raise Broken("held", f"{count} files became noise on the server, and nobody had agreed")


def check_untroubled(devices: Sequence[WorldDevice]) -> None:
    """Nothing is in trouble any more."""
    for device in devices:
        for row in device.find_problems():
            raise Broken(
                "no trouble", f"device {device.name} is still in trouble: {row.path}: {row.code}"
            )


def check_deaths(
    troubles: Sequence[Mapping[str, object]], harmless: tuple[type[BaseException], ...]
) -> None:
    """No task ended with an error that nobody looked at."""
    for trouble in troubles:
        error = trouble.get("exception")
        if error is None or not isinstance(error, harmless):
            raise Broken("no defect", f"{trouble.get('message')}: {error!r}")


def _list_all(unit: Unit) -> dict[object, object]:
    entries, after = unit.tree.list_below(NAMESPACE_ID, ROOT_ID, "", _ENTRIES_MAX)
    assert not after, "too many entries for a world"
    return {stored.entry.file_id: stored.entry for stored in entries}


def _read_contents(
    server: WorldServer, records: Sequence[Record], ledger: Ledger
) -> dict[object, bytes]:
    """Returns the bytes of all contents that the journal names."""
    found: dict[object, bytes] = {}
    for record in records:
        entry = record.entry
        if entry.kind != Kind.FILE or entry.content in found:
            continue
        content = server.find_content(entry)
        if content is None:
            raise Broken("readable", f"the content of {entry.name!r}, seq {record.seq}, is lost")
        if not ledger.is_known(content):
            raise Broken(
                "whole", f"nobody wrote {show_content(content)}, committed as {entry.name!r}"
            )
        found[entry.content] = content
    return found
