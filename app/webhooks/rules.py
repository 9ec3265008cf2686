"""Pure decisions about events and their names."""

from collections.abc import Iterable

EVERY = "*"


def like_pattern(pattern: str) -> str:
    """`segment.*` as LIKE reads it; the underscores of a name mean themselves."""
    return pattern.replace("_", r"\_").replace(EVERY, "%")


def like_patterns(patterns: Iterable[str]) -> list[str] | None:
    """What the name of an event must be like, one of them; None when every event is wanted."""
    wanted = sorted(set(patterns))
    return None if not wanted or EVERY in wanted else [like_pattern(each) for each in wanted]
