# SPDX-License-Identifier: Apache-2.0
"""Receipts: what the server holds of a file, read back and verified, compared with the file here.

    for each path:  the server's entry, and its history
                    its blocks: the server reads and verifies them now
                    the file here: read and hashed now

Nothing that this device remembers is believed for it: not its state, not its last sync.
"""

import asyncio
import os
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from drystone.client.adapters.clock import SystemClock
from drystone.client.adapters.loose_files import hash_file
from drystone.client.adapters.remote_http import HttpRemote
from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.resending import cut_asked
from drystone.client.bootstrap.roots import get_root
from drystone.client.bootstrap.syncing import CONTROL_NAME
from drystone.client.bootstrap.telling.places import (
    find_remote,
    is_text,
    list_remote,
    names_on,
    opened_remote,
    path_inside,
    remote_path_of,
    show,
)
from drystone.client.ports import DiskProblem, Notices
from drystone.client.settings import ClientSettings
from drystone.core.content.content import Content
from drystone.core.content.manifest import chunks_of, decode_manifest
from drystone.core.errors import Corrupt, Unavailable
from drystone.core.ids import BlockId, FileId, Rev, format_id, format_rev
from drystone.core.journal.record import Action
from drystone.core.names.standing import NameTraits, true_path
from drystone.core.tree.entry import Entry, Kind

_FILES_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 256 * 1024 * 1024
_UNSAFE_TOLD_MAX: Final = 1_000
_WHY: Final = "Ask: drystone why PATH"


class FileReceipt(NamedTuple):
    """What is known of one file, symlink or folder.

    Attributes:
        path: On this device; bytes that are not UTF-8 are escaped.
        is_safe: The server holds it, verified; what is here, if anything, is the same.
        code: ``safe``, or why not: ``not-on-server``, ``differs``, ``damaged``, ``unreadable``,
            ``name-not-utf8``.
        message: The same in words.
        advice: What to do now.
        kind: ``file``, ``folder``, ``symlink``, or ``""`` if nothing is known.
        here: ``same`` (read now), ``alike`` (size and time are the same; not read), ``nothing``,
            or ``other``.
        size_bytes: Of the content on the server.
        content_hash: Of it, hexadecimal.
        rev: The revision that is current there.
        blocks_count: Blocks that the server read back and verified for it.
    """

    path: str
    is_safe: bool
    code: str
    message: str
    advice: str = ""
    kind: str = ""
    here: str = ""
    size_bytes: int = 0
    content_hash: str = ""
    rev: str = ""
    blocks_count: int = 0


class Receipt(NamedTuple):
    """What is known of a path and of all below it.

    Attributes:
        path: As it was asked for, absolute.
        root: The synced folder that it is in.
        remote_path: On the server.
        is_safe: All of it is.
        checked_ns: When it was begun.
        is_quick: Files here were not read.
        files_count: Files, symlinks and folders here that were looked at.
        safe_count: How many of them are safe.
        bytes_count: Content bytes that are safe.
        remote_only_count: Entries that only the server has. They were not verified.
        entry: If it is a single file or symlink: its own.
        file_id: Of it, on the server; ``""``: it is not there.
        committed_ns: When its content was committed; 0: not known.
        account: By whom.
        device: On which device.
        unsafe: What is not safe, the first thousand.
    """

    path: str
    root: str
    remote_path: str
    is_safe: bool
    checked_ns: int
    is_quick: bool
    files_count: int
    safe_count: int
    bytes_count: int
    remote_only_count: int
    entry: FileReceipt | None
    file_id: str
    committed_ns: int
    account: str
    device: str
    unsafe: list[FileReceipt]


class _Pair(NamedTuple):
    """What stands at a path here and on the server."""

    path: Path
    here: os.stat_result | None
    there: Entry | None


