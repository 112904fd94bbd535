# SPDX-License-Identifier: Apache-2.0
"""Tenant: which server's database the objects of a store belong to, kept in both.

Whoever collects removes what its database does not know. Two databases above one place would
remove each other's packs; and a server above an empty place, because a bucket's name has a typing
error in it, would find everything lost. So both keep the same few bytes by chance, and a server
begins only where they agree.

Objects in the data directory (``files``) are moved with the database, and need none of this.
"""

import re
import secrets
from typing import Final

import structlog

from drystone.core.errors import Misconfigured
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.objects import Objects, ObjectStoreFull

log = structlog.get_logger()

TENANT: Final = "server/tenant"
"""The object that tells it, and in the metadata the secret of this name."""

_BYTES: Final = 16
_TEXT: Final = re.compile(r"[0-9a-f]{32}\n?")


class ObjectsOfAnother(Misconfigured):
    """The place that the setting ``objects`` names holds what belongs to another database."""

    code = "objects-of-another"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the objects at the place that the settings name are not this server's: {what}",
            advice="Let `database` and `objects` be those of one server. A second server wants a"
            " place of its own (another bucket, or another folder in it); a lost database is made"
            " anew with `drystone admin rebuild`.",
        )


class ObjectsMissing(Misconfigured):
    """The database knows of packs, and the place that the settings name holds nothing."""

    code = "objects-missing"

    def __init__(self, tenant: bytes) -> None:
        super().__init__(
            "the place that the setting `objects` names is empty, and the database knows of packs",
            advice="Name the place where they lie, or bring them there. If they are lost for good,"
            f" and devices shall send again what they have, put an object {TENANT} there that"
            f" holds {tenant.hex()}.",
        )


def move_in(metadata: Metadata, objects: Objects) -> None:
    """Lets a server begin above a place, which is its own from then on.

    Cost: one small object is read; the first time one is written, and a page is listed.

    Raises:
        ObjectsOfAnother, ObjectsMissing: As their names say. Nothing was changed.
    """
    found = _find(objects)
    known = metadata.read(_find_known)
    require_tenant(metadata, objects, found=found)
    if found is not None:
        return
    is_new = not any(True for _ in objects.iter_names("packs/"))
    if known is not None and is_new and metadata.read(_has_packs):
        raise ObjectsMissing(known)
    if known is None and not is_new and not metadata.read(_has_accounts):
        raise ObjectsOfAnother("there are packs, and the database is new")
    adopt(metadata, objects)


def require_tenant(metadata: Metadata, objects: Objects, *, found: bytes | None = None) -> None:
    """Raises ``ObjectsOfAnother`` if a place is another server's. Changes nothing."""
    found = found or _find(objects)
    if found is not None and found != metadata.read(_find_known):
        raise ObjectsOfAnother("they belong to another database")


def adopt(metadata: Metadata, objects: Objects) -> None:
    """Lets metadata and a place belong together: as the place says, if it says something."""
    found = _find(objects)
    tenant = found or secrets.token_bytes(_BYTES)
    kept = metadata.write(lambda unit: unit.shared.keep_secret(TENANT, tenant))
    if found is None:
        try:
            objects.put(TENANT, [f"{kept.hex()}\n".encode("ascii")])
        except ObjectStoreFull:
            # What is there can be read all the same; it is told at the next start.
            log.warning("tenant.not-kept")


def _find(objects: Objects) -> bytes | None:
    """Returns what a place says; None if it says nothing."""
    length_bytes = objects.find_length(TENANT)
    if length_bytes is None:
        return None
    try:
        [content] = objects.read(TENANT, [(0, min(length_bytes, 100))])
    except FileNotFoundError:
        return None
    text = bytes(content).decode("ascii", errors="replace")
    if not _TEXT.fullmatch(text):
        raise ObjectsOfAnother(f"{TENANT} is no name of a database")
    return bytes.fromhex(text)


def _find_known(unit: Unit) -> bytes | None:
    return unit.shared.find_secret(TENANT)


def _has_packs(unit: Unit) -> bool:
    return unit.blocks.totals()["packs"] > 0


def _has_accounts(unit: Unit) -> bool:
    return bool(unit.accounts.list_accounts())
