# SPDX-License-Identifier: Apache-2.0
"""Chance: one seed, and from it a stream of numbers for each who needs one.

What one draws does not change what another one gets, so that a script of which a part was left
out still meets most of the same accidents.
"""

from random import Random


class Chance:
    """See the module.

    Args:
        seed: Of the whole world.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, name: str) -> Random:
        """Returns the numbers of one user, network or disk: the same for the same seed.

        A text as seed is hashed by ``random`` itself, so that it is the same in each process.
        """
        return Random(f"{self.seed}/{name}")
