# SPDX-License-Identifier: Apache-2.0
"""What is looked up of parts that most servers do not have is described like all else."""

import asyncio
import re
from pathlib import Path

import pytest

from drystone.server.bootstrap.watching.metrics import (
    watch_pool,
    watch_projector,
    watch_shared_bell,
)
from drystone.server.ports.projections import Lag
from drystone.server.ports.watching.measuring import Measures
from drystone.server.storage.bell_shared import SharedBellStats
from drystone.server.workers.projector import ProjectorStats
from drystone.testing.service import until

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "metrics.md"


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
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    for family in measures.read():
        labels = ", ".join(f"`{name}`" for name in sorted(family.samples[0].labels)) or "–"
        assert rows[family.name] == f"{family.kind} | {labels} | {family.text}"

    assert values()["drystone_database_connections", "free"] == 3
    assert values()["drystone_database_connections", "waited"] == 0
    assert values()["drystone_shared_bell_rings_total", "heard"] == 4
    assert values()["drystone_projector_records_total", "outlet x"] == 7