def make_receipt(
    settings: ClientSettings, path: Path, notices: Notices, *, is_quick: bool = False
) -> Receipt:
    """Returns what the server holds of a path of a synced folder, verified now.

    Args:
        settings: Of this device.
        path: A file, a folder, or what was there once.
        notices: Is told how far it has come, as ``verify``.
        is_quick: Compare files here by size and time only.

    Raises:
        NotARoot: It is in no synced folder.
        Unavailable: The server is away. Nothing is known then.

    Cost: the server reads all of it back, and so does this device unless it is quick.
    """
    path = path.expanduser().absolute()
    root = get_root(settings, path)

    async def run() -> Receipt:
        async with opened_remote(settings, root) as remote:
            return await _make(remote, root, path, notices, is_quick=is_quick)

    return asyncio.run(run())


async def _make(
    remote: HttpRemote, root: RootLine, path: Path, notices: Notices, *, is_quick: bool
) -> Receipt:
    checked_ns = SystemClock().now_ns()
    inside = path_inside(root, path)
    stored = await find_remote(remote, root, inside) if inside else None
    there = None if stored is None else stored.entry
    here = _find_stat(path)
    is_folder_here = here is not None and modes.S_ISDIR(here.st_mode)
    is_folder = not inside or is_folder_here or (there is not None and there.kind == Kind.FOLDER)
    remote_entries: dict[str, Entry] = {}
    if not inside:
        remote_entries = await list_remote(remote, FileId(root.folder_id))
    elif there is not None and there.kind == Kind.FOLDER:
        remote_entries = await list_remote(remote, there.file_id)
    pairs = [_Pair(path, here, there)] if inside else []
    if is_folder_here:
        pairs += _pair_below(path, remote_entries, names_on(root), is_root=not inside)
    met = {pair.there.file_id for pair in pairs if pair.there is not None and pair.here is not None}
    certifier = _Certifier(remote, notices, pairs, is_quick=is_quick)
    lines = [line for part in _cut(pairs) for line in await certifier.certify(part)]
    committed_ns, account, device = (0, "", "")
    if there is not None and there.kind == Kind.FILE:
        committed_ns, account, device = await _find_commit(remote, there.file_id, there.rev)
    unsafe = [line for line in lines if not line.is_safe]
    return Receipt(
        path=show(path),
        root=show(root.path),
        remote_path=show(remote_path_of(root, inside)),
        is_safe=not unsafe,
        checked_ns=checked_ns,
        is_quick=is_quick,
        files_count=len(lines),
        safe_count=len(lines) - len(unsafe),
        bytes_count=sum(line.size_bytes for line in lines if line.is_safe),
        remote_only_count=sum(entry.file_id not in met for entry in remote_entries.values()),
        entry=lines[0] if lines and not is_folder else None,
        file_id="" if there is None else format_id(there.file_id),
        committed_ns=committed_ns,
        account=account,
        device=device,
        unsafe=unsafe[:_UNSAFE_TOLD_MAX],
    )


