"""JSON lines on stderr: request id, actor id, route, time. Never a name, a phone number or a body."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = {
    "timestamp": "when, in UTC",
    "level": "debug, info, warning, error or critical",
    "event": "what happened, such as request or job.failed; library, when one of the libraries says it",
    "request_id": "of the request: the X-Request-ID of its answer",
    "method": "of the request",
    "route": "of the request, as a template: never with ids",
    "status": "of the answer",
    "ms": "milliseconds until the answer was there",
    "actor": "who asked, such as user:<id>: never a name",
    "job": "the job's name",
    "job_id": "the job's id",
    "jobs": "how many jobs",
    "starts": "how often the job was begun",
    "letter": "the kind of a letter, such as profile_change_code: never to whom",
    "reason": "why a job was given up",
    "error": "the kind of error, from which it recovers by itself",
    "exception": "the kind of exception",
    "stack": "where it came about, file:line, the innermost last",
    "sqlstate": "PostgreSQL's code of the error",
    "schemes": "keys of schemes",
    "readings": "how many readings the audit has to take",
    "delivery_id": "of a webhook's delivery",
    "seal": "the number of the audit's seal",
    "events": "how many audit rows it seals",
    "hash": "the seal, in hex",
    "logger": "which library",
    "place": "where in it, file:line",
    "template": "what it says, without the values",
}
"""Every field that a line may have, and what it says."""


def configure(level: str = "INFO", *, pretty: bool | None = None) -> None:
    """Set up structlog for the process. Pretty when a person watches, JSON otherwise."""
    watching = sys.stderr.isatty() if pretty is None else pretty
    renderer: Any = structlog.dev.ConsoleRenderer() if watching else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _stack_without_values,
            _known_fields,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    root = logging.getLogger()
    if not any(isinstance(each, _Libraries) for each in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))


class _Libraries(logging.Handler):
    """What libraries log, as lines of ours, without the values that they put into their words."""

    def emit(self, record: logging.LogRecord) -> None:
        # Without arguments the words were put together before, and may hold anything.
        template = {"template": str(record.msg)} if record.args else {}
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger(record.name).log(
            record.levelno,
            "library",
            logger=record.name,
            place=f"{record.filename}:{record.lineno}",
            exc_info=error,
            **template,
        )


def _stack_without_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where it happened, not with which values: an exception's message may quote personal data."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(f"{trace.tb_frame.f_code.co_filename.rsplit('/app/', 1)[-1]}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["stack"] = frames[-12:]
    return event


def _known_fields(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Only what is documented leaves the process: whatever else it was, nobody has judged whom it names."""
    return {name: value for name, value in event.items() if name in FIELDS}
