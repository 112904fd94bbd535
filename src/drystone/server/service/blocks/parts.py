# SPDX-License-Identifier: Apache-2.0
"""Parts: packs that travel to the object store in pieces, and become one object when all are there.

The store itself is asked what it has. What a device says of its parts counts for nothing.
"""

from collections.abc import Iterator

from drystone.core.errors import Refused
from drystone.core.ids import BLOCK_ID_BYTES
from drystone.core.limits import DIRECT_PART_BYTES
from drystone.server.ports.arrivals import Arrival
from drystone.server.ports.signing import Part, Signing


class PackMissing(Refused):
    """A pack is said to have arrived, and does not stand in the object store."""

    code = "pack-missing"

    def __init__(self, what: str = "the pack does not stand") -> None:
        super().__init__(f"{what} in the object store", advice="Put it there, then say so.")


class PackLength(Refused):
    """A pack stands in the object store, and is shorter or longer than was said."""

    code = "pack-length"

    def __init__(self, found_bytes: int, told_bytes: int) -> None:
        super().__init__(
            f"the pack in the object store has {found_bytes:,} bytes instead of {told_bytes:,}",
            advice="Ask for another ticket, and put it again.",
        )


def iter_parts(length_bytes: int) -> Iterator[tuple[int, int]]:
    """Yields offset and length of each part of a pack, in order."""
    for offset_bytes in range(0, length_bytes, DIRECT_PART_BYTES):
        yield offset_bytes, min(DIRECT_PART_BYTES, length_bytes - offset_bytes)


def part_hash(parts: bytes, number: int) -> bytes:
    """Returns the SHA-256 that a part shall have, out of those of an offer."""
    return parts[(number - 1) * BLOCK_ID_BYTES : number * BLOCK_ID_BYTES]


def is_as_expected(part: Part, arrival: Arrival, parts: bytes) -> bool:
    """Tells whether a part stands in the store as it was offered, as far as the store tells."""
    lengths = [length_bytes for _, length_bytes in iter_parts(arrival.length_bytes)]
    if not 1 <= part.number <= len(lengths) or part.length_bytes != lengths[part.number - 1]:
        return False
    return part.checksum is None or part.checksum == part_hash(parts, part.number)


def list_parts(signing: Signing, arrival: Arrival) -> list[Part] | None:
    """Returns the parts that the store has; None if it knows of no such upload (any more)."""
    try:
        return signing.list_parts(arrival.name, arrival.upload)
    except FileNotFoundError:
        return None


def complete_parts(signing: Signing, arrival: Arrival) -> PackMissing | PackLength | None:
    """Makes one object of an arrival's parts, if the store has them all, and only them, each of its
    length; returns what is wrong otherwise.

    Done already, it changes nothing: whether the object stands is for the caller to see.
    """
    found = list_parts(signing, arrival)
    if found is None:
        return None
    expected = {n: length for n, (_, length) in enumerate(iter_parts(arrival.length_bytes), 1)}
    missing = expected.keys() - {part.number for part in found}
    if missing:
        numbers = ", ".join(map(str, sorted(missing)))
        return PackMissing(f"part {numbers} of {len(expected)} of the pack does not stand")
    if {part.number: part.length_bytes for part in found} != expected:
        return PackLength(sum(part.length_bytes for part in found), arrival.length_bytes)
    try:
        signing.complete_parts(arrival.name, arrival.upload, found)
    except (FileNotFoundError, FileExistsError):
        return None
    return None
