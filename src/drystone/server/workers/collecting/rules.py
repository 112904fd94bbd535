# SPDX-License-Identifier: Apache-2.0
"""Rules: what may be collected, and when."""

from typing import NamedTuple

from drystone.core.limits import (
    COLLECT_AGE_S,
    COLLECT_THIN_PERCENT,
    COLLECT_UNHELD_S,
    QUARANTINE_S,
    REMOVED_REMEMBERED_S,
)


class CollectRules(NamedTuple):
    """What may go, and when.

    Attributes:
        age_s: What a namespace was first seen to need no more goes so many seconds later, unless
            somebody has asked for it since; objects that the index does not know go at this age.
        history_s: For how long what was replaced or deleted can be restored; 0: for ever.
        quarantine_s: For how long the object of a retired pack stays where it is.
        thin_percent: A pack of which less than this is in use is compacted; 0: none is.
        remembered_s: For how long it is remembered that an object was removed.
    """

    age_s: int = COLLECT_AGE_S
    history_s: int = 0
    quarantine_s: int = QUARANTINE_S
    thin_percent: int = COLLECT_THIN_PERCENT
    remembered_s: int = REMOVED_REMEMBERED_S

    @property
    def unheld_s(self) -> int:
        """How long a block that nobody holds is left in the index."""
        return min(self.age_s, COLLECT_UNHELD_S)
