"""Routes of tags: of one customer, and of everybody who carries them."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import document, service, tags
from app.customers.schemas import CustomerOut, TagMergeIn, TagName, TagPage, TagRename, TagReplacedOut
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Tags")

CanReadCustomers = Annotated[Actor, Depends(Requires("customers:read"))]
CanWriteCustomers = Annotated[Actor, Depends(Requires(service.WRITE))]
CanWriteTags = Annotated[Actor, Depends(Requires(tags.WRITE_ALL))]
CustomerId = Annotated[UUID, Path(description="customer id")]
Tag = Annotated[TagName, Path(description="tag, such as wholesale; it may hold slashes")]


@routes.get("/tags", response_model=TagPage)
async def list_tags(actor: CanReadCustomers, session: ReadSession, page: Paging) -> object:
    """Tags by name, each with how many of the customers you may see carry it."""
    return await tags.page(session, actor, page)


@routes.post("/tags/merges", response_model=TagReplacedOut)
async def merge_tags(actor: CanWriteTags, session: WriteSession, body: TagMergeIn) -> object:
    """Make several tags one: whoever carries any of them carries the one instead. Needs the scope all."""
    return await tags.merge(session, actor, body.tags, body.into)


@routes.patch("/tags/{tag:path}", response_model=TagReplacedOut)
async def rename_tag(actor: CanWriteTags, session: WriteSession, tag: Tag, body: TagRename) -> object:
    """Give a tag another name, for everybody who carries it. Needs the scope all.

    Schemes and segments that ask for the old name go on asking for it: publish them anew.
    """
    return await tags.rename(session, actor, tag, body.tag)


@routes.delete("/tags/{tag:path}", response_model=TagReplacedOut)
async def delete_tag(actor: CanWriteTags, session: WriteSession, tag: Tag) -> object:
    """Take a tag off everybody who carries it. Needs the scope all."""
    return await tags.remove(session, actor, tag)


@routes.put("/customers/{customer_id}/tags/{tag:path}", response_model=CustomerOut)
async def put_customer_tag(
    actor: CanWriteCustomers, session: WriteSession, customer_id: CustomerId, tag: Tag
) -> Response:
    """Put a tag on a customer; nothing changes if it is there."""
    await tags.put(session, actor, customer_id, tag)
    content, version = await document.one(session, actor, customer_id, service.WRITE)
    response = Response(content, media_type="application/json")
    etag(response, version)
    return response


@routes.delete("/customers/{customer_id}/tags/{tag:path}", status_code=204)
async def take_customer_tag(actor: CanWriteCustomers, session: WriteSession, customer_id: CustomerId, tag: Tag) -> None:
    """Take a tag off a customer."""
    await tags.take(session, actor, customer_id, tag)
