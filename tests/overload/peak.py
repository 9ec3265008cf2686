"""As much as the service can answer, and five times that, arriving at a rate that nothing slows down.

Whoever asks has a core of its own, where there are two: five times the requests cost five times as much to send, and on
a core that the service needs, that would count against the service.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from statistics import mean
from typing import Any

import httpx

from tests.bench.processes import process
from tests.overload.stand import Health, Seen, Stand, health_seen, log_in, request

GOODPUT = 0.8
TIMES = 5
TURNS = 3
CONNECTIONS = 16

Cores = set[int]
Order = dict[str, Any]


def five_times_the_peak(stand: Stand, *, seconds: float) -> list[Seen]:
    """As much as it can answer, and five times that.

    In turns, each held against the peaks before and after it, as a shared machine is now faster and now slower. The
    worst of them counts.
    """
    floods: list[dict[str, Any]] = []
    with _apart(stand) as theirs, stand.server() as server:
        requests = of_a_day(server.url, log_in(server.url))
        closed_loop(server.port, requests, seconds=2, cores=theirs)

        def peak_of_now() -> float:
            return closed_loop(server.port, requests, seconds=max(2, seconds / 4), cores=theirs)

        with Health(server.url) as health, _orders("tests.overload.arrivals", theirs) as arrivals:
            peaks = [peak_of_now()]
            for _ in range(TURNS):
                rate = TIMES * peaks[-1]
                order = {"port": server.port, "rate": rate, "seconds": seconds, "requests": requests}
                floods.append(arrivals(order))
                peaks.append(peak_of_now())
    shares = [each["good"] / seconds / mean(around) for each, around in zip(floods, pairwise(peaks), strict=True)]
    goodput = min(shares)
    kept = f"{goodput:.0%} to {max(shares):.0%} of {mean(peaks):.0f} req/s"
    statuses = sum((Counter(each["statuses"]) for each in floods), Counter[str]())
    none = statuses.pop("unanswered", 0) + statuses.pop("lost", 0)
    strange = {status: n for status, n in statuses.items() if status not in ("200", "201", "429", "503")}
    offered = mean(each["sent"] for each in floods) / seconds
    asked = TIMES * mean(peaks[:-1])
    unsaid = sum(each["without_retry_after"] for each in floods)
    slowest = max(each["p99"] for each in floods)
    return [
        Seen("5 × peak", "goodput", kept, f"≥ {GOODPUT:.0%}", goodput >= GOODPUT),
        Seen("5 × peak", "offered", f"{offered:.0f} req/s", f"{TIMES} × the peak", offered > 0.95 * asked),
        Seen("5 × peak", "without any answer", str(none), "0", none == 0),
        Seen("5 × peak", "answers that are neither good nor 429 or 503", str(strange or 0), "0", not strange),
        Seen("5 × peak", "refusals without Retry-After", str(unsaid), "0", unsaid == 0),
        Seen("5 × peak", "p99 of what was answered", f"{slowest * 1000:.0f} ms", "≤ 2 s", slowest <= 2),
        health_seen("5 × peak", health),
    ]


def of_a_day(url: str, token: str) -> list[str]:
    """What a day brings: customers looked up and listed, explanations, timelines, and facts recorded."""
    headers = {"Authorization": f"Bearer {token}"}
    page = httpx.get(f"{url}/v1/customers", params={"limit": 200}, headers=headers, timeout=10).json()
    ids = [item["id"] for item in page["items"]]
    chosen = random.Random(5)
    body = json.dumps({"name": "Met at the counter"}).encode()
    made = []
    for _ in range(500):
        customer = chosen.choice(ids)
        made += [
            request("GET", f"/v1/customers/{customer}", token),
            request("GET", f"/v1/customers/{customer}", token),
            request("GET", "/v1/customers?limit=20", token),
            request("GET", f"/v1/customers/{customer}/timeline?limit=20", token),
            request("POST", "/v1/customers", token, body),
        ]
    return [each.decode() for each in made]


def closed_loop(port: int, requests: list[str], *, seconds: float, cores: Cores | None = None) -> float:
    """Answers a second when each of a few clients waits for its answer: the most that it can do."""
    order = {
        "port": port,
        "connections": CONNECTIONS,
        "seconds": seconds,
        "warm_up": 0.5,
        "requests": requests,
        "first_number": 0,
    }
    with _orders("tests.bench.load", cores) as measure:
        answer = measure(order)
    if answer["failure"]:
        raise RuntimeError(f"a request failed: {answer['failure']}")
    return float(answer["per_second"])


@contextmanager
def _orders(module: str, cores: Cores | None) -> Iterator[Callable[[Order], dict[str, Any]]]:
    """A generator's process, on these cores, that takes an order as a line and answers with a line."""
    with process(sys.executable, "-m", module, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        if cores:
            _bind([running.pid], cores)

        def carry_out(order: dict[str, Any]) -> dict[str, Any]:
            assert running.stdin is not None
            assert running.stdout is not None
            running.stdin.write(json.dumps(order) + "\n")
            running.stdin.flush()
            answer: dict[str, Any] = json.loads(running.stdout.readline())
            return answer

        yield carry_out


@contextmanager
def _apart(stand: Stand) -> Iterator[Cores]:
    """Bind what is started meanwhile, and PostgreSQL, to all cores but the last, which is for whoever asks."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
    last = set(sorted(cores)[1:][-1:])
    served = [os.getpid(), *stand.backends()]
    if last:
        _bind(served, cores - last)
    try:
        yield last
    finally:
        if last:
            _bind(served, cores)


def _bind(processes: Iterable[int], cores: Cores) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.sched_setaffinity(pid, cores)
