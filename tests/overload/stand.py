"""What is put under load: a PostgreSQL, the demonstration's customers on it, and servers of the API."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.core.embedded import EmbeddedPostgres
from tests.bench.processes import Server, free_port, process, wait_for

PASSWORD = "correct-horse-battery"
PATIENT = 2.0
"""Seconds that whoever asks after its health waits, in the Dockerfile among others."""
STRATA = [sys.executable, "-c", "from app.cli import main; main()"]


@dataclass(frozen=True, slots=True)
class Stand:
    """The database's address and its first process; `environment` is that of every process on it."""

    url: str
    postmaster: int
    environment: dict[str, str]

    def backends(self) -> list[int]:
        """The processes of PostgreSQL, the first of them first; what it starts later takes after that one."""
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children")
        return [self.postmaster, *map(int, children.read_text().split() if children.exists() else [])]

    @contextmanager
    def server(self, *, port: int | None = None, worker: bool = False, **settings: object) -> Iterator[Server]:
        """An API, ready, with settings of its own, such as pool_size=4."""
        where = port or free_port()
        own = {f"STRATA_{name.upper()}": str(value) for name, value in settings.items()}
        command = [*STRATA, "serve", "--port", str(where), *([] if worker else ["--no-worker"])]
        with process(*command, env=self.environment | own) as running:
            serving = Server(running, where)
            wait_for(f"{serving.url}/readyz", running)
            yield serving


@contextmanager
def stand() -> Iterator[Stand]:
    """A stand of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="strata-overload-") as folder:
        Path(folder).chmod(0o755)  # as root, PostgreSQL runs as somebody else
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        environment |= {
            "STRATA_DATA": folder,
            "STRATA_ADMIN_PASSWORD": PASSWORD,
            "STRATA_SECRET_KEY": "a secret that only the stand knows, long enough",
            "STRATA_TODAY": "1998-07-01",
            "STRATA_CURRENCY": "USD",
            "STRATA_LOG_LEVEL": "ERROR",
        }
        shown = subprocess.run(
            [*STRATA, "demo", "--no-serve"], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        if shown.returncode:
            raise RuntimeError(f"the demonstration failed: {shown.stdout[-2000:]}{shown.stderr[-2000:]}")
        postgres = EmbeddedPostgres(Path(folder))
        with postgres as url:
            assert postgres.pid is not None
            yield Stand(url, postgres.pid, environment | {"STRATA_DATABASE_URL": url})


def log_in(url: str) -> str:
    """An access token of the administrator, for fifteen minutes."""
    answer = httpx.post(f"{url}/v1/auth/token", data={"username": "admin", "password": PASSWORD}, timeout=10)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


class Health:
    """Asks after a server's health all the time; keeps the longest that an answer took, in seconds."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.worst = 0.0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Health":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as client:
            while not self._stop.wait(0.1):
                began = time.perf_counter()
                try:
                    answer = client.get("/healthz")
                    if answer.status_code != 200:
                        self.failures.append(str(answer.status_code))
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                self.worst = max(self.worst, time.perf_counter() - began)


def request(method: str, path: str, token: str, body: bytes = b"", **headers: Any) -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: stand", f"authorization: Bearer {token}"]
    if body:
        lines += [f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Seen:
    """One figure: what was looked at, what was seen, what is promised, and whether it is kept."""

    scenario: str
    what: str
    figure: str
    promise: str
    kept: bool


def health_seen(scenario: str, health: Health, limit: float | None = None) -> Seen:
    """The longest that somebody waited who asked after its health."""
    limit = limit or PATIENT
    figure = f"{health.worst * 1000:.0f} ms{', failed: ' + health.failures[0] if health.failures else ''}"
    return Seen(
        scenario, "slowest /healthz", figure, f"< {limit * 1000:.0f} ms", health.worst < limit and not health.failures
    )