class _Certifier:
    """Has the server verify entries, and compares them with what is here."""

    def __init__(
        self, remote: HttpRemote, notices: Notices, pairs: Sequence[_Pair], *, is_quick: bool
    ) -> None:
        self._remote = remote
        self._notices = notices
        self._is_quick = is_quick
        self._files_done = self._bytes_done = 0
        self._files_total = len(pairs)
        self._bytes_total = sum(0 if pair.here is None else _size(pair.here) for pair in pairs)

    async def certify(self, pairs: Sequence[_Pair]) -> list[FileReceipt]:
        """Returns a line for each pair, in order."""
        contents = [p.there.content for p in pairs if p.there is not None and p.there.content]
        found, blocks = await asyncio.gather(
            asyncio.to_thread(self._look, pairs), self._verify(contents)
        )
        lines = [
            _judge(pair, here, blocks)
            for pair, here in zip(pairs, found, strict=True)
        ]  # fmt: skip
        self._files_done += len(pairs)
        self._advance(0)
        return lines

    def _look(self, pairs: Sequence[_Pair]) -> list["_Here"]:
        return [self._look_at(pair) for pair in pairs]

    def _look_at(self, pair: _Pair) -> "_Here":
        """Compares what is here with the server's entry. Reads the file. Disk only."""
        path, here, there = pair
        if here is None:
            return _Here("nothing")
        if there is None:
            self._advance(_size(here))
            return _Here("other")
        if not _is_same_kind(here, there):
            return _Here("other")
        if there.content is None:
            is_same = there.kind == Kind.FOLDER or str(path.readlink()) == there.target
            return _Here("same" if is_same else "other")
        if here.st_size != there.content.size_bytes:
            self._advance(_size(here))
            return _Here("other")
        if self._is_quick:
            self._advance(_size(here))
            return _Here("alike" if here.st_mtime_ns == there.mtime_ns else "other")
        try:
            found = hash_file(path, self._advance)
        except (DiskProblem, Unavailable) as error:
            return _Here("other", error.message, error.advice)
        return _Here("same" if found == there.content.content_hash else "other")

    async def _verify(self, contents: Sequence[Content]) -> "_Blocks":
        """Has the server read back what contents are made of."""
        blocks = _Blocks({}, set())
        chunked = {content.root: content for content in contents if content.chunked}
        for part in cut_asked((root, 0) for root in chunked):
            blocks.lacking.update(await self._remote.ask(part, verify=True))
        for content in contents:
            if not content.chunked and content.root:
                blocks.needed[content.root] = [(content.root, content.size_bytes)]
        readable = [root for root in chunked if root not in blocks.lacking]
        wanted: list[tuple[BlockId, BlockId | None]] = [(root, None) for root in readable]
        if wanted:
            async for group in self._remote.fetch_blocks(wanted, lambda _: None):
                for root, data in group:
                    if isinstance(data, Corrupt):
                        blocks.lacking.add(root)
                        continue
                    chunks = chunks_of(chunked[root], decode_manifest(data))
                    blocks.needed[root] = [(root, 0)] + [
                        (chunk.block_id, chunk.length_bytes) for chunk in chunks
                    ]
        asked = (one for needed in blocks.needed.values() for one in needed)
        for part in cut_asked(asked):
            blocks.lacking.update(await self._remote.ask(part, verify=True))
        return blocks

    def _advance(self, more_bytes: int) -> None:
        self._bytes_done += more_bytes
        self._notices.advance(
            "verify", self._files_done, self._files_total, self._bytes_done, self._bytes_total
        )


class _Here(NamedTuple):
    """How what is here compares; why it could not be read, if so."""

    verdict: str
    trouble: str = ""
    advice: str = ""


class _Blocks(NamedTuple):
    """Blocks by the root of the content that needs them, with lengths; and which are lacking."""

    needed: dict[BlockId, list[tuple[BlockId, int]]]
    lacking: set[BlockId]


def _judge(pair: _Pair, here: _Here, blocks: _Blocks) -> FileReceipt:
    path, _, there = pair
    shown = show(path)
    if not is_text(str(path)):
        return FileReceipt(
            shown,
            is_safe=False,
            code="name-not-utf8",
            message="its name is not valid UTF-8, so the server never got it",
            advice="Rename it.",
        )
    if there is None:
        return FileReceipt(
            shown,
            is_safe=False,
            code="not-on-server",
            message="the server has nothing at this path: it is new, left out, or deleted there",
            advice=_WHY,
            here=here.verdict,
        )
    needed = [] if there.content is None else blocks.needed.get(there.content.root, [])
    names = {name for name, _ in needed}
    lacking = names & blocks.lacking
    is_unlisted = there.content is not None and there.content.root in blocks.lacking
    told = FileReceipt(
        shown,
        is_safe=False,
        code="damaged",
        message=f"{len(lacking) or 1} of its {len(names) or 1} blocks cannot be read back on the"
        " server",
        advice="If a device still has the file, send it again: drystone doctor --repair",
        kind=there.kind.name.lower(),
        here=here.verdict,
        size_bytes=0 if there.content is None else there.content.size_bytes,
        content_hash="" if there.content is None else there.content.content_hash.hex(),
        rev=format_rev(there.rev) if there.rev else "",
        blocks_count=len(names - lacking),
    )
    if lacking or is_unlisted:
        return told
    if here.trouble:
        return told._replace(code="unreadable", message=here.trouble, advice=here.advice)
    if here.verdict == "other":
        message = "what is here is not what the server has: one of them changed since"
        return told._replace(code="differs", message=message, advice=_WHY)
    return told._replace(is_safe=True, code="safe", message=_SAFE[here.verdict], advice="")


