"""Routes of the audit trail, and of what a person may ask for: to be handed all data, to be forgotten."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.core.bounds import Day, FileFormat, Instant, Key, Reference
from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.files import CsvResponse, ZipResponse, csv_file, ndjson_file, zip_file
from app.core.http.paging import Paging
from app.core.http.routes import REQUEST_ID, ReadSession, WriteSession, router, shows
from app.customers.service import ERASE
from app.governance import erasure, handing_over, requests, retention, trail
from app.governance.schemas import (
    Action,
    AuditPage,
    DataRequestIn,
    DataRequestOut,
    DataRequestPage,
    DataRequestRejectionIn,
    ErasureOut,
    ErasurePage,
    RequestKind,
    RequestStatus,
    RetentionIn,
    RetentionList,
    RetentionOut,
)
from app.governance.trail import Asked
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(tag="Governance")

CanReadAudit = Annotated[Actor, Depends(Requires(trail.READ))]
CanHandOver = Annotated[Actor, Depends(Requires(handing_over.HAND_OVER))]
CanErase = Annotated[Actor, Depends(Requires(ERASE))]
CanReadRetention = Annotated[Actor, Depends(Requires(retention.READ))]
CanWriteRetention = Annotated[Actor, Depends(Requires(retention.WRITE))]
CanReadRequests = Annotated[Actor, Depends(Reads(requests.READ, "data_request"))]
CanWriteRequests = Annotated[Actor, Depends(Requires(requests.WRITE))]
RequestId = Annotated[UUID, Path(description="data request id")]
Kind = Annotated[Key, Path(description="a kind of data, such as notes")]
CustomerId = Annotated[UUID, Path(description="customer id")]


async def _asked(
    actor_id: Annotated[UUID | None, Query(alias="actor", description="id of a user or an API key")] = None,
    action: Annotated[Action | None, Query(description="such as customer.changed")] = None,
    resource: Annotated[Key | None, Query(description="such as customer")] = None,
    resource_id: Annotated[Reference | None, Query(description="the resource's id or key")] = None,
    since: Annotated[Instant | None, Query(description="from this instant on")] = None,
    until: Annotated[Instant | None, Query(description="before this instant")] = None,
) -> Asked:
    return Asked(actor_id, action, resource, resource_id, since, until)


Filter = Annotated[Asked, Depends(_asked)]


@routes.get("/audit", response_model=AuditPage)
async def list_audit_events(actor: CanReadAudit, session: ReadSession, page: Paging, asked: Filter) -> object:
    """Who did what, and who read what is personal; the latest first."""
    return await trail.page_of(session, actor, page, asked)


@routes.get(
    "/audit/export",
    response_model=str,
    response_class=CsvResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def export_audit_events(
    actor: CanReadAudit,
    session: ReadSession,
    request: Request,
    asked: Filter,
    format_: Annotated[FileFormat, Query(alias="format", description="csv, or one JSON object a line")] = (
        FileFormat.CSV
    ),
) -> object:
    """The audit trail as a file, the oldest event first; that it was taken is audited, too."""
    rows = await trail.file_of(session, actor, asked, format_, request.scope.get(REQUEST_ID))
    return csv_file("audit", rows) if format_ is FileFormat.CSV else ndjson_file("audit", rows)


@routes.get("/customers/{customer_id}/data", response_model=str, response_class=ZipResponse)
async def hand_over_data(
    actor: CanHandOver, session: ReadSession, request: Request, customer_id: CustomerId
) -> ZipResponse:
    """All that is kept of the customer, in clear: a zip of a manifest and of NDJSON files, one a table."""
    content = await handing_over.archive(session, actor, customer_id, request.scope.get(REQUEST_ID))
    return zip_file(f"customer-{customer_id}", content)


@routes.post("/customers/{customer_id}/erasure", response_model=ErasureOut)
async def erase_customer(actor: CanErase, session: WriteSession, customer_id: CustomerId) -> object:
    """Forget the person: what is personal goes from every package, what was bought stays. There is no undo."""
    return await erasure.erase(session, actor, customer_id)


@routes.get("/erasures", response_model=ErasurePage)
async def list_erasures(actor: CanErase, session: ReadSession, page: Paging) -> object:
    """Who was erased and when, by id; the latest first."""
    return await erasure.page_of(session, actor, page)


@routes.post("/data-requests", status_code=201, response_model=DataRequestOut)
async def record_data_request(
    actor: CanWriteRequests, session: WriteSession, body: DataRequestIn, response: Response
) -> object:
    """Write down that a person asked for its data, or to be forgotten; it is due a month later unless you say when."""
    received = await requests.receive(session, actor, body)
    response.headers["location"] = f"/v1/data-requests/{received['id']}"
    return _tagged(response, received)


@routes.get("/data-requests", response_model=DataRequestPage)
async def list_data_requests(
    actor: CanReadRequests,
    session: ReadSession,
    request: Request,
    page: Paging,
    kind: Annotated[RequestKind | None, Query(description="export or erasure")] = None,
    status: Annotated[RequestStatus | None, Query(description="such as received, which are open")] = None,
    due_before: Annotated[Day | None, Query(description="due before this day")] = None,
    customer: Annotated[UUID | None, Query(description="customer id")] = None,
) -> object:
    """What people asked for, the latest first; also of those who were erased, for who sees everybody."""
    filters = {"kind": kind, "status": status, "due_before": due_before, "customer_id": customer}
    found = await requests.page_of(session, actor, page, filters)
    shows(request, found["items"])
    return found


@routes.get("/data-requests/{data_request_id}", response_model=DataRequestOut)
async def read_data_request(
    actor: CanReadRequests, session: ReadSession, request: Request, data_request_id: RequestId, response: Response
) -> object:
    """What a person asked for, and what became of it."""
    found = await requests.one(session, actor, data_request_id)
    shows(request, [found])
    return _tagged(response, found)


@routes.post("/data-requests/{data_request_id}/complete", response_model=DataRequestOut)
async def complete_data_request(
    actor: CanWriteRequests,
    session: WriteSession,
    data_request_id: RequestId,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Give what was asked for: open the archive to be fetched, or erase the person, which needs the right to do so."""
    expected = expected_version(if_match)
    return _tagged(response, await requests.complete(session, actor, data_request_id, expected=expected))


