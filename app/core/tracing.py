"""Traces: a request, its SQL statements and the jobs that it leads to are one trace, sent by OTLP over HTTP.

Off unless `STRATA_OTLP_ENDPOINT` says where to: then nothing is loaded, and a request asks one variable. FastAPI's own
telemetry stays off, for it sends what spans here never hold: paths, queries, addresses, the words of exceptions.
A statement's span has its text without parameters and literals; rows sent by COPY have no span.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.core.settings import Settings

_TEXT_LENGTH = 4000
_LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w$.])\d+(?:\.\d+)?\b")
_UNSEEN = frozenset({"/healthz", "/readyz", "/metrics"})
_OFF: AbstractContextManager[Span | None] = nullcontext()
_propagator = TraceContextTextMapPropagator()
_tracer: Tracer | None = None


class MissingTracing(RuntimeError):
    """Traces are asked for, and the extra that sends them is not installed."""


@contextmanager
def exporting(settings: Settings) -> Iterator[None]:
    """Send traces for the length of the block, if the settings say where to. What waits is sent at its end.

    Raises `MissingTracing` without the extra `otel`.
    """
    global _tracer
    if settings.otlp_endpoint is None or _tracer is not None:
        yield
        return
    provider = _provider(settings)
    _tracer = provider.get_tracer("strata")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def _provider(settings: Settings) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as error:
        raise MissingTracing("STRATA_OTLP_ENDPOINT needs the extra strata[otel]") from error
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.trace_share)),
        resource=Resource.create({"service.name": "strata"}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{str(settings.otlp_endpoint).rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def request(scope: Mapping[str, Any], request_id: str) -> AbstractContextManager[Span | None]:
    """The span of a request; of the trace that its `traceparent` names, if it has one."""
    if _tracer is None or scope["path"] in _UNSEEN:
        return _OFF
    sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
    parent = {} if sent is None else {"traceparent": sent}
    return _span("request", SpanKind.SERVER, parent, {"strata.request_id": request_id})


def answered(span: Span | None, *, method: str, route: str, status: int) -> None:
    """Name a request's span by what is known of it only at its end."""
    if span is None:
        return
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= 500 or status == 0:
        span.set_status(Status(StatusCode.ERROR))


def job(name: str, carried: Mapping[str, object] | None) -> AbstractContextManager[Span | None]:
    """The span of a job, of the trace in which it was enqueued."""
    if _tracer is None or not carried or "traceparent" not in carried:
        return _OFF  # schedules' jobs, some of which wait for days, would be traces of their own
    parent = {key: str(value) for key, value in carried.items()}
    return _span(f"job {name}", SpanKind.CONSUMER, parent, {"strata.job": name})


def carrier() -> dict[str, str] | None:
    """What a job takes along so that its span joins the trace; None where nothing is traced."""
    if _tracer is None or not trace.get_current_span().is_recording():
        return None
    carried: dict[str, str] = {}
    _propagator.inject(carried)
    return carried


@contextmanager
def _span(name: str, kind: SpanKind, parent: Mapping[str, str], attributes: dict[str, str]) -> Iterator[Span]:
    assert _tracer is not None
    with _tracer.start_as_current_span(
        name,
        context=_propagator.extract(parent),
        kind=kind,
        attributes=attributes,
        record_exception=False,  # its words may quote anything
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def follow(connection: Any) -> None:
    """Have the statements of a connection traced, from here on."""
    if _tracer is not None:
        connection.add_query_logger(_statement_ran)


def _statement_ran(ran: Any) -> None:
    """Called in the context of whoever ran the statement, as soon as it has ended."""
    parent = trace.get_current_span()
    if _tracer is None or not parent.get_span_context().trace_flags.sampled:
        return
    ended = time.time_ns()
    text = _without_literals(ran.query)
    operation = text.split(None, 1)[0].rstrip(";") if text else "SQL"
    span = _tracer.start_span(
        operation,
        kind=SpanKind.CLIENT,
        start_time=ended - int(ran.elapsed * 1e9),
        attributes={"db.system.name": "postgresql", "db.operation.name": operation, "db.query.text": text},
    )
    if ran.exception is not None:
        span.set_attribute("error.type", type(ran.exception).__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended)


@lru_cache(maxsize=1000)
def _without_literals(query: str) -> str:
    return _LITERAL.sub("?", query).strip()[:_TEXT_LENGTH]
