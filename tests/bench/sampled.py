"""`python -m tests.bench.sampled FILE serve …`: Strata as ever, looked at 250 times a second of its processor time.

Each look finds the part of the application that is at work: the innermost frame that belongs to one. The counts go to
FILE, as JSON, whenever the process gets SIGUSR2.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from app.cli import main

EVERY = 0.004
"""Seconds of processor time between looks; the kernel's own timer is no finer."""
LOOP = "event loop"
_JSON = "reading and writing JSON"
_TELLING = "metrics, traces and logs"
PARTS = {
    "/app/identity/": "authentication and scope",
    "/app/core/audit.py": "audit",
    "/app/core/readings.py": "audit",
    "/app/core/outbox.py": "outbox",
    "/app/core/idempotency.py": "idempotency",
    "/app/core/db.py": "session and driver",
    "/app/core/http/": "HTTP and routing",
    "/app/core/telemetry.py": _TELLING,
    "/app/core/tracing.py": _TELLING,
    "/app/core/logging.py": _TELLING,
    "/app/cli.py": LOOP,
    "/app/": "handlers and rules",
    "/asyncpg/": "session and driver",
    "/sqlalchemy/": "building statements",
    "/pydantic/": _JSON,
    "/prometheus_client/": _TELLING,
    "/opentelemetry/": _TELLING,
    "/structlog/": _TELLING,
    "/fastapi/": "HTTP and routing",
    "/starlette/": "HTTP and routing",
    "/uvicorn/": "HTTP and routing",
}
"""What belongs to which part, by what the path of its file contains; the first that fits counts."""
BY_PYDANTIC = ("serialize_response", "serialize", "serialize_json", "validate", "request_body_to_args")
"""FastAPI's functions that have JSON read or written by Pydantic, whose core has no frames of its own."""


def part_of(frame: FrameType | None) -> str:
    """The part that is at work, seen from the innermost frame outwards."""
    while frame is not None:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        if "/fastapi/" in file and function in BY_PYDANTIC:
            return _JSON
        for place, part in PARTS.items():
            if place in file:
                return part
        frame = frame.f_back
    return LOOP


def sample(path: Path) -> None:
    """Look from now on; at each SIGUSR2, write what was seen and forget it."""
    seen: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        seen[part_of(frame)] += 1

    def write(*_: object) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(seen))
        fresh.replace(path)
        seen.clear()

    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR2, write)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)


if __name__ == "__main__":
    sample(Path(sys.argv.pop(1)))
    main()
