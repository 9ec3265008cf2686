"""The languages that explanations are written in, and which of them is asked for."""

from typing import Literal, get_args

Language = Literal["en", "zh"]


def preferred(accept_language: str | None) -> Language:
    """The language that an Accept-Language header prefers among ours; English when it names none of them."""
    ours: dict[str, Language] = {each: each for each in get_args(Language)}
    best, weight = ours["en"], 0.0
    for each in (accept_language or "").split(","):
        tag, _, parameter = each.partition(";")
        name, found = tag.strip().lower().split("-")[0], _quality(parameter)
        if name in ours and found > weight:
            best, weight = ours[name], found
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
