"""Prometheus metrics: requests by route template, jobs by name. Labels never carry ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

registry = CollectorRegistry(auto_describe=True)

requests = Histogram(
    "strata_http_request_seconds",
    "Duration of HTTP requests",
    ["method", "route", "status"],
    registry=registry,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
requests_in_flight = Gauge("strata_http_requests_in_flight", "HTTP requests being answered", registry=registry)
requests_refused = Counter(
    "strata_http_requests_refused_total", "HTTP requests refused because too many were under way", registry=registry
)
jobs = Histogram(
    "strata_job_seconds",
    "Duration of background jobs",
    ["name", "outcome"],
    registry=registry,
    buckets=(0.01, 0.1, 1, 10, 60, 600, 3600),
)
mails = Counter("strata_mails_total", "E-mails, by what came of an attempt", ["letter", "outcome"], registry=registry)
events = Counter("strata_events_total", "Events announced", ["name"], registry=registry)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(registry)
