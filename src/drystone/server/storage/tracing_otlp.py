# SPDX-License-Identifier: Apache-2.0
"""Traces sent to an OpenTelemetry collector by OTLP over HTTP.

Source: OpenTelemetry Protocol 1.x; W3C Trace Context. Imported only where traces are wanted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from drystone import __version__
from drystone.server.ports.watching.tracing import Attribute, Span

SEND_S_MAX: Final = 5
"""A collector that takes longer loses what was sent: traces are worth no wait."""
_SEND_INTERVAL_MS: Final = 2_000
_TRACES_PATH: Final = "/v1/traces"


class OtlpTracing:
    """Implements ``Tracing``.

    Spans are kept until a thread sends them; while the collector is away, the oldest are lost.

    Args:
        url: Of the collector: its address, or that of its endpoint for traces.
    """

    is_on = True

    def __init__(self, url: str) -> None:
        resource = Resource.create({"service.name": "drystone", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=_endpoint_of(url), timeout=SEND_S_MAX)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_INTERVAL_MS)
        )
        self._tracer = self._provider.get_tracer("drystone", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, headers: Mapping[str, str] | None = None) -> Iterator[Span]:
        parent = None if headers is None else self._propagator.extract(headers)
        kind = SpanKind.INTERNAL if headers is None else SpanKind.SERVER
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind,
            # The message of an exception may tell what a trace must not.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _OtlpSpan(span)
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def close(self) -> None:
        self._provider.shutdown()


class _OtlpSpan:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def note(
        self, attributes: Mapping[str, Attribute], *, name: str = "", is_failed: bool = False
    ) -> None:
        if name:
            self._span.update_name(name)
        if is_failed:
            self._span.set_status(StatusCode.ERROR)
        for key, value in attributes.items():
            self._span.set_attribute(key, value)


def _endpoint_of(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts if parts.path.strip("/") else parts._replace(path=_TRACES_PATH))
