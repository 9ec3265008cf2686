"""Groups: segments whose members people keep by hand, under the noun that people say; no store of their own.

A group is a scheme like every other: its members have the class `in`, which other schemes, searches and exports read,
and joining and leaving it is history and announced (decision 026).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select

from app.classification import catalogue, schemes, segments
from app.classification.models import scheme
from app.classification.publishing import one_editor_at_a_time
from app.classification.segments import GROUPS, READ, WRITE
from app.core.db import ReadSession, WriteSession
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.identity.actor import Actor


async def create(
    session: WriteSession, actor: Actor, *, key: str, title: str, description: str | None, members: Sequence[UUID]
) -> None:
    """A group, in force at once, with its first members. Raises `Invalid` at /body/members for those out of reach.

    Customers are held before evaluation is excluded: whoever evaluates one holds it already.
    """
    catalogue.check_may_define(actor, WRITE)
    await one_editor_at_a_time(session)
    await segments.hold_visible(session, actor, {"members": members})
    await segments.create(session, actor, key=key, title=title, description=description)
    if members:
        # What this process remembers to be in force lacks the new group until the transaction ends.
        evaluation = (await schemes.load(session)).evaluation
        await segments.move(session, actor, key, add=members, evaluation=evaluation)


async def change(
    session: WriteSession, actor: Actor, key: str, said: Mapping[str, Any], *, expected: int | None
) -> None:
    """Another title or description. Raises `NotFound`, and `PreconditionFailed` when the group has changed."""
    await _edit(session, actor, key)
    await catalogue.change(session, actor, key, said, expected=expected)


async def remove(session: WriteSession, actor: Actor, key: str, *, expected: int | None) -> None:
    """Delete: its members leave it in the background. Raises `SchemeInUse`, naming the schemes that read it."""
    await _edit(session, actor, key)
    await catalogue.retire(session, actor, key, expected=expected)


async def _edit(session: WriteSession, actor: Actor, key: str) -> None:
    """Until the transaction ends, nobody makes another kind of scheme of the group. Raises `NotFound` for no group."""
    catalogue.check_may_define(actor, WRITE)
    await one_editor_at_a_time(session)
    await check_is_one(session, key)


async def check_is_one(session: ReadSession, key: str) -> None:
    """Raises `NotFound` unless this is a group."""
    if await session.scalar(segments.kind_in_force(key)) not in GROUPS:
        raise NotFound(f"There is no group {key}")


async def read(session: ReadSession, actor: Actor, key: str, permission: str = READ) -> dict[str, Any]:
    """One group and how many of the customers that the actor may see are in it. Raises `NotFound`."""
    return await segments.one_of(session, _groups(actor, permission), key, "group")


async def page(session: ReadSession, actor: Actor, page: Page, *, counted: bool) -> dict[str, Any]:
    """A page of groups, by key; `counted`, each with how many of the customers that the actor may see are in it."""
    return await segments.page_of(session, page, _groups(actor, READ, counted=counted))


def _groups(actor: Actor, permission: str, *, counted: bool = True) -> Select[Any]:
    # A draft, which `/v1/schemes` may have of this kind, is in nobody's way and has no members yet.
    return segments.shown_segments(actor, permission, GROUPS, counted=counted).where(scheme.c.version > 0)
