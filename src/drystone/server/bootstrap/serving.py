# SPDX-License-Identifier: Apache-2.0
"""Serving: binds, tells where, runs until a signal, stops without breaking off a request."""

import asyncio
import ipaddress
import os
import resource
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog
import uvicorn
from starlette.types import ASGIApp

from drystone.server.bootstrap.channel import Channel, receive_note
from drystone.server.bootstrap.composing import Membership, Server, open_server
from drystone.server.bootstrap.data_dir import find_serving
from drystone.server.bootstrap.listening import CannotListen, QuietUvicorn, bind_to
from drystone.server.bootstrap.watching.logs import configure_logs
from drystone.server.faces.http.proxies import BehindProxies
from drystone.server.ports.shared import ProgramOutgrown
from drystone.server.settings import ServerSettings
from drystone.server.storage.bell_relayed import RelayedBell

try:
    import uvloop
except ImportError:  # Where it has no wheel, the standard loop does the same, slower.
    _new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_event_loop = uvloop.new_event_loop

log = structlog.get_logger()

KEEP_ALIVE_S: Final = 75
"""An idle connection is kept this long: longer than clients keep theirs, so that the client
closes first and never sends into a connection that is just being closed."""

PING_INTERVAL_S: Final = 240.0
"""Between pings of a bell, to find out who is gone. Keeping middleboxes awake is the device's own
affair, at its own pace: each ping of ours wakes it once more."""
PING_TIMEOUT_S: Final = 60.0

BELL_MESSAGE_BYTES_MAX: Final = 4096
"""A device has nothing to say on a bell."""

_BIND_ADVICE: Final = "Choose another with --host and --port; port 0 takes any free one."

TELL_INTERVAL_S: Final = 1.0
"""How often the server looks whether an admin command ended somebody's token."""


class Started(NamedTuple):
    """What there is to tell once the server listens.

    Attributes:
        url: Where.
        data_dir: What it serves.
        is_first_start: True if this start made the data directory.
        made_key_path: Where this start made a master key, of which a copy should be kept.
        accounts_count: 0: tell how to add one (``drystone admin add-account NAME``).
        warnings: Sentences for the operator.
        metrics_url: Where metrics are told, if anywhere.
    """

    url: str
    data_dir: Path
    is_first_start: bool
    made_key_path: Path | None
    accounts_count: int
    warnings: tuple[str, ...]
    metrics_url: str | None = None


def run_server(
    settings: ServerSettings, announce: Callable[[Started], None] = lambda _: None
) -> None:
    """Runs a server until SIGTERM or SIGINT, then stops it gracefully and returns.

    On the first signal requests in flight get ``stop_grace_s`` to end, new ones are told to
    come again, bells are closed with advice when to come back. A second signal ends it all.

    Args:
        settings: What to serve, and where.
        announce: Called once, when requests are answered.

    Raises:
        Misconfigured: The server cannot start. Nothing was changed.
        ProgramOutgrown: A later version has taken over the database; this one has stopped.
    """
    configure_logs(settings)
    check_tls(settings)
    allow_many_connections()
    with (
        private_files(),
        # Before anything is made: what a first start has to tell must not be lost by a bad port.
        closing(bind(settings)) as listening,
        closing(open_server(settings)) as server,
        asyncio.Runner(loop_factory=_new_event_loop) as runner,
    ):
        runner.run(_serve_alone(server, settings, listening, announce))


def run_worker(settings: ServerSettings, channel_fd: int) -> None:
    """Runs one of several workers until SIGTERM, or until its supervisor has gone.

    Args:
        settings: As for ``run_server``; the address was bound by the supervisor.
        channel_fd: Of the channel to the supervisor, on which the first note tells the rest.

    Raises:
        Misconfigured: The server cannot start.
        ProgramOutgrown: As ``run_server``.
    """
    configure_logs(settings)
    end = socket.socket(fileno=channel_fd)
    order = receive_note(end)
    if not order:
        return
    structlog.contextvars.bind_contextvars(worker=order["number"])
    allow_many_connections()
    membership = Membership(order["run"], order["lock"])
    with (
        closing(end),
        private_files(),
        closing(open_server(settings, membership)) as server,
        closing(socket.socket(fileno=order["listening"])) as listening,
        asyncio.Runner(loop_factory=_new_event_loop) as runner,
    ):
        runner.run(_serve_beside_others(server, settings, listening, end))


