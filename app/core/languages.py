"""The languages in which people are spoken to, and which of them is wanted."""

import re
from typing import Literal, get_args

Language = Literal["en", "zh"]

_RANGE = re.compile(r"\s*([a-zA-Z]{1,8})(?:-[a-zA-Z0-9]{1,8})*\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$")
_MAX_RANGES = 20


def preferred(accept_language: str | None, known: str | None = None) -> Language:
    """What an Accept-Language header (RFC 9110, section 12.5.4) prefers of ours; else the tag `known`; else English."""
    ours: dict[str, Language] = {each: each for each in get_args(Language)}
    wanted: dict[Language, float] = {}
    for part in (accept_language or "").split(",", _MAX_RANGES)[:_MAX_RANGES]:
        if (found := _RANGE.match(part)) and (language := ours.get(found[1].lower())):
            wanted[language] = max(wanted.get(language, 0.0), float(found[2] or 1))
    best = max(wanted, key=lambda language: wanted[language], default=None)
    if best is not None and wanted[best] > 0:
        return best
    return ours.get((known or "").lower().partition("-")[0], "en")
