# SPDX-License-Identifier: Apache-2.0
"""The gate: the only way to a namespace or an entry. One condition per line.

What an actor may not see answers exactly as what does not exist: same error, same text, same
work done before it. Every verb of the service that names a namespace passes here first, inside
the unit of work in which it reads or writes, so that a right taken away counts at once.
"""

from collections.abc import Callable

from drystone.core.errors import Refused
from drystone.core.ids import FileId, NamespaceId
from drystone.core.journal.record import StoredEntry
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor


class NamespaceNotFound(Refused):
    """The namespace does not exist, or is not the caller's to see: the two look alike."""

    code = "namespace-not-found"

    def __init__(self, namespace_id: NamespaceId) -> None:
        super().__init__(
            f"there is no namespace {namespace_id.hex()} that this device may open",
            advice="Sign in to the account that owns it, or ask its owner to share it.",
        )


class EntryNotFound(Refused):
    """No such entry in this namespace, now or ever."""

    code = "entry-not-found"

    def __init__(self, shown: str) -> None:
        super().__init__(
            f"there is no {shown} in this namespace",
            advice="It may have been moved or deleted: list the folder or the deleted entries.",
        )


def require_namespace(unit: Unit, actor: Actor, namespace_id: NamespaceId) -> None:
    """Returns if the actor may open the namespace.

    Raises:
        NamespaceNotFound: It may not, or there is none.
    """
    if not unit.tree.may_open(actor.account_id, namespace_id):
        raise NamespaceNotFound(namespace_id)


def opens(actor: Actor, namespace_id: NamespaceId) -> Callable[[Unit], None]:
    """Returns ``require_namespace`` as a work, for who reads in several units of work."""
    return lambda unit: require_namespace(unit, actor, namespace_id)


def require_entry(
    unit: Unit, actor: Actor, namespace_id: NamespaceId, file_id: FileId
) -> StoredEntry:
    """Returns an entry as its last record left it; a deleted one too.

    Raises:
        NamespaceNotFound: The actor may not open the namespace.
        EntryNotFound: No record of the namespace tells of such an entry.
    """
    require_namespace(unit, actor, namespace_id)
    found = unit.tree.find_entries(namespace_id, (file_id,)).get(file_id)
    if found is None:
        raise EntryNotFound(f"entry {file_id.hex()}")
    return found
