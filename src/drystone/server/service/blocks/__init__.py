# SPDX-License-Identifier: Apache-2.0
"""Blocks: what arrives is checked, packed and indexed; what is asked for is read and sent.

``verbs`` is the door (``Blocks``): ask, put, fetch, outline, and what commits ask about
contents. Behind it, an upload goes through ``ingest`` and ``checking``, a download through
``reading``, and ``contents`` compares what a commit claims with the blocks themselves. ``direct``
is another door: it lets devices and the object store exchange packs. Bytes are worked on in
threads, a few MiB per hop; memory is bounded whatever is asked.

Nothing here tells whether a block exists that the caller's namespace does not hold.
"""

from drystone.server.service.blocks.direct import Direct
from drystone.server.service.blocks.verbs import Blocks

__all__ = ["Blocks", "Direct"]
