# SPDX-License-Identifier: Apache-2.0
"""Packs as devices make them for the object store, and a device that puts and reads them."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from drystone.core.content.frame import Frame, encode_frame, encode_header
from drystone.core.content.hashing import PACK_TAG
from drystone.core.errors import DrystoneError
from drystone.core.ids import PackId
from drystone.server.ports.metadata import Unit
from drystone.server.service.blocks.direct import GrantedPack
from drystone.server.service.blocks.heads import Offer
from drystone.testing.blocks import BlockDevice


class MadePack(NamedTuple):
    """A pack, and what is said of it."""

    offer: Offer
    body: bytes


def make_pack(frames: Sequence[Frame]) -> MadePack:
    """Returns the pack that holds these frames."""
    body = PACK_TAG + b"".join(map(encode_frame, frames))
    heads = b"".join(map(encode_header, frames))
    return MadePack(Offer(PackId(sha256(body).digest()), heads), body)


class DirectDevice(BlockDevice):
    """A device that goes to the object store itself; its store is that of a ``FakeSigning``."""

    async def offer(self, *offers: Offer) -> list[GrantedPack]:
        """Asks for tickets."""
        return await self.server.service.direct.offer(self.actor, self.namespace_id, offers)

    async def settle(self, *arrival_ids: bytes) -> list[DrystoneError | None]:
        """Says that packs have arrived."""
        return await self.server.service.direct.settle(self.actor, self.namespace_id, arrival_ids)

    async def send_pack(self, pack: MadePack, body: bytes | None = None) -> bytes:
        """Puts a pack, or something else in its place, and says so; returns the arrival's id."""
        [granted] = await self.offer(pack.offer)
        assert granted.request is not None
        self.server.signing.send(granted.request, pack.body if body is None else body)
        [trouble] = await self.settle(granted.arrival_id)
        if trouble is not None:
            raise trouble
        return granted.arrival_id


class Always:
    """A duty that nobody else has."""

    async def ensure(self) -> bool:
        return True

    def require(self, unit: Unit) -> None:
        """Nobody has taken it."""

    async def release(self) -> None:
        """Nobody waits for it."""
