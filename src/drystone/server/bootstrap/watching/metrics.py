# SPDX-License-Identifier: Apache-2.0
"""Metrics: what is looked up when somebody asks, and the listener on which they ask.

Imported only where there is such a listener.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client.process_collector import ProcessCollector

from drystone import __version__
from drystone.core.errors import DrystoneError
from drystone.server.bootstrap.listening import CannotListen, QuietUvicorn, bind_to
from drystone.server.bootstrap.watching.peers import Peers, joined
from drystone.server.faces.metrics import MetricsApp
from drystone.server.ports.watching.measuring import Family, Measures, Sample
from drystone.server.service.service import Service
from drystone.server.storage.bell_shared import SharedBellStats
from drystone.server.workers.projector import ProjectorRunner

_BIND_ADVICE: Final = "Choose another address and port with the setting `metrics`."
_LAG_S: Final = 15.0
"""How often it is looked how far projectors are behind: as often as scrapes usually come."""
_STAND_BY_S: Final = 2.0
"""How often a process looks whether it must answer in place of another one."""
_POOL_STATES: Final = {"open": "pool_size", "free": "pool_available", "waited": "requests_waiting"}
"""How a state is told, and what the pool calls it."""


def watch_service(measures: Measures, service: Service) -> None:
    """Tells how the parts of a service stand, whenever somebody asks."""
    measures.watch(
        "drystone_info", "Always 1; `version` is that of the program.", lambda: 1,
        version=__version__,
    )  # fmt: skip
    measures.watch(
        "drystone_listeners", "Bells and long polls that are open.", service.listeners.count
    )
    measures.watch(
        "drystone_writer_queue_works",
        "Units of work that wait to be written.",
        lambda: service.writer.waiting_count,
    )


def watch_pool(measures: Measures, read_stats: Callable[[], Mapping[str, int]]) -> None:
    """Tells how many connections to the database there are, are free, and are waited for."""

    def watch(state: str, key: str) -> None:
        measures.watch(
            "drystone_database_connections",
            "Connections to PostgreSQL: open, free of those, and how many works wait for one.",
            lambda: read_stats().get(key, 0),
            state=state,
        )

    for state, key in _POOL_STATES.items():
        watch(state, key)


def watch_shared_bell(measures: Measures, read_stats: Callable[[], SharedBellStats]) -> None:
    """Tells how the line to other servers' workers is, and what came over it."""
    text = "Rings of the bell between servers: told to others, heard of them, missed but found."
    name = "drystone_shared_bell_rings_total"
    measures.watch(name, text, lambda: read_stats().published, direction="published")
    measures.watch(name, text, lambda: read_stats().heard, direction="heard")
    measures.watch(name, text, lambda: read_stats().found, direction="found")
    measures.watch(
        "drystone_shared_bell_up",
        "Whether the line to other servers' workers is there: 1 or 0.",
        lambda: float(read_stats().is_up),
    )
    measures.watch(
        "drystone_shared_bell_losses_total",
        "Times that the line to other servers' workers was lost.",
        lambda: read_stats().losses,
    )


async def watch_projector(measures: Measures, runner: ProjectorRunner) -> None:
    """Tells what a projector has carried, and, until cancelled, how far it is behind."""
    measures.watch(
        "drystone_projector_records_total",
        "Records that a projector's target has taken from this worker.",
        lambda: runner.stats().records,
        projector=runner.name,
    )
    measures.watch(
        "drystone_projector_troubles_total",
        "Times that a projector's target, the database or a record made it wait.",
        lambda: runner.stats().troubles,
        projector=runner.name,
    )
    measures.watch(
        "drystone_projector_on_duty",
        "Whether it is this worker that carries for a projector: 1 or 0.",
        lambda: float(runner.stats().is_on_duty),
        projector=runner.name,
    )
    records = measures.gauge(
        "drystone_projector_behind_records",
        "Records that a projector has not carried yet, whichever worker carries.",
        projector=runner.name,
    )
    namespaces = measures.gauge(
        "drystone_projector_behind_namespaces",
        "Journals in which a projector is behind.",
        projector=runner.name,
    )
    while True:
        with suppress(DrystoneError):  # It is told when the database is back.
            lag = await runner.measure()
            records.set(lag.records)
            namespaces.set(lag.namespaces)
        await asyncio.sleep(_LAG_S)


@asynccontextmanager
async def serving_metrics(where: str, data_dir: Path, measures: Measures) -> AsyncIterator[str]:
    """Answers scrapes while the context lasts; yields the URL.

    Of several processes of a server one answers for all; another takes its place when it ends.

    Args:
        where: ``HOST:PORT``, as the setting ``metrics`` has it.
        data_dir: Of the server: its processes find each other there.
        measures: What is told, beside the process itself.

    Raises:
        CannotListen: The address cannot be had, and none of this server's processes has it.
    """
    host, _, port = where.rpartition(":")

    def read() -> list[Family]:
        return [*measures.read(), *read_process()]

    async with joined(data_dir, read) as peers, AsyncExitStack() as stack:
        try:
            listening = bind_to(host.strip("[]"), int(port), _BIND_ADVICE)
        except CannotListen:
            if not await peers.has_others():
                raise
            standing_by = asyncio.create_task(_stand_by(host, int(port), peers))
            stack.push_async_callback(_cancel, standing_by)
            yield f"http://{where}/metrics"
            return
        url = f"http://{host}:{listening.getsockname()[1]}/metrics"
        await stack.enter_async_context(_answering(listening, peers))
        yield url


@asynccontextmanager
async def _answering(listening: socket.socket, peers: Peers) -> AsyncIterator[None]:
    with closing(listening):
        config = uvicorn.Config(
            MetricsApp(peers.gather),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = QuietUvicorn(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.listens.wait()
        try:
            yield
        finally:
            server.should_exit = True
            await serving


async def _stand_by(host: str, port: int, peers: Peers) -> None:
    """Takes the address as soon as the process that has it ends."""
    while True:
        await asyncio.sleep(_STAND_BY_S)
        with suppress(CannotListen):
            listening = bind_to(host.strip("[]"), port, _BIND_ADVICE)
            async with _answering(listening, peers):
                await asyncio.get_running_loop().create_future()


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def read_process() -> list[Family]:
    """Returns memory, CPU and open files of this process, under Prometheus' usual names.

    Nothing where the system has no ``/proc``.
    """
    return [
        Family(
            metric.name + ("_total" if metric.type == "counter" else ""),
            "counter" if metric.type == "counter" else "gauge",
            metric.documentation,
            [Sample(sample.name, dict(sample.labels), sample.value) for sample in metric.samples],
        )
        for metric in ProcessCollector(registry=None).collect()
    ]
