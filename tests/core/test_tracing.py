"""A request, its statements and its jobs are one trace, as a collector of traces gets it; nobody is named in it."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app import features
from app.core import tracing
from app.core.db import Database
from app.core.settings import Settings, get_settings
from app.core.workers import Worker
from tests.service import Service, service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CANARIES = ["Canary Birdsong", "+8613977770001", "canary@birdsong.example", "CANARY-REF", "birdsong", "139777"]


class Collector(HTTPServer):
    """Takes traces by OTLP over HTTP, as a real one does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for each in self.requests
            for resource in each.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        sent = ExportTraceServiceRequest()
        sent.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(sent)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield made
        made.shutdown()


@pytest.fixture
def traced(collector: Collector, setting: Callable[..., None]) -> Collector:
    setting(otlp_endpoint=f"http://127.0.0.1:{collector.server_port}")
    return collector


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def under(spans: list[Any], parent: Any) -> list[Any]:
    return [each for each in spans if each.parent_span_id == parent.span_id]


async def run_jobs(url: str) -> None:
    database = await Database.connect(url, get_settings(), size=16, statement_timeout=0)
    await Worker(database, features.JOBS, [], concurrency=2, dead_letters=features.DEAD_LETTERS).drain()
    await database.close()


ROUND_TRIPS = 6
"""Of a recorded purchase: BEGIN; key, lock and facts; metrics; classes; what is told of it; COMMIT."""


async def begin(made: Service) -> None:
    """Record a customer and two purchases, and have everybody recalculated: by a job."""
    admin = made.tokens["admin"]
    identities = [{"kind": "external", "value": "CANARY-REF"}]
    body = {"name": CANARIES[0], "phone": CANARIES[1], "email": CANARIES[2], "identities": identities}
    customer = (await made.send("POST", "/v1/customers", token=admin, body=body)).json()["id"]
    path = f"/v1/customers/{customer}/purchases"
    for order_ref in ("CANARY-REF-1", "CANARY-REF-2"):
        bought = {"order_ref": order_ref, "occurred_at": "2026-01-02T00:00:00Z", "amount": "12.34"}
        assert (await made.send("POST", path, token=admin, body=bought)).status == 201
    assert (await made.get("/v1/customers", admin, text=CANARIES[0], identity="external:CANARY-REF")).status == 200
    parent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    asked = await made.send("POST", "/v1/recalculations", token=admin, body={}, headers=parent)
    assert asked.status == 202
    await made.get("/healthz")
    await run_jobs(made.url)


async def test_a_request_its_statements_and_its_job_are_one_trace(traced: Collector) -> None:
    async with service() as made:
        await begin(made)
    spans = traced.spans
    # A connection's first statements ask about types as well: the first purchase had those.
    [_, bought] = [each for each in spans if each.name == "POST /v1/customers/{customer_id}/purchases"]
    assert attributes(bought)["http.response.status_code"] == 201
    statements = under(spans, bought)
    assert {"BEGIN", "WITH", "COMMIT"} <= {each.name for each in statements}
    assert len(statements) <= ROUND_TRIPS, [each.name for each in statements]
    assert {each.trace_id for each in statements} == {bought.trace_id}
    assert all(each.end_time_unix_nano > each.start_time_unix_nano for each in statements)
    assert all(each.start_time_unix_nano >= bought.start_time_unix_nano - 1_000_000 for each in statements)

    [asked] = [each for each in spans if each.name == "POST /v1/recalculations"]
    assert asked.trace_id.hex() == TRACE, "a trace that somebody else began goes on"
    [job] = [each for each in under(spans, asked) if each.name.startswith("job ")]
    assert job.trace_id == asked.trace_id
    assert len(under(spans, job)) > 5
    assert not any("healthz" in each.name for each in spans)
    by_id = {each.span_id for each in spans}
    assert all(each.parent_span_id in by_id for each in spans if each != asked and each.parent_span_id)


async def test_spans_name_nobody(traced: Collector) -> None:
    async with service() as made:
        await begin(made)
        token = made.tokens["admin"]
    text = str(traced.requests)
    assert "INSERT INTO customer" in text, "statements are there, or this test proves nothing"
    for canary in [*CANARIES, "12.34", token]:
        assert canary not in text


async def test_what_fails_is_marked_by_its_kind_and_not_by_its_words(traced: Collector) -> None:
    async with service() as made:
        await made.fetch(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'row %', NEW; END $$"
        )
        await made.fetch("CREATE TRIGGER tell BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION tell()")
        body = {"name": CANARIES[0]}
        answer = await made.send("POST", "/v1/customers", token=made.tokens["admin"], body=body)
        assert answer.status == 500
    [failed] = [each for each in traced.spans if each.name == "POST /v1/customers"]
    assert failed.status.code == 2
    statements = under(traced.spans, failed)
    assert {attributes(each)["error.type"] for each in statements if each.status.code} == {"RaiseError"}
    assert CANARIES[0] not in str(traced.requests)


async def test_a_share_of_none_sends_nothing(traced: Collector, setting: Callable[..., None]) -> None:
    setting(trace_share=0)
    async with service() as made:
        await made.get("/v1/customers", made.tokens["admin"])
        assert tracing.carrier() is None
    assert traced.requests == []


async def test_without_an_endpoint_no_connection_is_followed() -> None:
    async with service() as made:
        await made.get("/v1/customers", made.tokens["admin"])
        async with made.database.connection() as connection:
            assert not connection._con._query_loggers
        doing_nothing = tracing.job("a.job", {})
        assert tracing.request({"path": "/v1/me", "headers": []}, "1") is doing_nothing


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT 1", "SELECT ?"),
        ("SELECT a1 FROM t2 WHERE x = $3 AND y = 'it''s'", "SELECT a1 FROM t2 WHERE x = $3 AND y = ?"),
        ("SELECT a.b2 FROM a WHERE z > 1.5", "SELECT a.b2 FROM a WHERE z > ?"),
        ("INSERT INTO t VALUES ('a', 'b')", "INSERT INTO t VALUES (?, ?)"),
    ],
)
def test_statements_lose_their_literals(query: str, shown: str) -> None:
    assert tracing._without_literals(query) == shown


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(tracing.MissingTracing, match=r"strata\[otel\]"), _exporting():
        pass


@contextmanager
def _exporting() -> Iterator[None]:
    with tracing.exporting(Settings(otlp_endpoint="http://127.0.0.1:1")):
        yield
