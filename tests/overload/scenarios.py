"""Each scenario puts the stand under one kind of pressure and says what it saw, beside what is promised."""

import asyncio
import random
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import asyncpg
import httpx

from tests.bench.processes import Server
from tests.overload.peak import closed_loop, five_times_the_peak, of_a_day
from tests.overload.stand import Health, Seen, Stand, health_seen, log_in, request

HEALTHY = 0.1
REFUSED_WITHIN = 2.0


# ---- a pool that is empty --------------------------------------------------------------------------------------------


def exhausted_pool(stand: Stand, *, seconds: float) -> list[Seen]:
    """Every connection waits for a lock that somebody holds; whoever comes then is told so, soon."""
    with stand.server(pool_size=4) as server:
        token = log_in(server.url)
        headers = {"Authorization": f"Bearer {token}"}
        with Health(server.url) as health, _locked(stand.url), ThreadPoolExecutor(40) as clients:
            until = time.monotonic() + seconds
            holders = [
                clients.submit(httpx.get, f"{server.url}/v1/customers", headers=headers, timeout=60) for _ in range(4)
            ]

            def ask(client: httpx.Client) -> list[_Answer]:
                found = []
                while time.monotonic() < until:
                    began = time.monotonic()
                    answer = client.get("/v1/customers")
                    found.append(_Answer(answer, time.monotonic() - began))
                return found

            asking = [httpx.Client(base_url=server.url, headers=headers, timeout=60) for _ in range(20)]

            answers = [each for found in clients.map(ask, asking) for each in found]
        for holder in holders:
            holder.result()
        after = httpx.get(f"{server.url}/v1/customers", headers=headers, timeout=10).status_code
    refused = [each for each in answers if "connection" in each.detail]
    longest = max((each.seconds for each in refused), default=0)
    # Who has a connection waits with it for as long as a statement may wait for a lock.
    others = [each for each in answers if each not in refused and "too long" not in each.detail]
    strange = sum(not each.is_told_to_wait for each in refused) + len(others)
    return [
        Seen("pool", f"longest wait of {len(refused)} for the 503", f"{longest:.2f} s", *_at_most(longest)),
        Seen("pool", "answers that are no 503 with Retry-After", str(strange), "0", not strange),
        health_seen("pool", health, HEALTHY),
        Seen("pool", "once the lock is gone", str(after), "200", after == 200),
    ]


def _at_most(seconds: float) -> tuple[str, bool]:
    return f"≤ {REFUSED_WITHIN:g} s", 0 < seconds <= REFUSED_WITHIN


class _Answer:
    def __init__(self, answer: httpx.Response, seconds: float) -> None:
        self.seconds = seconds
        self.is_told_to_wait = answer.status_code == 503 and "retry-after" in answer.headers
        self.detail: str = answer.json().get("detail") or ""


