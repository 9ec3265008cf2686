"""Shares of a group, held against everybody's: the lift is the one divided by the other."""

from decimal import Decimal
from typing import Any

from app.core.db import Record


def ratio(part: Any, whole: Any) -> float:
    """The part's share of the whole; 0 of nothing."""
    return float(round(Decimal(part) / Decimal(whole), 6)) if whole else 0.0


def lift(part: Any, whole: Any, usual_part: Any, usual_whole: Any) -> float | None:
    """How many times as large the share is as the usual one; None where that is none."""
    if not usual_part or not usual_whole:
        return None
    share = Decimal(part) / Decimal(whole) if whole else Decimal(0)
    return float(round(share * Decimal(usual_whole) / Decimal(usual_part), 4))


def share(row: Record, inside: int, everybody: int) -> dict[str, Any]:
    """A row that counts customers `inside` and among `everybody`, with their shares."""
    return {
        **row,
        "customers": row["inside"],
        "share": ratio(row["inside"], inside),
        "share_of_everybody": ratio(row["everybody"], everybody),
        "lift": lift(row["inside"], inside, row["everybody"], everybody),
    }
