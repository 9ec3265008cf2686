"""The faults: each does its harm and heals it, and gives the instant from which the installation can recover."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable

from tests.faults.installation import Installation, Process

Fault = Callable[[Installation], Awaitable[float]]


async def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def backend(number: int, *, like: str = "strata%", every: bool = False) -> Fault:
    async def fault(made: Installation) -> float:
        pids = await made.backends(like)
        await _signal(pids if every else [random.choice(pids)], number)
        return time.monotonic()

    return fault


async def frozen_backends(made: Installation) -> float:
    pids = await made.backends()
    await _signal(pids, signal.SIGSTOP)
    await asyncio.sleep(4)
    await _signal(pids, signal.SIGCONT)
    return time.monotonic()


def postmaster(number: int) -> Fault:
    async def fault(made: Installation) -> float:
        pid = made.postmaster
        await _signal([pid], number)
        await made.postgres_ended()
        await made.start_postgres()
        return time.monotonic()

    return fault


async def frozen_postmaster(made: Installation) -> float:
    pid = made.postmaster
    # With the backends gone as well, whoever wants to connect waits for one that does not accept.
    await _signal([pid], signal.SIGSTOP)
    await asyncio.sleep(4)
    await _signal([pid], signal.SIGCONT)
    return time.monotonic()


def killed(which: Callable[[Installation], list[Process]]) -> Fault:
    async def fault(made: Installation) -> float:
        process = random.choice(which(made))
        process.kill()
        await asyncio.sleep(0.5)
        process.start()
        return time.monotonic()

    return fault


def frozen(which: Callable[[Installation], list[Process]], seconds: float) -> Fault:
    async def fault(made: Installation) -> float:
        process = random.choice(which(made))
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.signal(signal.SIGCONT)
        return time.monotonic()

    return fault


async def full_disk(made: Installation) -> float:
    """Nothing can be written for a while; then there is room again, and a server that gave up is started again."""
    filler = made.disk / "filler"
    ends = time.monotonic() + 6
    with filler.open("wb") as file:
        while time.monotonic() < ends:
            try:
                file.write(b"\0" * (1 << 20))
                file.flush()
            except OSError:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), file.tell(), 1 << 12)
                await asyncio.sleep(0.05)
    filler.unlink()
    if made.postgres.pid is None:
        await made.start_postgres()
    return time.monotonic()


async def clock(made: Installation) -> float:
    """The business clock jumps more than a year ahead, in one API and one worker first, and back."""
    for today in ("2028-02-29", None):
        for process in made.processes():
            process.signal(signal.SIGTERM)
            await process.end()
            process.start(**({"STRATA_TODAY": today} if today else {}))
            await asyncio.sleep(1)
    return time.monotonic()


async def cut_before(made: Installation) -> float:
    await made.proxy.cut("before", 10)
    return time.monotonic()


async def cut_after(made: Installation) -> float:
    await made.proxy.cut("after", 10)
    return time.monotonic()


def _apis(made: Installation) -> list[Process]:
    return made.apis


def _workers(made: Installation) -> list[Process]:
    return made.workers


FAULTS: dict[str, Fault] = {
    "COMMIT cut before the server has it": cut_before,
    "COMMIT cut after the server has it": cut_after,
    "a backend: SIGKILL": backend(signal.SIGKILL),
    "a backend: SIGTERM": backend(signal.SIGTERM),
    "all backends: SIGSTOP for 4 s": frozen_backends,
    "postmaster: SIGKILL": postmaster(signal.SIGKILL),
    "postmaster: immediate stop": postmaster(signal.SIGQUIT),
    "postmaster: fast stop": postmaster(signal.SIGINT),
    "postmaster: SIGSTOP for 4 s": frozen_postmaster,
    "LISTEN connections: dropped": backend(signal.SIGTERM, like="strata-listen", every=True),
    "an API: SIGKILL": killed(_apis),
    "an API: SIGSTOP for 6 s": frozen(_apis, 6),
    "a worker: SIGKILL": killed(_workers),
    "a worker: SIGSTOP past its lease": frozen(_workers, 15),
    "the disk: full for 6 s": full_disk,
    "the business clock: a year ahead and back": clock,
}
