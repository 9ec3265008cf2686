"""The processes of a measurement: servers, the worker, the load generator; and what they cost."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx

_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def process(*command: str, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A process for the length of the block; it inherits our environment."""
    started = subprocess.Popen(command, text=True, **options)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def strata(*arguments: str, **options: Any) -> AbstractContextManager["subprocess.Popen[str]"]:
    """The command as it is installed beside this Python."""
    return process(str(Path(sys.executable).with_name("strata")), *arguments, **options)


class Server:
    """A process that answers HTTP on a port of this machine."""

    def __init__(self, running: "subprocess.Popen[str]", port: int) -> None:
        self.pid = running.pid
        self.port = port
        self.running = running

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """Seconds of processor time so far; 0 where the system does not tell."""
        return cpu_seconds(self.pid)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def our_server() -> Iterator[Server]:
    """`strata serve` without a worker, on the database of the environment."""
    port = free_port()
    with strata("serve", "--port", str(port), "--no-worker") as running:
        serving = Server(running, port)
        wait_for(f"{serving.url}/readyz", running)
        yield serving


@contextmanager
def sampled_server(seen: Path) -> Iterator[Server]:
    """The same, which writes down what it was at whenever it is asked (see `sampled`)."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.sampled", str(seen)]
    with process(*command, "serve", "--port", str(port), "--no-worker") as running:
        serving = Server(running, port)
        wait_for(f"{serving.url}/readyz", running)
        yield serving


@contextmanager
def bare_server() -> Iterator[Server]:
    """The floor's application in an equal process: uvicorn, one worker, uvloop, httptools, no access log."""
    port = free_port()
    where = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    command = [sys.executable, "-m", "uvicorn", "tests.bench.floors:bare", "--factory", *where]
    with process(*command, "--loop", "uvloop", "--http", "httptools") as running:
        serving = Server(running, port)
        wait_for(f"{serving.url}/ready", running)
        yield serving


def wait_for(url: str, running: "subprocess.Popen[str]", patience: float = 60) -> None:
    """Wait until the URL answers 200. Raises RuntimeError when the process ends instead."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise RuntimeError(f"the server for {url} ended with {running.returncode}")
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{url} does not answer")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where /proc is not there."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_memory(pid: int) -> float:
    """The most memory the process has had resident so far, in MB; 0 where /proc is not there."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) / 1024


class Generator:
    """The load generator's process."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self._running = running

    def measure(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order of `load`. Raises RuntimeError when a request failed."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(json.dumps(order) + "\n")
        self._running.stdin.flush()
        answer: dict[str, Any] = json.loads(self._running.stdout.readline())
        if answer["failure"]:
            raise RuntimeError(f"a request failed: {answer['failure']}")
        return answer


@contextmanager
def generator() -> Iterator[Generator]:
    """A load generator for the length of the block."""
    with process(sys.executable, "-m", "tests.bench.load", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        yield Generator(running)
