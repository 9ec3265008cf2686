"""Pure decisions about events: what they are called, how they are signed, when they are tried again."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EVERY = "*"
SECRET_PREFIX = "whsec_"  # noqa: S105  what every secret begins with
SECRET_BYTES = 32
OVERLAP = timedelta(days=1)
"""How long the secret before still signs, too."""

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(hours=12)
MAX_ATTEMPTS = 14
"""With the delays between them, three days."""
GIVEN_UP_AFTER = timedelta(days=3)
GONE = 410


def like_pattern(pattern: str) -> str:
    """`segment.*` as LIKE reads it; the underscores of a name mean themselves."""
    return pattern.replace("_", r"\_").replace(EVERY, "%")


def like_patterns(patterns: Iterable[str]) -> list[str] | None:
    """What the name of an event must be like, one of them; None when every event is wanted."""
    wanted = sorted(set(patterns))
    return None if not wanted or EVERY in wanted else [like_pattern(each) for each in wanted]


def new_secret() -> str:
    """A secret as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(signing: Iterable[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of Standard Webhooks 1.0: one signature for each secret."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{_signed(secret, content)}" for secret in signing)


def _signed(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def delay_after(attempts: int) -> timedelta | None:
    """How long to wait after so many failed attempts; None when there is no further one."""
    if attempts >= MAX_ATTEMPTS:
        return None
    return min(FIRST_DELAY * int(3 ** (attempts - 1)), LONGEST_DELAY)


def asked_to_wait(retry_after: str | None, *, now: datetime) -> timedelta:
    """How long an endpoint wants to be left alone, by `Retry-After`, seconds or a date; half a day at most."""
    written = (retry_after or "").strip()
    if written.isascii() and written.isdigit():
        wait = timedelta(seconds=min(int(written[:9]), int(LONGEST_DELAY.total_seconds())))
    else:
        try:
            until = parsedate_to_datetime(written)
        except ValueError:
            return timedelta(0)
        # A date without a zone is one of the forms of HTTP; all of them are of Greenwich.
        wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return max(min(wait, LONGEST_DELAY), timedelta(0))


def reason_to_pause(status: int | None, *, failing_since: datetime, now: datetime) -> str | None:
    """Why nothing more is sent to an endpoint that has failed again; None while it is tried."""
    if status == GONE:
        return "the endpoint answered 410: it is gone for good"
    if now - failing_since >= GIVEN_UP_AFTER:
        return "nothing has been accepted for three days"
    return None
