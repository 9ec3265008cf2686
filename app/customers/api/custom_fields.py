"""Routes of custom fields."""

from typing import Annotated

from fastapi import Depends, Path, Response

from app.core.bounds import Key
from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import custom_fields
from app.customers.schemas import CustomFieldIn, CustomFieldOut, CustomFieldPage, CustomFieldPatch
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/custom-fields", tag="Custom fields")

CanReadCustomers = Annotated[Actor, Depends(Requires("customers:read"))]
CanWriteCustomFields = Annotated[Actor, Depends(Requires(custom_fields.WRITE))]
FieldKey = Annotated[Key, Path(description="key of the field, such as store_size")]


@routes.get("", response_model=CustomFieldPage)
async def list_custom_fields(actor: CanReadCustomers, session: ReadSession, page: Paging) -> object:
    """Custom fields by key."""
    return await custom_fields.page(session, page)


@routes.post("", status_code=201, response_model=CustomFieldOut)
async def define_custom_field(
    actor: CanWriteCustomFields, session: WriteSession, body: CustomFieldIn, response: Response
) -> object:
    """Define a custom field: from now on what is written under its key is checked. Needs the scope all."""
    field = await custom_fields.define(session, actor, body)
    etag(response, field["version"])
    response.headers["location"] = f"/v1/custom-fields/{field['key']}"
    return field


@routes.get("/{field_key}", response_model=CustomFieldOut)
async def read_custom_field(
    actor: CanReadCustomers, session: ReadSession, field_key: FieldKey, response: Response
) -> object:
    """One custom field."""
    field = await custom_fields.read(session, field_key)
    etag(response, field["version"])
    return field


@routes.patch("/{field_key}", response_model=CustomFieldOut)
async def change_custom_field(
    actor: CanWriteCustomFields,
    session: WriteSession,
    field_key: FieldKey,
    body: CustomFieldPatch,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Change title, options or bounds; key and type stay. Needs the scope all."""
    field = await custom_fields.change(session, actor, field_key, body, expected=expected_version(if_match))
    etag(response, field["version"])
    return field


@routes.delete("/{field_key}", status_code=204)
async def delete_custom_field(
    actor: CanWriteCustomFields, session: WriteSession, field_key: FieldKey, if_match: IfMatch = None
) -> None:
    """Delete the definition; what customers have under its key stays. Needs the scope all."""
    await custom_fields.remove(session, actor, field_key, expected=expected_version(if_match))
