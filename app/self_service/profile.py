"""One's own record: shown whole, and what one may say of it oneself."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.core.db import ReadSession, WriteSession
from app.customers import service as customers
from app.customers.models import customer, customer_identity
from app.customers.schemas import CustomerPatch
from app.identity.actor import Actor
from app.self_service import changes, oneself
from app.self_service.schemas import MyProfilePatch

READ = "my_profile:read"
WRITE = "my_profile:write"
_c, _i = customer.c, customer_identity.c
_SHOWN = (
    *(_c.id, _c.kind, _c.name, _c.title, _c.birthday, _c.region, _c.language, _c.phone, _c.email),
    *(_c.version, _c.created_at, _c.updated_at),
)


async def read(session: ReadSession, actor: Actor) -> dict[str, Any]:
    """One's own record, nothing of it masked. Raises `NoCustomer`."""
    return await _shown(session, (await oneself.find(session, actor)).customer_id)


async def change(session: WriteSession, actor: Actor, body: MyProfilePatch, *, expected: int | None) -> dict[str, Any]:
    """Change the fields that are given; another address or number waits for its code.

    Raises `NoCustomer`, `PreconditionFailed`.
    """
    me = await oneself.find(session, actor)
    values = body.model_dump(exclude_unset=True)
    wanted = {field: values.pop(field) for field in ("email", "phone") if field in values}
    patch = CustomerPatch.model_validate(values)
    await customers.change(session, me.may(customers.WRITE), me.customer_id, patch, expected=expected)
    stands = await session.first(select(_c.email, _c.phone).where(_c.id == me.customer_id))
    assert stands is not None
    for field, value in wanted.items():
        if value != stands[field]:
            await changes.request(session, me, field, value)
    return await _shown(session, me.customer_id)


async def _shown(session: ReadSession, customer_id: UUID) -> dict[str, Any]:
    row = await session.first(select(*_SHOWN).where(_c.id == customer_id))
    assert row is not None
    known = select(_i.kind, _i.value).where(_i.customer_id == customer_id).order_by(_i.kind, _i.value)
    return {
        **row,
        "identities": [dict(each) for each in await session.all(known)],
        "waiting": await changes.waiting(session, customer_id),
    }


async def confirm(session: WriteSession, actor: Actor, field: str, code: str, *, secret: str) -> dict[str, Any]:
    """Make a change that waits for this code. Raises as `changes.confirm` does."""
    return await _shown(session, await changes.confirm(session, actor, field, code, secret=secret))
