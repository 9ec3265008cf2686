"""Letters are queued with what they announce; a job writes each at the moment it is sent, and sends it."""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from email_validator import EmailNotValidError

from app.core import clock, jobs, telemetry
from app.core.db import ReadSession, WriteSession
from app.core.errors import Invalid
from app.core.events import publish
from app.core.jobs import Hopeless, JobContext, Postponed
from app.core.settings import get_settings
from app.mail import letters, sending
from app.mail.events import MailUndelivered
from app.mail.letters import Letter

JOB = "mail.send"
AT_A_TIME = 2
"""Letters under way in the whole installation: a server that hangs holds up no other work."""
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(hours=1)
GIVEN_UP = timedelta(days=3)

Writer = Callable[[ReadSession, Mapping[str, str]], Awaitable[Letter | None]]
"""Writes the letter from what stands now; None when it has nothing to say any more."""

log = structlog.get_logger(__name__)
_writers: dict[str, Writer] = {}


def add(writers: Mapping[str, Writer]) -> None:
    """Who writes which letter; adding one twice changes nothing."""
    _writers.update(writers)


def is_on() -> bool:
    """Whether this installation sends e-mail."""
    return get_settings().smtp_url is not None


def demand() -> None:
    """Raises `Invalid` where e-mail is asked for and none is sent."""
    if not is_on():
        raise Invalid.at("/body/send", "This installation sends no e-mail: leave it out, and send the answer yourself")


async def queue(session: WriteSession, letter: str, **about: UUID | datetime | str) -> None:
    """Have the letter sent once this transaction is committed. `about` holds ids and instants, nothing personal."""
    named = {name: each.isoformat() if isinstance(each, datetime) else str(each) for name, each in about.items()}
    await jobs.enqueue(session, JOB, {"letter": letter, "about": named})


async def send(context: JobContext) -> None:
    """The job. Carried out twice, because a worker died in between, it sends the same Message-ID."""
    name = context.payload["letter"]
    try:
        outcome = await _send(context, name)
    except Postponed:
        telemetry.mails.labels(name, "postponed").inc()
        raise
    except Hopeless:
        telemetry.mails.labels(name, "undelivered").inc()
        raise
    telemetry.mails.labels(name, outcome).inc()


async def _send(context: JobContext, name: str) -> str:
    letter = await _writers[name](context.database.reading(), context.payload["about"])
    now = clock.now()
    if letter is None or now >= letter.until:
        return "needless"
    try:
        await sending.send(letters.message(letter, job_id=context.id, queued_at=context.queued_at))
    except EmailNotValidError:
        raise Hopeless("the address is none") from None
    except sending.Refused as refusal:
        raise Hopeless(str(refusal)) from None
    except sending.Away as away:
        log.warning("mail.postponed", letter=name, job_id=str(context.id), reason=str(away))
        wait = wait_after(now - context.queued_at)
        if now + wait >= min(letter.until, context.queued_at + GIVEN_UP):
            raise Hopeless(f"not delivered in time: {away}") from None
        raise Postponed(wait) from None
    return "sent"


def wait_after(waited: timedelta) -> timedelta:
    """As long again as it has waited, within limits, and not at the same moment as all others."""
    doubled = min(max(waited, FIRST_WAIT), LONGEST_WAIT)
    return doubled * random.uniform(0.9, 1.1)  # noqa: S311  only so that not all come at once


async def given_up(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
    """What is done when the job is dead: others hear that the letter did not arrive."""
    await publish(session, MailUndelivered(payload["letter"], payload["about"], reason))
