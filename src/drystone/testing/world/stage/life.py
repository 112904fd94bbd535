# SPDX-License-Identifier: Apache-2.0
"""Life: one run of a process, which may end between any two of its effects."""

from collections.abc import Callable

from drystone.testing.world.stage.timeline import Killed


class Life:
    """From the start of a process to its end.

    Whatever has an effect outside of the process (a disk, a database, a request) passes
    ``meet`` before and after it. Once the life has ended nothing passes: what the program still
    does to clean up, a killed one would not have done.

    Args:
        end: Called once, at the end, before anything else can happen.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self.is_alive = True
        self.effects_count = 0
        self._end = end
        self._effects_left: int | None = None

    def meet(self) -> None:
        """Passes a point at which the process may be killed.

        Raises:
            Killed: It has ended, now or before.
        """
        if not self.is_alive:
            raise Killed
        self.effects_count += 1
        if self._effects_left is not None:
            self._effects_left -= 1
            if self._effects_left < 0:
                self.end()
                raise Killed

    def end_after(self, effects_count: int) -> None:
        """Ends it after so many more effects."""
        self._effects_left = effects_count

    def spare(self) -> None:
        """Takes ``end_after`` back."""
        self._effects_left = None

    def end(self) -> None:
        """Ends it. Idempotent."""
        if self.is_alive:
            self.is_alive = False
            self._end()
