# SPDX-License-Identifier: Apache-2.0
"""Rewind: what it means for one entry that the server was put back to an earlier state.

Synced says what both sides had agreed on. What of that the server no longer knows was not deleted
by anybody, and what it has instead is not newer because it is different.
"""

from enum import IntEnum

from drystone.core.ids import Seq
from drystone.core.journal.record import StoredEntry
from drystone.core.tree.entry import Entry


class Standing(IntEnum):
    """How synced and a server that was put back stand to each other in one entry."""

    KNOWN = 0
    """What the server says is a change like any other of what was agreed on."""
    SAME = 1
    """The server lost what was agreed on, and has the same again."""
    OLDER = 2
    """The server has what was before: what was agreed on is news to it."""
    PARTED = 3
    """The server lost what was agreed on, and has got another content since."""
    LOST = 4
    """The server does not have it any more, and nobody deleted what was agreed on."""


def is_lost(known: Entry, known_seq: Seq, rewound_to: Seq | None) -> bool:
    """Tells whether a server that was put back no longer has the state that was agreed on.

    Args:
        known: That state.
        known_seq: Of the record that said so; 0 if it is not known.
        rewound_to: Up to which seq the server's journal is the same; None: it was not put back.
    """
    return rewound_to is not None and max(known_seq, known.rev) > rewound_to


def judge(known: Entry, known_seq: Seq, there: StoredEntry, rewound_to: Seq | None) -> Standing:
    """Returns how an entry that was agreed on stands to what the server says of it now.

    Args:
        known: The state that was agreed on.
        known_seq: See ``is_lost``.
        there: What the server has, or had when it was deleted.
        rewound_to: See ``is_lost``.
    """
    if rewound_to is None or not is_lost(known, known_seq, rewound_to):
        return Standing.KNOWN
    is_same_content = there.entry.is_same_content(known)
    if there.is_deleted:
        # Deleted since then, and as it was here: somebody has done it, who knew what it was.
        is_meant = there.seq > rewound_to and is_same_content
        return Standing.KNOWN if is_meant else Standing.LOST
    if there.entry.is_at_same_place(known) and there.entry.is_same_state(known):
        return Standing.SAME
    if there.seq <= rewound_to:
        return Standing.OLDER
    # Of two places the server's newer one will do: nothing is lost by that.
    return Standing.KNOWN if is_same_content else Standing.PARTED
