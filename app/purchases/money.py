"""Money rules of purchases: ranges, rounding, conversion. Pure."""

import hashlib
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from app.core.bounds import plain_decimal

PLACES = Decimal("0.0001")
RATE_DAYS = 7
"""A day without a rate of its own takes the latest of its last seven days: exchanges close on weekends."""


def in_base_currency(amount: Decimal, rate: Decimal, kind: str) -> Decimal:
    """The amount in the base currency, rounded half-even to four places; a refund is negative.

    The sign alone tells refunds from purchases, so a refund is at least the smallest amount there is.
    """
    value = (amount * rate).quantize(PLACES, ROUND_HALF_EVEN)
    return -max(value, PLACES) if kind == "refund" else value


def content_hash(*parts: Decimal | datetime | str | None) -> int:
    """63 bits that stand for what a line says; equal values hash alike however they were written."""
    text = "\x1f".join(map(_canonical, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def _canonical(part: Decimal | datetime | str | None) -> str:
    if isinstance(part, Decimal):
        return plain_decimal(part)
    if isinstance(part, datetime):
        return part.astimezone(UTC).isoformat()
    return part or ""