_SAFE: Final = {
    "same": "the server holds it, verified, and what is here is the same",
    "alike": "the server holds it, verified; what is here has the same size and time, and was not"
    " read",
    "nothing": "the server holds it, verified; there is no copy here",
}


async def _find_commit(remote: HttpRemote, file_id: FileId, rev: Rev) -> tuple[int, str, str]:
    """Returns when a revision was first committed, and by which account on which device."""
    found = (0, "", "")
    for stored, line in await remote.list_revisions(file_id):
        if stored.entry.rev == rev and stored.action in _COMMITS_CONTENT:
            found = line.at_ns, line.account, line.device
    return found


_COMMITS_CONTENT: Final = (Action.CREATE, Action.EDIT, Action.RESTORE)


def _pair_below(
    top: Path, remote_entries: dict[str, Entry], names: NameTraits, *, is_root: bool
) -> list[_Pair]:
    """Returns all that is below a local folder, with what the server has at the same path, names
    being what they stand for on this disk.

    What could never be synced (pipes, sockets, devices) is left out, as is our own folder.
    """
    pairs: list[_Pair] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name, found in _iter_folder(top / folder):
            if is_root and not folder and name == CONTROL_NAME:
                continue
            inside = f"{folder}/{name}" if folder else name
            there = remote_entries.get(true_path(inside, names))
            pairs.append(_Pair(top / inside, found, there))
            if modes.S_ISDIR(found.st_mode):
                waiting.append(inside)
    return sorted(pairs, key=lambda pair: str(pair.path))


def _iter_folder(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if _kind_of(found) is not None:
                    yield entry.name, found
    except OSError as error:
        raise DiskProblem(
            f"{path} cannot be listed: {error.strerror}", advice="Correct its permissions."
        ) from error


def _find_stat(path: Path) -> os.stat_result | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DiskProblem(
            f"{path} cannot be looked at: {error.strerror}", advice="Correct that, and try again."
        ) from error
    return found


def _kind_of(found: os.stat_result) -> Kind | None:
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            return kind
    return None


_KINDS: Final[tuple[tuple[Callable[[int], bool], Kind], ...]] = (
    (modes.S_ISREG, Kind.FILE),
    (modes.S_ISDIR, Kind.FOLDER),
    (modes.S_ISLNK, Kind.SYMLINK),
)


def _is_same_kind(here: os.stat_result, there: Entry) -> bool:
    return _kind_of(here) == there.kind


def _size(here: os.stat_result) -> int:
    return here.st_size if modes.S_ISREG(here.st_mode) else 0


def _cut(pairs: Sequence[_Pair]) -> Iterator[list[_Pair]]:
    """Yields pairs in parts of about the same work."""
    part: list[_Pair] = []
    part_bytes = 0
    for pair in pairs:
        length = 0 if pair.here is None else _size(pair.here)
        if part and (part_bytes + length > _BYTES_AT_ONCE or len(part) >= _FILES_AT_ONCE):
            yield part
            part, part_bytes = [], 0
        part.append(pair)
        part_bytes += length
    if part:
        yield part
