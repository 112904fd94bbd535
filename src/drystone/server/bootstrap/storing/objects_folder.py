# SPDX-License-Identifier: Apache-2.0
"""A folder of the operator's own choice for packs: ``file:///srv/packs``.

Such a folder is often a disk of its own, and one day the disk is not mounted: then an empty folder
stands in its place, and a server that took it would find all blocks lost and write new ones beneath
the mount. So the folder is marked when it is first used, and the data directory remembers the mark.
"""

import os
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.data_dir import ServerHome

MARK: Final = ".drystone-objects"
"""In the folder: names it. Begins with a dot, so it is no object."""

MEMORY: Final = "objects.place"
"""In the data directory: the name of the folder that was used last."""


class UnusableObjectsFolder(Misconfigured):
    """The folder that the setting ``objects`` names cannot be used, or is not the one it was."""

    code = "unusable-objects-folder"


def is_folder(objects: str) -> bool:
    """Tells whether a setting ``objects`` names a folder, in the data directory or elsewhere."""
    return objects == "files" or objects.startswith("file:")


def locate_objects(objects: str, data_dir: ServerHome) -> Path:
    """Returns the folder that a setting ``objects`` names.

    Raises:
        UnusableObjectsFolder: As ``find_objects_folder``.
    """
    if objects == "files":
        return data_dir.objects_path
    return find_objects_folder(objects, data_dir.path)


def find_objects_folder(url: str, data_dir: Path) -> Path:
    """Returns the folder that an address names, marked and known.

    Args:
        url: ``file:///absolute/path``.
        data_dir: Remembers which folder it was.

    Raises:
        UnusableObjectsFolder: It is no such address, there is no such folder, it may not be
            written to, or it is another one than the last time.
    """
    folder = _parse(url)
    if folder.resolve().is_relative_to(data_dir.resolve()):
        raise UnusableObjectsFolder(
            f"the folder for objects, {folder}, lies in the data directory",
            advice="Leave the setting `objects` away, or name a folder elsewhere.",
        )
    try:
        if not folder.is_dir():
            raise UnusableObjectsFolder(
                f"the folder for objects, {folder}, is not there",
                advice="Mount its disk; or make it, if it is to be a new one.",
            )
        _recognize(folder, data_dir / MEMORY)
    except OSError as error:
        raise UnusableObjectsFolder(
            f"the folder for objects, {folder}, cannot be used: {error.strerror}",
            advice="Check that the server's user owns it, and its disk.",
        ) from error
    return folder


def _parse(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    is_plain = parts.netloc in ("", "localhost") and not parts.query and not parts.fragment
    if not is_plain or not path.startswith("/") or "\0" in path:
        raise UnusableObjectsFolder(
            f"{url} is no address of a folder",
            advice="Write file:// and the absolute path of the folder: file:///srv/packs.",
        )
    return Path(path)


def _recognize(folder: Path, memory: Path) -> None:
    """Compares a folder's mark with the one remembered; makes what is missing of both.

    Raises:
        UnusableObjectsFolder: They differ.
        OSError: One cannot be read or written.
    """
    remembered = _read(memory)
    mark = _read(folder / MARK)
    if remembered and mark != remembered:
        found = "another server's" if mark else "not marked, as if it were new"
        raise UnusableObjectsFolder(
            f"the folder for objects, {folder}, is not the one it was: it is {found}",
            advice="Mount the disk that holds the objects. If another folder is meant, and holds"
            f" them all, remove {memory}.",
        )
    if not mark:
        mark = secrets.token_hex(16)
        _write(folder / MARK, mark)
    if not remembered:
        _write(memory, mark)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""


def _write(path: Path, text: str) -> None:
    """Writes a file durably, whole or not at all; the folder is known to be writable then."""
    incoming = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{text}\n".encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    incoming.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
