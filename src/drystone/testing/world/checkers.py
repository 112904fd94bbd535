# SPDX-License-Identifier: Apache-2.0
"""Checkers: the laws that hold whatever happens. Each raises ``Broken``."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from drystone.client.ports import NoSymlinks
from drystone.core import limits
from drystone.core.content.noise import looks_like_noise
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.journal.fold import fold
from drystone.core.journal.record import Action, Record
from drystone.core.names.ignore import IGNORE_FILE_NAME
from drystone.core.names.standing import true_path
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.tree import Tree
from drystone.server.ports.metadata import Unit
from drystone.testing.fakes.remote import FakeRemote
from drystone.testing.world.ledger import Broken, Ledger, show_content
from drystone.testing.world.stage.device import WorldDevice
from drystone.testing.world.stage.server import NAMESPACE_ID, WorldServer
from drystone.testing.world.stage.told import Mirror

Paths = dict[str, bytes | str | None]
"""A tree: content of files, targets of symlinks, None for folders."""


class Held(NamedTuple):
    """What a server holds and held.

    Attributes:
        paths: What it holds now.
        entries: The same as entries.
        history: All contents that it ever held, and as which entries.
    """

    paths: Paths
    entries: dict[str, Entry]
    history: dict[bytes, set[FileId]]


_ENTRIES_MAX: Final = 10_000
_CURSORS_MAX: Final = 6
"""So many are gone on from."""
_COPY: Final = re.compile(r" \(conflicted copy, [^()]*\)")


def check_server(server: WorldServer, ledger: Ledger) -> Held:
    """The journal has no gaps, its fold is the tree, and all content that it names is there."""
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
    contents = _read_contents(server, records, ledger)
    history: dict[bytes, set[FileId]] = {}
    for record in records:
        if record.entry.kind == Kind.FILE:
            ids = history.setdefault(contents[record.entry.content], set())
            ids.add(record.entry.file_id)
    held = Held({}, {}, history)
    for entry in tree.iter_living():
        path = (tree.path_of(entry.file_id) or "")[1:]
        held.entries[path] = entry
        if entry.kind == Kind.FILE:
            held.paths[path] = contents[entry.content]
        else:
            held.paths[path] = entry.target if entry.kind == Kind.SYMLINK else None
    return held


def check_collected(server: WorldServer, ledger: Ledger) -> None:
    """When everything is collected that can be, all content that the journal names is still there,
    and nothing else is.
    """
    server.collect_all()
    records = server.read_journal()
    _read_contents(server, records, ledger)
    reached = set()
    for record in records:
        if (content := record.entry.content) is not None and content.root:
            reached |= server.find_blocks(content)
    blocks_count, packs_count, stored_count = server.count_kept()
    if blocks_count != len(reached):
        raise Broken("collected", f"{blocks_count} blocks stay, and {len(reached)} are needed")
    if stored_count != packs_count:
        raise Broken("collected", f"{stored_count} packs are there, and {packs_count} are known")


def check_agreement(devices: Sequence[WorldDevice], paths: Paths) -> None:
    """What is on each device is what the server holds and is selected there, and what ignore
    rules leave out; names are what they stand for there.
    """
    for device in devices:
        found, expected = device.disk.hand.list_tree(), _without(paths, device.find_unselected())
        traits = device.disk.traits
        if traits.names.is_narrow:
            shown, found = found, {true_path(p, traits.names): found[p] for p in found}
            if len(found) != len(shown):
                raise Broken("convergence", f"two names mean the same: {sorted(shown)}")
        if not traits.holds_symlinks:
            expected = {p: held for p, held in expected.items() if not isinstance(held, str)}
        if found == expected:
            continue
        found = {p: x for p, x in found.items() if p in expected or not device.is_left_out(p)}
        if found == expected:
            continue
        more = sorted(found.keys() - expected.keys())
        less = sorted(expected.keys() - found.keys())
        other = sorted(p for p in found.keys() & expected.keys() if found[p] != expected[p])
        raise Broken(
            "convergence",
            f"device {device.name} differs from the server: only here {more}, only there {less},"
            f" not the same {other}",
        )


def check_attributes(devices: Sequence[WorldDevice], held: Held) -> None:
    """Modes and times on each device are those that the server holds, as far as its disk can.

    Not asked of disks on which things stand under other names than on the server.
    """
    for device in devices:
        if device.disk.traits.names.is_narrow:
            continue
        step_ns = max(1, device.nature.stamp_ms * 1_000_000)
        for path, entry in held.entries.items():
            inode = device.disk.find(path)
            if inode is None:
                continue  # In a folder that is not to be on this device.
            is_folder = entry.kind == Kind.FOLDER
            least = 0o700 if is_folder else 0o400
            if entry.mode and entry.kind != Kind.SYMLINK and inode.mode != entry.mode | least:
                raise Broken(
                    "attributes",
                    f"{path!r} on {device.name} has mode {inode.mode:o}, not {entry.mode:o}",
                )
            if entry.kind == Kind.FILE and inode.mtime_ns // step_ns != entry.mtime_ns // step_ns:
                raise Broken(
                    "attributes",
                    f"{path!r} on {device.name} is of {inode.mtime_ns}, not {entry.mtime_ns}",
                )


def check_no_loss(ledger: Ledger, held: Held, devices: Sequence[WorldDevice]) -> None:
    """What nobody destroyed is current, and what nobody wrote is nowhere."""
    trash = {content for d in devices for _, content in d.disk.hand.list_trash()}
    current = {content for content in held.paths.values() if isinstance(content, bytes)}
    left_out = find_left_out_contents(devices, held.paths)
    for content in current:
        if not ledger.is_known(content):
            raise Broken("whole", f"nobody wrote {show_content(content)}")
    for content, who in ledger.made.items():
        if content in current or content in left_out or _is_given_up(ledger, held, content):
            continue
        where, law = "nowhere", "no loss"
        if content in held.history:
            where = "only in the history"
        elif content in trash:
            where, law = "only in a trash", "not trashed"
            if any(content in device.disk.unseen for device in devices):
                law = "unseen"
        raise Broken(law, f"{show_content(content)}, written on {who}, is {where}")


def _is_given_up(ledger: Ledger, held: Held, content: bytes) -> bool:
    """Tells whether a content need not be current: a person destroyed every entry that had it."""
    entries = held.history.get(content, set())
    if content in ledger.taken and (not entries or content in ledger.lied_about):
        # What a failing machine took is to be found again if the server had it: in its history, if
        # the machine's own disk had lied about it; else as it was.
        return True
    destroyed = ledger.destroyed.get(content)
    if destroyed is None:
        return False
    # What a client did not know yet may have been any entry, and so may what somebody moved: a
    # watcher that tells of one folder and then of the other makes two entries of it.
    return None in destroyed or content in ledger.moved or entries <= destroyed


def check_no_return(ledger: Ledger, held: Held) -> None:
    """What was written once, and that a person destroyed whose client knew that the server had
    it, is gone: unless somebody moved it or changed its attributes, perhaps at the same time.
    """
    for path, content in held.paths.items():
        if not isinstance(content, bytes) or ledger.makings[content] != 1:
            continue
        if content in ledger.ended and content not in ledger.moved:
            raise Broken("no return", f"{show_content(content)} was destroyed and is at {path!r}")


def check_no_false_conflict(ledger: Ledger, held: Held) -> None:
    """What was written once does not stand beside itself as a conflicted copy."""
    for path, content in held.paths.items():
        folder, slash, name = path.rpartition("/")
        original = folder + slash + _COPY.sub("", name)
        if original == path or not isinstance(content, bytes) or ledger.makings[content] != 1:
            continue
        if held.paths.get(original) == content:
            raise Broken("false conflict", f"{path!r} is the same as {original!r}")


async def check_repeats(server: WorldServer) -> None:
    """A commit that comes again changes nothing and is answered as it was."""
    service = server.service
    assert service is not None
    for told in server.told.commits:
        head = server.head()
        remote = FakeRemote(service, told.actor)
        again = await remote.commit(told.changes, told.seen_seq, told.key, told.cursor)
        if server.head() != head:
            raise Broken("repeat", f"the commit {told.key!r}, repeated, made new records")
        if (again.head, again.outcomes) != (told.result.head, told.result.outcomes):
            raise Broken("repeat", f"the commit {told.key!r}, repeated, is answered otherwise")


async def check_cursors(server: WorldServer, held: Held) -> None:
    """Whoever goes on from a cursor that was given out comes to the tree, or is told to reset."""
    service = server.service
    assert service is not None
    now = {entry.file_id: entry for entry in held.entries.values()}
    mirrors = [*server.told.mirrors.items()]
    for number in range(0, len(mirrors), -(-len(mirrors) // _CURSORS_MAX)):
        cursor, mirror = mirrors[number]
        remote = FakeRemote(service, server.some_actor)
        page = await remote.read_changes(cursor, None)
        while not page.reset:
            mirror = {**mirror, **{stored.file_id: stored for stored in page.entries}}
            if not page.has_more:
                if _living(mirror) != now:
                    raise Broken("cursor", f"cursor {number} of {len(mirrors)} leaves out")
                break
            page = await remote.read_changes(page.cursor, None)


def _living(mirror: Mirror) -> dict[FileId, Entry]:
    def is_living(file_id: FileId) -> bool:
        while file_id != ROOT_ID:
            stored = mirror.get(file_id)
            if stored is None or stored.is_deleted:
                return False
            file_id = stored.entry.parent_id
        return True

    return {file_id: stored.entry for file_id, stored in mirror.items() if is_living(file_id)}


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
    """Before anybody agreed, the server has not taken more noise in place of what could be read
    than a guard lets pass. Noise in place of noise destroys nothing.
    """
    bound = devices_count * (limits.MASS_REWRITE_ENTRIES_MIN - 1)
    noisy: dict[FileId, bool] = {}
    count = 0
    for record in server.read_journal():
        entry = record.entry
        if entry.kind != Kind.FILE:
            continue
        is_noise = looks_like_noise(server.find_content(entry) or b"")
        if record.action is Action.EDIT and is_noise and not noisy.get(entry.file_id, False):
            count += 1
        noisy[entry.file_id] = is_noise
    if count > bound:
        raise Broken("held", f"{count} files became noise on the server, and nobody had agreed")


def check_untroubled(devices: Sequence[WorldDevice]) -> None:
    """Nothing is in trouble any more."""
    for device in devices:
        for row in device.find_problems():
            if row.code == NoSymlinks.code and not device.disk.traits.holds_symlinks:
                continue
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
