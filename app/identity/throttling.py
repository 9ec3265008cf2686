"""How often one may try to log in: counted in the database, so that more processes do not mean more tries.

An attempt is counted, in a transaction of its own, before its password is checked: a thousand tries at
once are a thousand attempts. A login that succeeds takes its count back.
"""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import case, delete, func, update
from sqlalchemy.dialects.postgresql import insert

from app.core import clock
from app.core.db import Database, WriteSession
from app.core.errors import TooManyRequests
from app.core.settings import get_settings
from app.identity.errors import TooManyLogins
from app.identity.models import login_attempt
from app.identity.tokens import derived_key

WINDOW = timedelta(minutes=1)
ADDRESS_FACTOR = 5


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: the account and the address, as keyed hashes, because both are personal data."""

    account: str
    address: str

    @classmethod
    def of(cls, secret: str, *, username: str, address: str, purpose: str = "") -> "Attempt":
        """`purpose` keeps tries that are no logins apart from those that are."""
        return cls(
            _subject(secret, f"{purpose}account", username), _subject(secret, f"{purpose}address", _network(address))
        )


async def count_attempt(
    database: Database,
    attempt: Attempt,
    *,
    limit: int | None = None,
    refusal: type[TooManyRequests] = TooManyLogins,
) -> None:
    """Count the try; raises the refusal above the limit of the account or of the address.

    `limit` is of tries a minute; that of logins, if left out.
    """
    now = clock.now()
    over = login_attempt.c.window_start <= now - WINDOW
    counting = insert(login_attempt).values(
        [
            {"subject": attempt.account, "window_start": now, "attempts": 1},
            {"subject": attempt.address, "window_start": now, "attempts": 1},
        ]
    )
    counting = counting.on_conflict_do_update(
        index_elements=[login_attempt.c.subject],
        set_={
            "attempts": case((over, 1), else_=login_attempt.c.attempts + 1),
            "window_start": case((over, counting.excluded.window_start), else_=login_attempt.c.window_start),
        },
    )
    async with database.transaction() as session:
        rows = await session.all(counting.returning(*login_attempt.c))
    limit = limit or get_settings().login_attempts_per_minute
    limits = {attempt.account: limit, attempt.address: limit * ADDRESS_FACTOR}
    waits = [row["window_start"] + WINDOW - now for row in rows if row["attempts"] > limits[row["subject"]]]
    if waits:
        raise refusal(retry_after=max(1, int(max(waits).total_seconds()) + 1))


async def forgive(session: WriteSession, attempt: Attempt) -> None:
    """The login succeeded: the account starts afresh, the address has one attempt less."""
    await session.execute(delete(login_attempt).where(login_attempt.c.subject == attempt.account))
    await session.execute(
        update(login_attempt)
        .where(login_attempt.c.subject == attempt.address)
        .values(attempts=func.greatest(login_attempt.c.attempts - 1, 0))
    )


async def forget_past(session: WriteSession) -> int:
    """Delete the counts whose minute is over."""
    return await session.execute(delete(login_attempt).where(login_attempt.c.window_start <= clock.now() - WINDOW))


def _subject(secret: str, kind: str, value: str) -> str:
    key = derived_key(secret, "login attempts")
    return f"{kind}:{hmac.new(key, value.encode(errors='replace'), 'sha256').hexdigest()}"


def _network(address: str) -> str:
    # Whoever has one IPv6 address has 2^64 of them.
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else str(known)
