"""Entity tags of versioned resources: `"3"` is version 3."""

from typing import Annotated

from fastapi import Header, Response

from app.core.errors import PreconditionFailed

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=100,
        description="the ETag that you read; the change is refused with 412 when it is stale",
    ),
]


def tag(response: Response, version: int) -> None:
    """Put the version on the answer."""
    response.headers["etag"] = f'"{version}"'


def expected_version(if_match: str | None) -> int | None:
    """The version the caller has seen; None when any will do. Raises a problem for anything else."""
    if if_match is None or if_match.strip() == "*":
        return None
    bare = if_match.strip().removeprefix("W/").strip('"')
    if not bare.isdecimal() or not bare.isascii() or len(bare) > 18:
        raise PreconditionFailed.at("/header/If-Match", 'If-Match is an ETag that this resource gave, such as "3"')
    return int(bare)


def check_version(current: int, expected: int | None) -> None:
    """Raises `PreconditionFailed` when the resource has moved on."""
    if expected is not None and expected != current:
        raise PreconditionFailed(f"You read version {expected}; the resource is at version {current}: read it again")