@routes.post("/data-requests/{data_request_id}/reject", response_model=DataRequestOut)
async def reject_data_request(
    actor: CanWriteRequests,
    session: WriteSession,
    data_request_id: RequestId,
    body: DataRequestRejectionIn,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Refuse it, with the reason that the person is told; needs the right to do what was asked for."""
    expected = expected_version(if_match)
    return _tagged(response, await requests.reject(session, actor, data_request_id, body.reason, expected=expected))


@routes.post("/data-requests/{data_request_id}/cancel", response_model=DataRequestOut)
async def cancel_data_request(
    actor: CanWriteRequests,
    session: WriteSession,
    data_request_id: RequestId,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """The person took it back."""
    expected = expected_version(if_match)
    return _tagged(response, await requests.cancel(session, actor, data_request_id, expected=expected))


@routes.get("/data-requests/{data_request_id}/file", response_model=str, response_class=ZipResponse)
async def fetch_data_request_file(
    actor: CanHandOver, session: ReadSession, request: Request, data_request_id: RequestId
) -> ZipResponse:
    """The archive of a completed export, as of now; that you took it is audited. 410 when it has expired."""
    whose, content = await requests.file_of(session, actor, data_request_id, request.scope.get(REQUEST_ID))
    return zip_file(f"customer-{whose}", content)


def _tagged(response: Response, found: dict[str, Any]) -> dict[str, Any]:
    etag(response, found["version"])
    return found


@routes.get("/retention", response_model=RetentionList)
async def list_retention_periods(actor: CanReadRetention, session: ReadSession) -> object:
    """How long each kind of data is kept, and how much of it the next night deletes."""
    return {"items": await retention.every(session, actor)}


@routes.get("/retention/{kind}", response_model=RetentionOut)
async def read_retention_period(
    actor: CanReadRetention,
    session: ReadSession,
    kind: Kind,
    response: Response,
    days: Annotated[int | None, Query(ge=1, le=36_500, description="count what this period would delete")] = None,
) -> object:
    """One kind; with `days` a dry run: how many rows would be too old if that were its period."""
    found = await retention.one(session, actor, kind, days=days)
    etag(response, found["version"])
    return found


@routes.put("/retention/{kind}", response_model=RetentionOut)
async def put_retention_period(
    actor: CanWriteRetention,
    session: WriteSession,
    kind: Kind,
    body: RetentionIn,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Set the period; every night, whatever is older goes."""
    kept = await retention.keep(session, actor, kind, body.days, expected=expected_version(if_match))
    etag(response, kept["version"])
    return kept


routers = [routes]
