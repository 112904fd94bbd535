# SPDX-License-Identifier: Apache-2.0
"""What is looked up of parts that most servers do not have is described like all else."""

import asyncio
import re
from pathlib import Path

import pytest

from drystone.server.bootstrap.watching import upkeep
from drystone.server.bootstrap.watching.metrics import (
    watch_pool,
    watch_projector,
    watch_shared_bell,
)
from drystone.server.ports.projections import Lag
from drystone.server.ports.watching.measuring import Measures
from drystone.server.storage.bell_shared import SharedBellStats
from drystone.server.workers.collecting import Tally
from drystone.server.workers.counting import count_collecting, count_scrubbing
from drystone.server.workers.journals.keeper import JournalsStats
from drystone.server.workers.projector import ProjectorStats
from drystone.server.workers.scrubbing import ScrubTally
from drystone.server.workers.strays import StraysStats
from drystone.server.workers.verifier import VerifierStats
from drystone.testing.blocks import DirectDevice, frames_of, make_noise, make_pack
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.service import MemoryServer, until

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "metrics.md"


def check_described(measures):
    """Checks that the page tells of each metric just what it tells of itself."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    for family in measures.read():
        for sample in family.samples:
            names = sorted(sample.labels.keys() - {"le"})
            labels = ", ".join(f"`{name}`" for name in names) or "–"
            assert rows[family.name] == f"{family.kind} | {labels} | {family.text}"
            # Prometheus has labels of these names itself, and would rename ours.
            assert not sample.labels.keys() & {"job", "instance", "worker"}


TALLIES = {count_collecting: Tally, count_scrubbing: ScrubTally}


class Runner:
    name = "outlet x"

    def stats(self):
        return ProjectorStats(records=7, troubles=1, is_on_duty=True)

    async def measure(self):
        return Lag(namespaces=2, records=30)


@pytest.mark.asyncio
async def test_parts_that_few_have_are_told_and_described():
    measures = Measures()
    watch_pool(measures, lambda: {"pool_size": 4, "pool_available": 3})
    watch_shared_bell(measures, lambda: SharedBellStats(True, 5, 4, 3, 2, 1))
    watching = asyncio.create_task(watch_projector(measures, Runner()))

    def values():
        return {
            (s.name, *sorted(s.labels.values())): s.value
            for f in measures.read()
            for s in f.samples
        }

    await until(lambda: values().get(("drystone_projector_behind_records", "outlet x")) == 30)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    check_described(measures)

    assert values()["drystone_database_connections", "free"] == 3
    assert values()["drystone_database_connections", "waited"] == 0
    assert values()["drystone_shared_bell_rings_total", "heard"] == 4
    assert values()["drystone_projector_records_total", "outlet x"] == 7


def values_of(measures):
    return {
        (sample.name.removeprefix("drystone_"), *sample.labels.values()): sample.value
        for family in measures.read()
        for sample in family.samples
    }


def test_background_work_is_told_as_it_counts_itself():
    measures = Measures()
    upkeep.watch_verifier(measures, lambda: VerifierStats(1, 20, 3, 400, 500, 6, 7))
    upkeep.watch_strays(measures, lambda: StraysStats(1, 2, 3, 4, 5))
    upkeep.watch_journals(measures, lambda: JournalsStats(1, 7, 2, 3, 4.5))
    backups = [None]
    upkeep.watch_backups(measures, lambda: backups[-1])
    for count in (count_collecting, count_scrubbing):
        list(count(measures, ManualClock()).follow(TALLIES[count](), iter(())))
    told = values_of(measures)
    never = "backup_last_timestamp_seconds" not in {name for name, *_ in told}
    backups.append(1_700_000_000)
    check_described(measures)

    assert never, "no backup is not one of 1970"
    assert values_of(measures)["backup_last_timestamp_seconds",] == 1_700_000_000
    assert told["verifier_packs_total", "joined"] == 1
    assert told["verifier_packs_total", "quarantined"] == 6
    assert told["verifier_blocks_total", "stored"] == 17
    assert told["verifier_blocks_total", "known"] == 3
    assert told["verifier_bytes_total", "written"] == 500
    assert [told["strays_removed_total", why] for why in ("given_up", "joined")] == [1, 2]
    assert [told["strays_removed_total", why] for why in ("forgotten", "stray")] == [3, 4]
    assert told["journals_checkpoints_total",] == 7
    assert told["journals_behind_records",] == 3
    assert told["journals_behind_seconds",] == 4.5


@pytest.mark.asyncio
async def test_what_waits_to_be_verified_and_what_was_not_for_long_is_looked_up():
    server = MemoryServer(is_direct=True)
    measures, clock, writer = Measures(), server.clock, server.service.writer
    device = DirectDevice(server, await server.sign_in("anna"))
    pack = make_pack(frames_of(make_noise(3)))
    await device.put(frames_of(make_noise(2, seed=7)))
    await device.send_pack(pack)
    clock.advance(30)
    looks = [
        asyncio.ensure_future(look(measures, writer, clock))
        for look in (upkeep.watch_arrivals, upkeep.watch_scrubbing)
    ]
    await until(lambda: {("scrub_due_packs",), ("unverified_packs",)} <= values_of(measures).keys())
    await until(lambda: values_of(measures)["scrub_due_packs",] == 1)
    await until(lambda: values_of(measures)["unverified_packs",] == 1)
    told = values_of(measures)
    for look in looks:
        look.cancel()
    await asyncio.gather(*looks, return_exceptions=True)
    check_described(measures)
    server.close()

    assert told["unverified_bytes",] == len(pack.body)
    assert told["unverified_oldest_seconds",] == 30
    assert told["damaged_blocks",] == 0
    assert ("scrub_oldest_timestamp_seconds",) not in told, "none was ever verified"
