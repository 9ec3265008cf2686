"""Customers whose purchases begin with the day, documents of every kind, and explanations of them."""

from collections.abc import Sequence
from typing import Any

import httpx

from app.core.db import Database
from tests.classification.population import Visit, add

RFM8 = {
    "kind": "rfm8",
    "classes": {
        "111": "key_value",
        "101": "key_develop",
        "011": "key_keep",
        "001": "key_win_back",
        "110": "general_value",
        "100": "general_develop",
        "010": "general_keep",
        "000": "general_win_back",
    },
}
SPENDING = {
    "kind": "rules",
    "rules": [
        {"class": "gold", "when": {"metric": "monetary_365d", "op": "gte", "value": "2000"}},
        {"class": "silver", "when": {"metric": "monetary_365d", "op": "gte", "value": "500"}},
    ],
    "default": "bronze",
    "titles": {"gold": {"en": "Gold", "zh": "金卡"}, "silver": {"en": "Silver", "zh": "银卡"}},
}
GRACE = {**SPENDING, "movement": {"downgrade": {"grace_days": 30, "one_step": True}, "upgrade": "next_month"}}
WORTH = {
    "kind": "score",
    "parts": [
        {"metric": "monetary_365d", "weight": "50", "edges": ["100", "1000"]},
        {"metric": "frequency_365d", "weight": "30", "linear": {"from": "0", "to": "10"}},
        {"metric": "recency_days", "weight": "20", "edges": ["30", "60"], "higher_is_better": False},
    ],
    "thresholds": [
        {"class": "high", "at_least": 70, "when": {"metric": "tenure_days", "op": "gte", "value": "90"}},
        {"class": "medium", "at_least": 40},
    ],
    "default": "low",
}
LEVEL = {
    "kind": "rules",
    "rules": [
        {"class": "vip", "when": {"any": [{"class": "worth", "op": "eq", "value": "high"}, {"tag": "contract"}]}},
        {"class": "active", "when": {"event": "purchase", "within_days": 30, "count": {"gte": 2}}},
        {"class": "potential", "when": {"not": {"metric": "tenure_days", "op": "gte", "value": "90"}}},
    ],
    "default": "regular",
    "movement": {"downgrade": {"grace_days": 15}},
}
HERE = {
    "kind": "segment",
    "when": {"all": [
        {"metric": "frequency_365d", "op": "gte", "value": 2},
        {"field": "region", "op": "within", "value": "CN-31"},
    ]},
}  # fmt: skip
LISTED = {"kind": "static"}
FIXED = {
    "kind": "rfm",
    "bins": 3,
    "edges": {"recency": ["30", "90"], "frequency": ["1", "3"], "monetary": ["100", "500"]},
    "segments": [
        {"class": "good", "cells": [{"r": [2, 3], "f": [2, 3], "m": [2, 3]}]},
        {"class": "small", "cells": [{"r": [2, 3], "f": [2, 3], "m": [1, 1]}]},
        {"class": "once", "cells": [{"r": [2, 3], "f": [1, 1], "m": [1, 3]}]},
        {"class": "gone", "cells": [{"r": [1, 1], "f": [1, 3], "m": [1, 3]}]},
    ],
}
KINDS = {
    "rfm8_test": RFM8,
    "spending": SPENDING,
    "graced": GRACE,
    "worth": WORTH,
    "level": LEVEL,
    "here": HERE,
    "listed": LISTED,
    "fixed": FIXED,
}


async def add_early(database: Database, ref: str, visits: list[Visit], **record: Any) -> str:
    """A customer whose purchases happened in the first second of their days."""
    made = await add(database, ref, visits)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE purchase SET occurred_at = date_trunc('day', occurred_at) + interval '1 second'"
            " WHERE customer_id = $1::text::uuid",
            made,
        )
        for name, value in record.items():
            await connection.execute(f"UPDATE customer SET {name} = $2 WHERE id = $1::text::uuid", made, value)
    return made


async def told(admin: httpx.AsyncClient, customer: str, scheme: str, **asked: str) -> Any:
    answer = await admin.get(f"/v1/customers/{customer}/classes/{scheme}/explanation", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def sentences(admin: httpx.AsyncClient, customer: str, scheme: str) -> Sequence[str]:
    """The whole in English and in Chinese."""
    return [(await told(admin, customer, scheme, language=language))["sentence"] for language in ("en", "zh")]
