# SPDX-License-Identifier: Apache-2.0
"""Ledger: what people wrote and what they themselves destroyed: from it follows what must be."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from drystone.core.ids import FileId
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.disk import Inode

_LARGE_BYTES: Final = 600_000
_NOISE_BYTES: Final = 160


class Broken(AssertionError):
    """A law does not hold.

    Attributes:
        law: Which: a short name, the same for all worlds in which it breaks.
    """

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law


class Ledger:
    """All contents of a world by what became of them.

    Args:
        find_entry: Tells as which entry a device's client knows an inode (None if it does not),
            and whether it knows that the server has that.

    Attributes:
        made: Each content that somebody wrote, and who.
        makings: How often each was written or copied, by whomever.
        destroyed: Those that a person overwrote or deleted, and as which entries: None where the
            client did not know yet what that was. As those entries they need not be anywhere but
            in the history, if they ever came there.
        ended: Those that were destroyed where the client knew that the server had them.
        moved: Those that a person moved, or whose attributes they changed, and on which devices.
        torn: Those that a failing machine left behind.
        taken: Those that a failing machine took before it is known that the server had them.
        lied_about: Those that it took although its disk had said that they were safe: that they
            are gone looks like a person's deed. They need only be in the history.
    """

    def __init__(
        self,
        find_entry: Callable[[str, Inode], tuple[FileId | None, bool]] = lambda _, __: (
            None,
            False,
        ),
    ) -> None:
        self._find_entry = find_entry
        self.made: dict[bytes, str] = {}
        self.makings: Counter[bytes] = Counter()
        self.destroyed: dict[bytes, set[FileId | None]] = {}
        self.ended: set[bytes] = set()
        self.moved: dict[bytes, set[str]] = {}
        self.torn: dict[bytes, None] = {}
        self.taken: dict[bytes, None] = {}
        self.lied_about: dict[bytes, None] = {}

    def write(self, who: str, content: bytes) -> None:
        """Somebody writes something."""
        self.made.setdefault(content, who)
        self.makings[content] += 1

    def destroy(self, who: str, inode: Inode) -> None:
        """Somebody gives up what stands somewhere, a folder with all below it."""
        for file in list_files(inode):
            file_id, is_agreed = self._find_entry(who, file)
            self.destroyed.setdefault(file.content, set()).add(file_id)
            if is_agreed:
                self.ended.add(file.content)

    def move(self, who: str, inode: Inode) -> None:
        """Somebody changes where something stands, or its attributes, and no content."""
        for file in list_files(inode):
            self.moved.setdefault(file.content, set()).add(who)

    def take(
        self, before: Sequence[bytes], after: Sequence[bytes], *, is_lying: bool = False
    ) -> None:
        """A machine failed: there were these contents on its disk, and now there are those."""
        for content in after:
            if content not in self.made:
                self.torn[content] = None
        kept = set(after)
        gone = [content for content in before if content not in kept]
        self.taken.update(dict.fromkeys(gone))
        if is_lying:
            self.lied_about.update(dict.fromkeys(gone))

    def is_known(self, content: bytes) -> bool:
        """Tells whether somebody wrote this, whole."""
        return content in self.made or content in self.torn


def list_contents(inode: Inode) -> list[bytes]:
    """Returns the contents of all files at and below an inode."""
    return [file.content for file in list_files(inode)]


def list_files(inode: Inode) -> list[Inode]:
    """Returns all files at and below an inode."""
    found = [inode] if inode.kind == Kind.FILE else []
    for child in inode.names.values():
        found += list_files(child)
    return found


def make_content(number: int, size: str = "small") -> bytes:
    """Returns a content of its own; those of a size are equally long."""
    if size == "empty":
        return b""
    line = b"content %06d\n" % number
    if size == "noise":
        return Random(number).randbytes(_NOISE_BYTES)
    if size == "large":
        body = bytearray(bytes(range(256)) * (_LARGE_BYTES // 256))
        for block in range(0, len(body), 4096):
            body[block : block + 8] = b"%08d" % (block * 7919 % 99_999_989)
        place = number * 37_199 % (_LARGE_BYTES - 4096)
        body[place : place + len(line)] = line
        return bytes(body)
    return line * 40 if size == "long" else line


def show_content(content: bytes) -> str:
    """Returns a content for a message."""
    return repr(content[:15].decode(errors="replace").strip()) + f" ({len(content)} bytes)"
