# SPDX-License-Identifier: Apache-2.0
"""Duties in the metadata, told by this process's clock."""

from drystone.core.instant import NS_PER_S
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata


class MetadataDuties:
    """Implements the port ``Duties``: each call one unit of work. Blocks; for threads and commands.

    Background work on an event loop takes a ``workers.duty.Duty``.
    """

    def __init__(self, metadata: Metadata, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock

    def take(self, name: str, holder: str, lasts_s: float) -> bool:
        """Takes a duty for so long, or prolongs it; tells whether the holder has it now."""
        now_ns, lasts_ns = self._clock.now_ns(), round(lasts_s * NS_PER_S)
        return self._metadata.write(lambda unit: unit.duties.take(name, holder, now_ns, lasts_ns))

    def renew(self, name: str, holder: str, lasts_s: float) -> bool:
        """Prolongs a duty that the holder has; False if it was lost."""
        now_ns, lasts_ns = self._clock.now_ns(), round(lasts_s * NS_PER_S)
        return self._metadata.write(lambda unit: unit.duties.renew(name, holder, now_ns, lasts_ns))

    def release(self, name: str, holder: str) -> None:
        """Lets go of a duty; nothing happens if the holder does not have it."""
        self._metadata.write(lambda unit: unit.duties.release(name, holder))