@contextmanager
def private_files() -> Iterator[None]:
    """Makes what the server writes readable by its user alone, and gives the process its umask
    back: whoever embeds the server goes on as before.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


async def _serve_alone(
    server: Server,
    settings: ServerSettings,
    listening: socket.socket,
    announce: Callable[[Started], None],
) -> None:
    async def tell_up() -> None:
        started = await describe(server, settings, listening)
        started = started._replace(metrics_url=metrics_url)
        log.info("server.started", url=started.url)
        announce(started)
        server.data_dir.note_serving(started.url)

    async with server.watch.telling(server.service) as metrics_url:
        await _serve(server, settings, listening, tell_up)


async def _serve_beside_others(
    server: Server, settings: ServerSettings, listening: socket.socket, end: socket.socket
) -> None:
    """Serves what the other workers leave, and hears what they ring."""
    bell = server.bell
    # One that reaches workers on other machines reaches those beside it, too.
    relayed = bell if isinstance(bell, RelayedBell) else RelayedBell(bell)
    # To a worker that has none to tell it to stop, nobody brings what others ring either.
    channel = Channel(
        end, on_ring=relayed.hear, on_end=lambda: os.kill(os.getpid(), signal.SIGTERM)
    )
    relayed.relay = channel.ring

    async def tell_up() -> None:
        channel.note({"up": True})
        log.info("worker.started", pid=os.getpid())

    try:
        async with server.watch.telling(server.service):
            await _serve(server, settings, listening, tell_up, has_others=True)
    finally:
        channel.close()


async def _serve(
    server: Server,
    settings: ServerSettings,
    listening: socket.socket,
    tell_up: Callable[[], Awaitable[None]],
    *,
    has_others: bool = False,
) -> None:
    outer = QuietUvicorn(_configure_uvicorn(server, settings))
    stops: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not stops:
            if has_others:
                outer.stop_listening()
            stops.append(asyncio.create_task(_stop(server, outer, settings.stop_grace_s)))
        elif not has_others:
            end_at_once()

    def end_at_once() -> None:
        outer.force_exit = outer.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    # Workers are told so by their supervisor. A second SIGTERM only comes to them because whoever
    # stops it has told all of its processes.
    loop.add_signal_handler(signal.SIGINT, end_at_once if has_others else stop)
    # A terminal that is closed, and `systemctl reload`; who was started by nohup does not hear it.
    if not has_others and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        loop.add_signal_handler(signal.SIGHUP, stop)
    is_outgrown = asyncio.Event()

    def give_way() -> None:
        if not is_outgrown.is_set():
            log.error("server.outgrown")
            is_outgrown.set()
            stop()

    server.metadata.on_outgrown = lambda: _call_soon(loop, give_way)
    await server.service.readiness.check_all()
    watching = asyncio.create_task(server.service.devices.watch_stamp(TELL_INTERVAL_S))
    working = asyncio.create_task(server.background.run())
    serving = asyncio.create_task(outer.serve(sockets=[listening]))
    listens = asyncio.create_task(outer.listens.wait())
    try:
        await asyncio.wait([serving, listens], return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await tell_up()
        await serving
    finally:
        tasks = (watching, working, serving, listens, *stops)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    works, groups, largest = server.service.writer.stats()
    log.info("server.stopped", works=works, groups=groups, largest_group=largest)
    if is_outgrown.is_set():
        raise ProgramOutgrown


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Has the loop call something, from another thread, if it still runs."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


async def _stop(server: Server, outer: QuietUvicorn, grace_s: float) -> None:
    """Lets requests in flight end while new ones are turned away, then ends uvicorn."""
    server.app.begin_stop()
    log.info("server.stopping", in_flight=server.app.in_flight_count)
    try:
        async with asyncio.timeout(grace_s):
            await server.app.wait_idle()
    except TimeoutError:
        log.warning("server.stop-grace-over", in_flight=server.app.in_flight_count)
        outer.force_exit = True
    outer.should_exit = True


async def describe(server: Server, settings: ServerSettings, listening: socket.socket) -> Started:
    """Returns what there is to tell of a server that listens there."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        shown = "[::1]" if address.version == 6 else "127.0.0.1"
    else:
        shown = f"[{host}]" if address.version == 6 else host
    scheme = "https" if settings.has_tls else "http"
    warnings = list(server.warnings)
    if not (address.is_loopback or settings.has_tls or settings.trusted_proxies):
        warnings.append(
            f"The server listens on {host} without TLS: passwords and files can be read by anyone"
            " on the way. Set tls_certificate and tls_key, or put a proxy with TLS before it and"
            " name it in trusted_proxies."
        )
    return Started(
        f"{scheme}://{shown}:{port}",
        settings.data_dir,
        server.data_dir.is_new,
        server.made_key_path,
        await server.count_accounts(),
        tuple(warnings),
        None if settings.metrics == "none" else f"http://{settings.metrics}/metrics",
    )


def bind(settings: ServerSettings) -> socket.socket:
    """Returns a bound socket; uvicorn listens on it once the app is ready.

    Raises:
        CannotListen: Says why, in the operating system's words.
    """
    advice = _BIND_ADVICE
    serving = find_serving(settings.data_dir)
    if serving is not None and serving.url.endswith(f":{settings.port}"):
        advice = (
            f"The server of {settings.data_dir} was started there, as process {serving.pid}: stop"
            " that first. Another one needs another data directory, and another --port."
        )
    return bind_to(settings.host, settings.port, advice)


def _behind_proxies(app: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    return BehindProxies(app, trusted) if trusted else app


def _configure_uvicorn(server: Server, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        _behind_proxies(server.app, settings.trusted_proxies),
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # 115 instead of 19 KiB per connection
        ws_max_size=BELL_MESSAGE_BYTES_MAX,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # What proxies say is taken by `BehindProxies`.
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.stop_grace_s)),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def allow_many_connections() -> None:
    """Lets this process open as many files and sockets as the system allows it to.

    Systems begin with 1,024, for programs of long ago: that many idle devices, and nobody else
    gets in.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_tls(settings: ServerSettings) -> None:
    """Raises ``CannotListen`` if TLS is wanted and certificate or key cannot be used."""
    if settings.tls_certificate is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one of them
        files = f"{settings.tls_certificate} and {settings.tls_key}"
        raise CannotListen(
            f"the TLS certificate and key in {files} cannot be used: {error}",
            advice="Check that both are PEM files, belong together and can be read.",
        ) from error
