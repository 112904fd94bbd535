# SPDX-License-Identifier: Apache-2.0
"""Direct transfer, as far as the settings and the store allow it, and what it needs beside."""

import secrets
from typing import Final, NamedTuple

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.background import Background
from drystone.server.ports.clock import Clock
from drystone.server.ports.objects import Objects
from drystone.server.ports.signing import Signing
from drystone.server.service.blocks.direct import DirectStore
from drystone.server.service.service import Engines, Service
from drystone.server.workers.duty import Duty
from drystone.server.workers.strays import Strays
from drystone.server.workers.verifier import Verifier

_VERIFY: Final = "verify arrivals"
_REMOVE: Final = "remove strays"


class DirectImpossible(Misconfigured):
    """Direct transfer is asked for, and the store gives nothing to sign with."""

    code = "direct-impossible"

    def __init__(self) -> None:
        super().__init__(
            "transfer is direct, but this server cannot sign requests to where its packs lie",
            advice="Let objects name a store (s3://…) and set its credentials in the environment,"
            " or let transfer be auto or relay.",
        )


def find_store(transfer: str, objects: Objects) -> DirectStore | None:
    """Returns where devices may go themselves; None if blocks are to go through the server.

    Raises:
        DirectImpossible: They are not, and cannot go elsewhere.
    """
    signing: Signing | None = getattr(objects, "signing", None)
    if transfer == "relay":
        return None
    if signing is not None:
        return DirectStore(objects, signing)
    if transfer == "direct":
        raise DirectImpossible
    return None


class DirectJobs(NamedTuple):
    """What goes on beside direct transfer."""

    verifier: Verifier
    strays: Strays


def add_jobs(
    background: Background, service: Service, engines: Engines, objects: Objects
) -> DirectJobs | None:
    """Adds what verifies packs that devices put, and what removes those that nobody accounts for.

    Also where direct transfer was just turned off: some may still be on their way. Embedded
    objects have none: None.
    """
    signing: Signing | None = getattr(objects, "signing", None)
    if signing is None:
        return None
    store = DirectStore(objects, signing)
    clock, writer = engines.clock, service.writer
    verifier = Verifier(writer, engines.packs, objects, clock, _make_duty(service, clock, _VERIFY))
    strays = Strays(writer, store, clock, _make_duty(service, clock, _REMOVE))
    background.add("verifier", verifier.run)
    background.add("strays", strays.run)
    return DirectJobs(verifier, strays)


def _make_duty(service: Service, clock: Clock, name: str) -> Duty:
    return Duty(service.writer, clock, name, secrets.token_hex(8))
