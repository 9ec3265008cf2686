"""JSON lines on stderr: request id, actor id, route, time. Never a name, a phone number or a body."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog


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
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)


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
