"""Routes of bulk imports."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Form, Path, Response, UploadFile
from pydantic import ConfigDict, Field

from app.core.bounds import CurrencyCode, In
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router, takes_up_to
from app.core.settings import get_settings
from app.identity.access import Requires
from app.identity.actor import Actor
from app.imports import queries, service
from app.imports.kinds import Options
from app.imports.schemas import ImportErrorPage, ImportOut, ImportPage

routes = router(prefix="/imports", tag="Imports")

CanReadImports = Annotated[Actor, Depends(Requires("imports:read"))]
CanWriteImports = Annotated[Actor, Depends(Requires("imports:write"))]
Document = Annotated[str, Field(max_length=100_000)]
ImportId = Annotated[UUID, Path(description="import id")]
ENVELOPE = 1024 * 1024  # what a form has beside its file


class ImportIn(In):
    """A file and how it is to be read."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "file": "customer_ref,order_ref,occurred_at,price\nC-1001,SO-1,2026-01-02T03:04:05Z,99.90\n",
                    "kind": "purchases",
                    "mapping": '{"amount": "price"}',
                    "create_customers": True,
                }
            ]
        }
    )

    file: Annotated[UploadFile, Field(description="CSV with a header (comma, semicolon or tab) or NDJSON; UTF-8; gzip")]
    kind: Annotated[str, Field(max_length=40, description="what the rows are", examples=["purchases"])]
    mapping: Document | None = Field(
        default=None,
        description="JSON object: our column to the file's. A number may be a product: "
        '`{"amount": "Quantity * UnitPrice"}`. What is left out stands under its own name; null leaves it out. '
        "Custom fields of customers are `custom.<key>`",
    )
    dry_run: bool = Field(default=False, description="check every row, write nothing")
    create_customers: bool = Field(default=False, description="create a customer for each unknown reference")
    skip_when: Document | None = Field(
        default=None, description='JSON object: file column to the value, prefix (`"C*"`) or list that leaves a row out'
    )
    currency: CurrencyCode | None = Field(default=None, description="for rows without one; the base currency if empty")
    time_zone: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="IANA zone of instants without one; the business time zone if empty"
    )


@routes.post("", status_code=202, response_model=ImportOut)
@takes_up_to(get_settings().max_import_bytes + ENVELOPE)
async def start_import(
    actor: CanWriteImports,
    session: WriteSession,
    form: Annotated[ImportIn, Form(media_type="multipart/form-data")],
    response: Response,
) -> object:
    """Import a file of facts. It is stored, checked at its beginning, and read by a job."""
    upload = service.Upload(form.file.filename or "", form.file.content_type or "", form.file.read)
    order = service.Order(
        kind=form.kind,
        options=Options(form.create_customers, form.currency, form.time_zone),
        mapping=service.document(form.mapping, "mapping"),
        skip_when=service.document(form.skip_when, "skip_when"),
        dry_run=form.dry_run,
    )
    import_id = await service.start(session, actor, upload, order)
    response.headers["location"] = f"/v1/imports/{import_id}"
    return queries.progress(await queries.get_import(session, actor, import_id, service.WRITE))


@routes.get("", response_model=ImportPage)
async def list_imports(actor: CanReadImports, session: ReadSession, page: Paging) -> object:
    """Imports, the newest first: your own, or everybody's with the scope all."""
    return await queries.page_of_imports(session, actor, page)


@routes.get("/{import_id}", response_model=ImportOut)
async def get_import(actor: CanReadImports, session: ReadSession, import_id: ImportId) -> object:
    """An import and how far it is."""
    return queries.progress(await queries.get_import(session, actor, import_id))


@routes.get("/{import_id}/errors", response_model=ImportErrorPage)
async def list_import_errors(actor: CanReadImports, session: ReadSession, import_id: ImportId, page: Paging) -> object:
    """The rows that were not taken, each with its line, its field and the reason."""
    await queries.get_import(session, actor, import_id)
    rows = await queries.list_errors(session, import_id, page)
    items = [dict(row) for row in rows[: page.limit]]
    return {"items": items, "next_cursor": page.next_cursor(rows, [items[-1]["line"]] if items else [])}


@routes.post("/{import_id}/cancel", response_model=ImportOut)
async def cancel_import(actor: CanWriteImports, session: WriteSession, import_id: ImportId) -> object:
    """Stop an import. What it has merged so far stays, and is found again when the file is sent again."""
    await service.cancel(session, actor, import_id)
    return queries.progress(await queries.get_import(session, actor, import_id, service.WRITE))


routers = [routes]