@contextmanager
def _locked(url: str) -> Iterator[None]:
    """Nobody can read customers for the length of the block."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(connection.execute("BEGIN; LOCK TABLE customer IN ACCESS EXCLUSIVE MODE"))
        try:
            yield
        finally:
            runner.run(connection.close())


# ---- clients that are slow, gone, or change their minds --------------------------------------------------------------


def slow_clients(stand: Stand, *, seconds: float) -> list[Seen]:
    """Hundreds of connections that send half a request and wait; others work meanwhile, and the slow are cut off."""
    with stand.server(max_in_flight=20) as server, ExitStack() as sockets:
        token = log_in(server.url)
        half = request("GET", "/v1/customers", token)[:40]
        stalled = request("POST", "/v1/customers", token, content_length=5000, content_type="application/json") + b"{"
        open_ended = [b"", half, stalled]
        slow = []
        for n in range(300):
            client = sockets.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            client.sendall(open_ended[n % 3])
            slow.append(client)
        with Health(server.url) as health:
            requests = of_a_day(server.url, token)
            done = closed_loop(server.port, requests, seconds=min(seconds, 5))
            deadline = time.monotonic() + 60
            waiting = list(slow)
            while waiting and time.monotonic() < deadline:
                waiting = [client for client in waiting if not _is_closed(client)]
                time.sleep(0.5)
    return [
        Seen("slow clients", "others are answered meanwhile", f"{done:.0f} req/s", "> 0", done > 0),
        Seen("slow clients", "not cut off after a minute", f"{len(waiting)} of {len(slow)}", "0", not waiting),
        health_seen("slow clients", health),
    ]


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.001)
    try:
        return client.recv(65536) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def aborted_downloads(stand: Stand, *, seconds: float) -> list[Seen]:
    """Two hundred files asked for and not waited for, at every stage of their making."""
    del seconds
    with stand.server() as server:
        token = log_in(server.url)
        schemes = "/v1/schemes"
        paths = [
            f"{schemes}/rfm/classes/hibernating/export",
            f"{schemes}/abc/classes/C/export",
            "/v1/customers?limit=200",
        ]
        chosen = random.Random(7)

        def abort(n: int) -> None:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.sendall(request("GET", paths[n % len(paths)], token))
                time.sleep(chosen.random() * 0.1)
                # Reset instead of closed in order: what is on its way is thrown away.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with Health(server.url) as health, ThreadPoolExecutor(20) as clients:
            list(clients.map(abort, range(200)))
        deadline = time.monotonic() + 5
        while (left := _at_work(stand.url)) and time.monotonic() < deadline:
            time.sleep(0.1)
        metrics = httpx.get(f"{server.url}/metrics", timeout=5).text
        in_flight = next(line for line in metrics.splitlines() if line.startswith("strata_http_requests_in_flight "))
        # The request that asks is under way itself.
        requests_left = int(float(in_flight.split()[1])) - 1
        headers = {"Authorization": f"Bearer {token}"}
        after = httpx.get(f"{server.url}{paths[0]}", headers=headers, timeout=10).status_code
    return [
        Seen("aborted downloads", "backends at work 5 s later", str(left), "0", left == 0),
        Seen("aborted downloads", "requests under way", str(requests_left), "0", requests_left == 0),
        Seen("aborted downloads", "the next download", str(after), "200", after == 200),
        health_seen("aborted downloads", health),
    ]


def _at_work(url: str) -> int:
    """Backends of the API that run a statement or hold a transaction."""

    async def count() -> int:
        connection = await asyncpg.connect(url)
        try:
            found: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'strata' AND state <> 'idle'"
            )
            return found
        finally:
            await connection.close()

    return asyncio.run(count())


# ---- restarts, one server after the other ----------------------------------------------------------------------------


def rolling_restarts(stand: Stand, *, seconds: float) -> list[Seen]:
    """Two servers behind a balancer that asks whether they are ready; each is told to end, in turn, under load."""
    rounds = max(2, int(seconds // 15))
    with ExitStack() as servers:
        pair = [_Replaced(stand, servers) for _ in range(2)]
        token = log_in(pair[0].server.url)
        with _Balanced(pair, token) as balanced:
            for _ in range(rounds):
                for each in pair:
                    time.sleep(1)
                    each.restart()
            time.sleep(1)
    failed = sum(balanced.failures.values())
    answered = f"{balanced.answered} answered, {2 * rounds} restarts"
    return [Seen("rolling restarts", answered, f"{dict(balanced.failures) or 0}", "0 failed requests", failed == 0)]


class _Replaced:
    """A server that gives way to another like it."""

    def __init__(self, stand: Stand, servers: ExitStack) -> None:
        self._stand = stand
        self._servers = servers
        self.server: Server = servers.enter_context(stand.server(drain_seconds=2))

    def restart(self) -> None:
        """End as an orchestrator ends it, and start the next one on the same port."""
        running = self.server.running
        running.send_signal(signal.SIGTERM)
        running.wait(60)
        self.server = self._servers.enter_context(self._stand.server(port=self.server.port, drain_seconds=2))


class _Balanced:
    """Clients behind a balancer: each request goes to a server that was ready a moment ago, over kept connections."""

    def __init__(self, pair: list[_Replaced], token: str) -> None:
        self.answered = 0
        self.failures: Counter[str] = Counter()
        self._urls = [each.server.url for each in pair]
        self._ready = set(self._urls)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._look, daemon=True)]
        self._threads += [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(8)]

    def __enter__(self) -> "_Balanced":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        with httpx.Client(timeout=2) as client:
            while not self._stop.wait(0.2):
                for url in self._urls:
                    try:
                        is_ready = client.get(f"{url}/readyz").status_code == 200
                    except httpx.TransportError:
                        is_ready = False
                    (self._ready.add if is_ready else self._ready.discard)(url)

    def _ask(self, n: int) -> None:
        with httpx.Client(timeout=10, headers=self._headers) as client:
            while not self._stop.is_set():
                url = random.choice(sorted(self._ready) or self._urls)
                try:
                    if n % 2:
                        answer = client.get(f"{url}/v1/customers", params={"limit": 5})
                    else:
                        answer = client.post(f"{url}/v1/customers", json={"name": "Met at the counter"})
                    failure = "" if answer.is_success else str(answer.status_code)
                except httpx.TransportError as error:
                    failure = type(error).__name__
                with self._lock:
                    self.answered += not failure
                    if failure:
                        self.failures[failure] += 1


SCENARIOS = {
    "pool": exhausted_pool,
    "peak": five_times_the_peak,
    "slow": slow_clients,
    "aborted": aborted_downloads,
    "restarts": rolling_restarts,
}
