# SPDX-License-Identifier: Apache-2.0
"""Below: listing folders, and all that lives below one, page by page.

A walk lists one folder's children by name, then goes into its folders in the same order:

    a/  b/  c.txt          first these,
    a/x  a/y               then those of a, before those of b
    b/z

Where a page ends is told by names alone: the names of the folders down to the one being
listed, and the last name listed there. So a page costs what it holds and the folders it walks
through, however large the tree; and if one of those folders is gone by the time of the next
page, the walk goes on behind the place where it stood.
"""

import json
from typing import Final, NamedTuple

from drystone.core import limits
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.journal.record import StoredEntry
from drystone.core.names.path import find_name_fault
from drystone.server.ports.metadata import MalformedPage
from drystone.server.storage.metadata_sql.rows import STORED_COLUMNS, parse_stored
from drystone.server.storage.metadata_sql.session import Session


class _Frame(NamedTuple):
    """A folder that the walk is in.

    Attributes:
        folder_id: The folder.
        name: Its name; ``""`` for the one where the walk began.
        ahead: Its folders that the walk has yet to go into, last one first.
    """

    folder_id: FileId
    name: str
    ahead: list[tuple[FileId, str]]


class Walk:
    """Listings of one namespace, inside one unit of work."""

    def __init__(self, session: Session, ns: int) -> None:
        self._session = session
        self._ns = ns

    def list_children(self, parent_id: FileId, after_name: str, limit: int) -> list[StoredEntry]:
        """Returns a page of a folder's undeleted entries, by name."""
        values = {
            "ns": self._ns,
            "parent_id": parent_id,
            # What no name can hold stands somewhere among those that there are; no name has a
            # NUL, so what comes behind "a\0b" comes behind "a".
            "after_name": after_name.encode("utf-8", "replace").decode().partition("\0")[0],
            "limit": limit,
        }
        return [parse_stored(row) for row in self._session.execute(_LIST_CHILDREN, values)]

    def list_below(
        self, folder_id: FileId, after: str, limit: int
    ) -> tuple[list[StoredEntry], str]:
        """Returns a page of what lives below a folder, and where the next one begins."""
        assert limit > 0
        names = _parse_page(after)
        if not self._is_living_folder(folder_id):
            return [], ""
        page: list[StoredEntry] = []
        frames, last_name = self._resume(folder_id, names)
        while frames:
            here = frames[-1]
            if last_name is not None:
                page += self.list_children(here.folder_id, last_name, limit - len(page))
                if len(page) == limit:
                    names = [frame.name for frame in frames[1:]]
                    return page, json.dumps([*names, page[-1].entry.name])
                here.ahead.extend(self._list_folders_backwards(here.folder_id, ""))
                last_name = None
            if here.ahead:
                child_id, child_name = here.ahead.pop()
                frames.append(_Frame(child_id, child_name, []))
                last_name = ""
            else:
                frames.pop()
        return page, ""

    def _resume(self, folder_id: FileId, names: list[str]) -> tuple[list[_Frame], str | None]:
        """Returns the folders that the walk was in when a page ended, and the last name listed.

        If one of them is gone, the walk is in the one above it, which has been listed (None),
        and goes on with the folders behind.
        """
        frames = [_Frame(folder_id, "", [])]
        if not names:
            return frames, ""
        for name in names[:-1]:
            here = frames[-1]
            here.ahead.extend(self._list_folders_backwards(here.folder_id, name))
            values = {"ns": self._ns, "parent_id": here.folder_id, "name": name}
            found = self._session.execute(_FIND_FOLDER, values).fetchone()
            if found is None:
                return frames, None
            frames.append(_Frame(found[0], name, []))
        return frames, names[-1]

    def _list_folders_backwards(self, parent_id: FileId, behind: str) -> list[tuple[FileId, str]]:
        values = {"ns": self._ns, "parent_id": parent_id, "behind": behind}
        return self._session.execute(_LIST_FOLDERS_BACKWARDS, values).fetchall()

    def _is_living_folder(self, folder_id: FileId) -> bool:
        values = {"ns": self._ns, "folder_id": folder_id, "root_id": ROOT_ID}
        return self._session.execute(_IS_LIVING_FOLDER, values).fetchone() is not None


def _parse_page(after: str) -> list[str]:
    """Returns the names that tell where a page begins; none for the first one."""
    if not after:
        return []
    try:
        names = json.loads(after)
    except (ValueError, RecursionError) as error:
        raise MalformedPage from error
    if not isinstance(names, list) or not 0 < len(names) <= limits.DEPTH_MAX + 1:
        raise MalformedPage
    if any(not isinstance(name, str) or find_name_fault(name) for name in names):
        raise MalformedPage
    return names


_LIST_CHILDREN: Final = f"""
    SELECT {STORED_COLUMNS}
    FROM entry AS e LEFT JOIN record AS r ON r.ns = :ns AND r.seq = e.seq
    WHERE e.ns = :ns AND e.parent_id = :parent_id AND e.name > :after_name AND e.deleted = 0
    ORDER BY e.name
    LIMIT :limit
"""

_LIST_FOLDERS_BACKWARDS: Final = """
    SELECT e.file_id, e.name
    FROM entry AS e
    WHERE e.ns = :ns AND e.parent_id = :parent_id AND e.name > :behind
        AND e.deleted = 0 AND e.kind = 2
    ORDER BY e.name DESC
"""

_FIND_FOLDER: Final = """
    SELECT e.file_id
    FROM entry AS e
    WHERE e.ns = :ns AND e.parent_id = :parent_id AND e.name = :name
        AND e.deleted = 0 AND e.kind = 2
"""

_IS_LIVING_FOLDER: Final = """
    WITH RECURSIVE up (file_id) AS (
        SELECT :folder_id
        UNION ALL
        SELECT e.parent_id
        FROM up
            LEFT JOIN entry AS e ON e.ns = :ns AND e.file_id = up.file_id AND e.deleted = 0
                AND e.kind = 2
        WHERE coalesce(e.seq, 0) > 0
    )
    SELECT 1 FROM up WHERE file_id = :root_id
"""
