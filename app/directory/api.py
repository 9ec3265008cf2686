"""Routes that find and show customers."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.classification import schemes, segments
from app.classification.definitions import IN
from app.core.bounds import Code, FileFormat, Key
from app.core.db import ReadSession as Session
from app.core.http.etag import tag as etag
from app.core.http.files import CsvResponse, csv_file, ndjson_file
from app.core.http.paging import Page, Paging
from app.core.http.routes import PRINCIPAL, REQUEST_ID, ReadSession, WriteSession, note_reading, router
from app.customers import document
from app.customers.schemas import CustomerOut, CustomerPage, Region, TagName
from app.customers.transfers import TRANSFER
from app.directory import exports, files, queries, timeline, transfers
from app.directory.schemas import (
    ClassFilter,
    ExportIn,
    ExportOut,
    ExportPage,
    IdentityFilter,
    PreviewIn,
    PreviewOut,
    SearchIn,
    SearchText,
    Sort,
    TimelinePage,
    TransferOfManyIn,
    TransferOfManyOut,
    TransferOfManyPage,
)
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(tag="Customers")

CanReadCustomers = Annotated[Actor, Depends(Requires("customers:read"))]
CanReadTimelines = Annotated[Actor, Depends(Reads("customers:read", "timeline"))]
CanReadSegments = Annotated[Actor, Depends(Requires(segments.READ))]
CanTransferCustomers = Annotated[Actor, Depends(Requires(TRANSFER))]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
ClassName = Annotated[Code, Path(description="class, such as A")]
SegmentKey = Annotated[Key, Path(description="segment key, such as big_in_shanghai")]
GroupKey = Annotated[Key, Path(description="group key, such as advisory_board")]
ExportId = Annotated[UUID, Path(description="export id")]
TransferId = Annotated[UUID, Path(description="id of a transfer of many")]
Include = Annotated[Literal["total"] | None, Query(description="`total` counts all matches")]


def _page(request: Request, actor: Actor, action: str, found: queries.Found) -> Response:
    """The page, written down when it shows contact data that others see masked."""
    if found.customers and (contact := actor.scope(document.READ_CONTACT)) is not None:
        what = {"contact": contact, "customers": found.customers}
        note_reading(request, actor, action, "customers", request.scope["path"], what)
    return Response(found.content, media_type="application/json")


@routes.get("/customers", response_model=CustomerPage)
async def list_customers(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    class_: Annotated[ClassFilter | None, Query(alias="class", description="scheme:class, such as abc:A")] = None,
    owner: Annotated[UUID | None, Query(description="user id")] = None,
    unit: Annotated[UUID | None, Query(description="org unit id")] = None,
    region: Annotated[Region | None, Query(description="a region and everything within it")] = None,
    tag: Annotated[TagName | None, Query()] = None,
    text: Annotated[SearchText | None, Query(description="part of the name")] = None,
    identity: Annotated[IdentityFilter | None, Query(description="kind:value, such as external:C-1001")] = None,
    sort: Annotated[Sort, Query()] = Sort.CREATED_DESC,
    include: Include = None,
) -> Response:
    """Customers you may see, filtered and sorted."""
    given = {
        "class": class_,
        "owner": owner,
        "unit": unit,
        "region": region,
        "tag": tag,
        "text": text,
        "identity": identity,
    }
    filters = {name: value for name, value in given.items() if value is not None}
    found = await queries.page_of_customers(session, actor, page, filters=filters, sort=sort, total=include == "total")
    return _page(request, actor, "customers.listed", found)


@routes.post("/customers/search", response_model=CustomerPage)
async def search_customers(actor: CanReadCustomers, session: ReadSession, request: Request, body: SearchIn) -> Response:
    """Customers for whom a predicate tree holds: metrics, fields, classes and tags, with all, any and not."""
    page = Page(body.limit, body.cursor, request.app.state.cursors, "POST /v1/customers/search")
    found = await queries.search_customers(
        session,
        actor,
        page,
        where=body.where,
        asked=body.model_dump(mode="json", by_alias=True, include={"where", "sort"}),
        sort=body.sort,
        total=body.include_total,
    )
    return _page(request, actor, "customers.searched", found)


@routes.post("/customers/transfers", status_code=202, response_model=TransferOfManyOut)
async def transfer_customers(
    actor: CanTransferCustomers, session: WriteSession, response: Response, body: TransferOfManyIn
) -> object:
    """Put many customers into other hands in the background: with your rights of the time when it is carried out.

    Each of them gets a line in its history, an entry in the audit trail and an event, as if it were the only one.
    """
    transfer_id = await transfers.request(session, actor, body)
    response.headers["location"] = f"/v1/customers/transfers/{transfer_id}"
    return await transfers.one(session, transfer_id, session.principal)


@routes.get("/customers/transfers", response_model=TransferOfManyPage)
async def list_transfers(actor: CanTransferCustomers, session: ReadSession, request: Request, page: Paging) -> object:
    """Your transfers of many, the latest first."""
    return await transfers.page_of(session, page, request.scope[PRINCIPAL])


@routes.get("/customers/transfers/{transfer_id}", response_model=TransferOfManyOut)
async def read_transfer(
    actor: CanTransferCustomers, session: ReadSession, request: Request, transfer_id: TransferId
) -> object:
    """A transfer of many and how far it is."""
    return await transfers.one(session, transfer_id, request.scope[PRINCIPAL])


@routes.post("/customers/transfers/{transfer_id}/cancel", response_model=TransferOfManyOut)
async def cancel_transfer(actor: CanTransferCustomers, session: WriteSession, transfer_id: TransferId) -> object:
    """Stop a transfer of many; whoever was moved before stays moved."""
    await transfers.cancel(session, actor, transfer_id)
    return await transfers.one(session, transfer_id, session.principal)


@routes.get("/customers/{customer_id}", response_model=CustomerOut)
async def read_customer(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    customer_id: Annotated[UUID, Path(description="customer id")],
) -> Response:
    """One customer, with its classes."""
    content, version = await document.one(session, actor, customer_id)
    if (contact := actor.scope(document.READ_CONTACT)) is not None:
        note_reading(request, actor, "customer.read", "customer", customer_id, {"contact": contact})
    response = Response(content, media_type="application/json")
    etag(response, version)
    return response


@routes.get("/customers/{customer_id}/timeline", response_model=TimelinePage)
async def read_timeline(
    actor: CanReadTimelines,
    session: ReadSession,
    customer_id: Annotated[UUID, Path(description="customer id")],
    page: Paging,
    kind: Annotated[list[Key] | None, Query(max_length=20, description="only these kinds; repeat it")] = None,
) -> Response:
    """What happened with a customer, the latest first: interactions, purchases, changes of class, as far as you may."""
    found = await timeline.page_of_timeline(session, actor, customer_id, page, kinds=kind or [])
    return Response(found, media_type="application/json")


@routes.get("/schemes/{key}/classes/{name}/customers", response_model=CustomerPage)
async def list_class_customers(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    key: SchemeKey,
    name: ClassName,
    sort: Annotated[Sort, Query()] = Sort.CREATED_DESC,
    include: Include = None,
) -> Response:
    """The customers of one class."""
    await schemes.check_class(session, key, name)
    return await _of_class(actor, session, request, page, f"{key}:{name}", sort, include)


async def _of_class(
    actor: Actor, session: Session, request: Request, page: Page, name: str, sort: Sort, include: str | None
) -> Response:
    total = include == "total"
    found = await queries.page_of_customers(session, actor, page, filters={"class": name}, sort=sort, total=total)
    return _page(request, actor, "customers.listed", found)


@routes.get("/segments/{key}/customers", response_model=CustomerPage)
async def list_segment_customers(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    key: SegmentKey,
    sort: Annotated[Sort, Query()] = Sort.CREATED_DESC,
    include: Include = None,
) -> Response:
    """The customers in a segment."""
    await segments.check_exists(session, key)
    return await _of_class(actor, session, request, page, f"{key}:{IN}", sort, include)


@routes.get("/groups/{key}/customers", response_model=CustomerPage)
async def list_group_customers(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    key: GroupKey,
    sort: Annotated[Sort, Query()] = Sort.CREATED_DESC,
    include: Include = None,
) -> Response:
    """The customers in a group, among those you may see."""
    await segments.check_exists(session, key, segments.GROUPS)
    return await _of_class(actor, session, request, page, f"{key}:{IN}", sort, include)


@routes.get("/schemes/{key}/classes/{name}/export", response_model=str, response_class=CsvResponse)
async def export_class_customers(
    actor: CanReadCustomers, session: ReadSession, request: Request, key: SchemeKey, name: ClassName
) -> object:
    """All customers of one class, among those you may see, as CSV; contact data as far as you may read it."""
    await schemes.check_class(session, key, name)
    rows = await exports.file_of_class(session, actor, key, name, request.scope.get(REQUEST_ID))
    return csv_file(f"{key}-{name}", rows)


@routes.get("/segments/{key}/export", response_model=str, response_class=CsvResponse)
async def export_segment_customers(
    actor: CanReadCustomers, session: ReadSession, request: Request, key: SegmentKey
) -> object:
    """All customers in a segment, among those you may see, as CSV; contact data as far as you may read it."""
    await segments.check_exists(session, key)
    rows = await exports.file_of_class(session, actor, key, IN, request.scope.get(REQUEST_ID))
    return csv_file(key, rows)


@routes.post("/exports", status_code=202, response_model=ExportOut)
async def start_export(actor: CanReadCustomers, session: WriteSession, response: Response, body: ExportIn) -> object:
    """Write customers into a file in the background: those found by a predicate, of a class, in a segment, or all.

    Whom you see, with contact data as far as you may read it. The file is yours alone and kept for 24 hours.
    """
    export_id = await files.request(session, actor, body)
    response.headers["location"] = f"/v1/exports/{export_id}"
    return await files.one(session, export_id, session.principal)


@routes.get("/exports", response_model=ExportPage)
async def list_exports(actor: CanReadCustomers, session: ReadSession, request: Request, page: Paging) -> object:
    """Your exports, the latest first."""
    return await files.page_of(session, page, request.scope[PRINCIPAL])


@routes.get("/exports/{export_id}", response_model=ExportOut)
async def read_export(actor: CanReadCustomers, session: ReadSession, request: Request, export_id: ExportId) -> object:
    """An export of yours and how far it is."""
    return await files.one(session, export_id, request.scope[PRINCIPAL])


@routes.post("/exports/{export_id}/cancel", response_model=ExportOut)
async def cancel_export(actor: CanReadCustomers, session: WriteSession, export_id: ExportId) -> object:
    """Stop an export of yours; there will be no file."""
    await files.cancel(session, actor, export_id)
    return await files.one(session, export_id, session.principal)


@routes.get(
    "/exports/{export_id}/file",
    response_model=str,
    response_class=CsvResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def fetch_export(actor: CanReadCustomers, session: ReadSession, request: Request, export_id: ExportId) -> object:
    """The file, once it is complete; that you took it is audited. 410 when it has expired or was withdrawn."""
    scope = request.scope
    file = await files.fetch(session, actor, export_id, scope[PRINCIPAL], scope.get(REQUEST_ID))
    return (csv_file if file.format is FileFormat.CSV else ndjson_file)(file.name, file.content)


@routes.post("/segments/preview", response_model=PreviewOut)
async def preview_segment(actor: CanReadSegments, session: ReadSession, body: PreviewIn) -> object:
    """How many customers a segment with this condition would hold, among those you may see; nothing is kept."""
    await segments.check_condition(session, body.when)
    return await queries.preview(session, actor, segments.READ, body.when)


routers = [routes]
