"""Routes of groups: the segments whose members people keep, under the noun that people say."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from app.classification import catalogue, groups, segments
from app.classification.schemas.groups import GroupIn, GroupOut, GroupPage, GroupPatch
from app.classification.schemas.segments import MembersIn, MembersOut
from app.core.bounds import Key
from app.core.db import ReadSession as Session
from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/groups", tag="Groups")

CanReadGroups = Annotated[Actor, Depends(Requires(segments.READ))]
CanWriteGroups = Annotated[Actor, Depends(Requires(segments.WRITE))]
GroupKey = Annotated[Key, Path(description="group key, such as advisory_board")]
CustomerId = Annotated[UUID, Path(description="customer id")]
Include = Annotated[Literal["customers"] | None, Query(description="`customers` counts the members you may see")]


@routes.get("", response_model=GroupPage)
async def list_groups(actor: CanReadGroups, session: ReadSession, page: Paging, include: Include = None) -> object:
    """Groups by key. `/v1/segments` lists them, too, among those that have a condition."""
    return await groups.page(session, actor, page, counted=include == "customers")


@routes.post("", status_code=201, response_model=GroupOut)
async def create_group(actor: CanWriteGroups, session: WriteSession, response: Response, body: GroupIn) -> object:
    """A new group with its first members: all or nothing.

    A group is a static segment: it is also shown as `/v1/segments/{key}`, which has its portrait and its file. Schemes,
    searches and exports ask for its members by the class `in`. Joining and leaving it is announced as `segment.entered`
    and `segment.left`.
    """
    await groups.create(
        session, actor, key=body.key, title=body.title, description=body.description, members=body.members
    )
    return await _tagged(session, actor, response, body.key, segments.WRITE)


@routes.get("/{key}", response_model=GroupOut)
async def read_group(actor: CanReadGroups, session: ReadSession, response: Response, key: GroupKey) -> object:
    """One group."""
    return await _tagged(session, actor, response, key, segments.READ)


@routes.patch("/{key}", response_model=GroupOut)
async def update_group(
    actor: CanWriteGroups,
    session: WriteSession,
    response: Response,
    key: GroupKey,
    body: GroupPatch,
    if_match: etag.IfMatch = None,
) -> object:
    """Another title or description for a group."""
    said = body.model_dump(exclude_unset=True)
    await groups.change(session, actor, key, said, expected=etag.expected_version(if_match))
    return await _tagged(session, actor, response, key, segments.WRITE)


async def _tagged(session: Session, actor: Actor, response: Response, key: str, permission: str) -> object:
    shown = await groups.read(session, actor, key, permission)
    etag.tag(response, catalogue.revision(shown))
    return shown


@routes.delete("/{key}", status_code=204)
async def delete_group(
    actor: CanWriteGroups, session: WriteSession, key: GroupKey, if_match: etag.IfMatch = None
) -> None:
    """Delete a group that no scheme reads. Its members leave it in the background; its history and key stay."""
    await groups.remove(session, actor, key, expected=etag.expected_version(if_match))


@routes.post("/{key}/members", response_model=MembersOut)
async def change_group_members(actor: CanWriteGroups, session: WriteSession, key: GroupKey, body: MembersIn) -> object:
    """Put customers into a group and take others out: all or nothing."""
    await groups.check_is_one(session, key)
    return await segments.change_members(session, actor, key, add=body.add, remove=body.remove)


@routes.put("/{key}/members/{customer_id}", status_code=204)
async def put_group_member(
    actor: CanWriteGroups, session: WriteSession, key: GroupKey, customer_id: CustomerId
) -> None:
    """Put a customer into a group; who is in stays in."""
    await groups.check_is_one(session, key)
    await segments.put_member(session, actor, key, customer_id)


@routes.delete("/{key}/members/{customer_id}", status_code=204)
async def remove_group_member(
    actor: CanWriteGroups, session: WriteSession, key: GroupKey, customer_id: CustomerId
) -> None:
    """Take a customer out of a group; who is not in stays out."""
    await groups.check_is_one(session, key)
    await segments.take_member(session, actor, key, customer_id)
