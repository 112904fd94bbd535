# SPDX-License-Identifier: Apache-2.0
"""Packs over any store of objects: many blocks in one immutable object.

A pack is a tag and frames back to back (``layout`` has the byte table). It is named by the
SHA-256 of its bytes and never changes. A frame in a pack is byte for byte a frame in a bundle,
so what arrives compressed rests and leaves compressed, and nothing is encoded twice.

The block index only remembers where frames lie: it can be rebuilt from the packs alone.
"""

from drystone.server.storage.packs.store import ObjectPacks

__all__ = ["ObjectPacks"]
