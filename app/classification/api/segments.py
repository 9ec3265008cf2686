"""Routes of segments: who is in, by a condition or by hand, and what they are like. Those by hand are groups, too."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path

from app.classification import segments
from app.classification.definitions import IN
from app.classification.portraits import groups
from app.classification.portraits.drawing import portrait
from app.classification.schemas.portraits import PortraitOut
from app.classification.schemas.segments import (
    MembersIn,
    MembersOut,
    SegmentIn,
    SegmentOut,
    SegmentPage,
)
from app.core.bounds import Key
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/segments", tag="Segments")

CanReadSegments = Annotated[Actor, Depends(Requires(segments.READ))]
CanWriteSegments = Annotated[Actor, Depends(Requires(segments.WRITE))]
SegmentKey = Annotated[Key, Path(description="segment key, such as big_in_shanghai")]
CustomerId = Annotated[UUID, Path(description="customer id")]


@routes.get("", response_model=SegmentPage)
async def list_segments(actor: CanReadSegments, session: ReadSession, page: Paging) -> object:
    """Segments by key, each with how many of the customers you may see are in it."""
    return await segments.page(session, actor, page)


@routes.post("", status_code=201, response_model=SegmentOut)
async def create_segment(actor: CanWriteSegments, session: WriteSession, body: SegmentIn) -> object:
    """A new segment, in force at once. A condition is asked of everybody in the background.

    A segment is a scheme: as `/v1/schemes/{key}` it has versions and a title, and is deleted. A static one is also
    shown as `/v1/groups/{key}`.
    """
    await segments.create(
        session, actor, key=body.key, title=body.title, description=body.description, when=body.when, note=body.note
    )
    return await segments.read(session, actor, body.key, segments.WRITE)


@routes.get("/{key}", response_model=SegmentOut)
async def read_segment(actor: CanReadSegments, session: ReadSession, key: SegmentKey) -> object:
    """One segment."""
    return await segments.read(session, actor, key)


@routes.get("/{key}/portrait", response_model=PortraitOut)
async def read_segment_portrait(actor: CanReadSegments, session: ReadSession, key: SegmentKey) -> object:
    """What its customers are like: value, classes, what they buy, when and how, against everybody you may see."""
    await segments.read(session, actor, key)
    return await portrait(session, groups.class_of(actor, segments.READ, key=key, name=IN))


@routes.post("/{key}/members", response_model=MembersOut)
async def change_segment_members(
    actor: CanWriteSegments, session: WriteSession, key: SegmentKey, body: MembersIn
) -> object:
    """Put customers into a static segment and take others out: all or nothing."""
    return await segments.change_members(session, actor, key, add=body.add, remove=body.remove)


@routes.put("/{key}/members/{customer_id}", status_code=204)
async def put_segment_member(
    actor: CanWriteSegments, session: WriteSession, key: SegmentKey, customer_id: CustomerId
) -> None:
    """Put a customer into a static segment."""
    await segments.put_member(session, actor, key, customer_id)


@routes.delete("/{key}/members/{customer_id}", status_code=204)
async def remove_segment_member(
    actor: CanWriteSegments, session: WriteSession, key: SegmentKey, customer_id: CustomerId
) -> None:
    """Take a customer out of a static segment."""
    await segments.take_member(session, actor, key, customer_id)
