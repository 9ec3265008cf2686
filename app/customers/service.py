"""Use-cases of the customer record: create, change, delete, and upsert by identity."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Text, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from app.core.events import publish
from app.core.http.etag import check_version
from app.core.settings import get_settings
from app.customers.contacts import normal_identity
from app.customers.document import visible_to
from app.customers.events import CustomerChanged, CustomerCreated, CustomerDeleted
from app.customers.models import PERSONAL, customer, customer_identity
from app.customers.schemas import BatchCustomer, CustomerIn, CustomerPatch, IdentityIn
from app.identity.actor import Actor

WRITE = "customers:write"
DELETE = "customers:delete"


class IdentityTaken(Conflict):
    type = "identity-taken"
    title = "Another customer has this identity"


async def create(session: WriteSession, actor: Actor, body: CustomerIn) -> UUID:
    """Create a customer; without owner and unit it belongs to who creates it. Raises `IdentityTaken`."""
    values = body.model_dump(exclude={"identities"})
    if actor.kind == "user" and values["owner_id"] is None:
        values["owner_id"] = actor.id
    if values["unit_id"] is None and actor.unit_ids:
        values["unit_id"] = actor.unit_ids[0]
    await _check_company(session, actor, values)
    customer_id = await _insert(session, values)
    await _check_reach(session, actor, customer_id)
    await add_identities(session, customer_id, body.identities)
    audit.record(session, actor, "customer.created", "customer", customer_id, after=values, personal=PERSONAL)
    await publish(session, CustomerCreated(customer_id))
    return customer_id


async def _insert(session: WriteSession, values: dict[str, Any]) -> UUID:
    try:
        row = await session.first(insert(customer).values(**values).returning(customer.c.id))
    except asyncpg.ForeignKeyViolationError as error:
        raise _unknown_reference(error) from error
    assert row is not None
    return UUID(str(row["id"]))


async def change(
    session: WriteSession, actor: Actor, customer_id: UUID, body: CustomerPatch, *, expected: int | None
) -> None:
    """Change the fields that the body names. Raises `PreconditionFailed` when `expected` is no longer the version."""
    before = await _locked(session, actor, customer_id, WRITE)
    check_version(before["version"], expected)
    await _apply(session, actor, before, body.model_dump(exclude_unset=True))


async def _apply(session: WriteSession, actor: Actor, before: Record, values: dict[str, Any]) -> bool:
    was, becomes = audit.changed(before, values)
    if not becomes:
        return False
    await _check_company(session, actor, becomes)
    try:
        await session.execute(
            update(customer)
            .where(customer.c.id == before["id"])
            .values(**becomes, version=customer.c.version + 1, updated_at=func.now())
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise _unknown_reference(error) from error
    if becomes.keys() & {"owner_id", "unit_id"}:
        await _check_reach(session, actor, before["id"])
    audit.record(
        session, actor, "customer.changed", "customer", before["id"], before=was, after=becomes, personal=PERSONAL
    )
    await publish(session, CustomerChanged(before["id"], before["version"] + 1, sorted(becomes)))
    return True


async def remove(session: WriteSession, actor: Actor, customer_id: UUID, *, expected: int | None) -> None:
    """Delete the customer and everything that belongs to it."""
    before = await _locked(session, actor, customer_id, DELETE)
    check_version(before["version"], expected)
    await session.execute(delete(customer).where(customer.c.id == customer_id))
    audit.record(session, actor, "customer.deleted", "customer", customer_id)
    await publish(session, CustomerDeleted(customer_id))


async def upsert_batch(session: WriteSession, actor: Actor, bodies: Sequence[BatchCustomer]) -> list[dict[str, Any]]:
    """Create or change each, found by any of its identities; all or nothing."""
    known = await _customers_by_identity(session, [i for body in bodies for i in body.identities])
    outcomes = []
    for index, body in enumerate(bodies):
        keys = [_normal(identity, f"/body/customers/{index}/identities") for identity in body.identities]
        found = {known[key] for key in keys if key in known}
        if len(found) > 1:
            raise IdentityTaken.at(f"/body/customers/{index}/identities", "these identities belong to two customers")
        if not found:
            customer_id = await create(session, actor, body)
            known |= dict.fromkeys(keys, customer_id)
            outcomes.append({"index": index, "id": customer_id, "outcome": "created"})
            continue
        customer_id = found.pop()
        try:
            before = await _locked(session, actor, customer_id, WRITE)
        except NotFound:
            raise IdentityTaken.at(f"/body/customers/{index}/identities", "another customer has one of these") from None
        changed = await _apply(session, actor, before, body.model_dump(exclude_unset=True, exclude={"identities"}))
        added = [identity for identity, key in zip(body.identities, keys, strict=True) if key not in known]
        await add_identities(session, customer_id, added)
        known |= dict.fromkeys(keys, customer_id)
        outcomes.append({"index": index, "id": customer_id, "outcome": "updated" if changed or added else "unchanged"})
    return outcomes


async def add_identity(session: WriteSession, actor: Actor, customer_id: UUID, body: IdentityIn) -> None:
    """Give the customer another identity. Raises `IdentityTaken`."""
    await _locked(session, actor, customer_id, WRITE)
    await add_identities(session, customer_id, [body])
    await _touch(session, customer_id)
    after = {"kind": body.kind, "value": body.value}
    audit.record(
        session, actor, "customer.identity_added", "customer", customer_id, after=after, personal=frozenset({"value"})
    )


async def remove_identity(session: WriteSession, actor: Actor, customer_id: UUID, kind: str, value: str) -> None:
    """Take an identity from the customer."""
    await _locked(session, actor, customer_id, WRITE)
    i = customer_identity.c
    gone = await session.execute(
        delete(customer_identity).where(i.kind == kind, i.value == value, i.customer_id == customer_id)
    )
    if not gone:
        raise NotFound("The customer has no such identity")
    await _touch(session, customer_id)
    before = {"kind": kind, "value": value}
    audit.record(
        session,
        actor,
        "customer.identity_removed",
        "customer",
        customer_id,
        before=before,
        personal=frozenset({"value"}),
    )


async def add_identities(session: WriteSession, customer_id: UUID, identities: Sequence[IdentityIn]) -> None:
    """Insert identities in their normal spelling. Raises `IdentityTaken` when one belongs to somebody."""
    for index, identity in enumerate(identities):
        kind, value = _normal(identity, f"/body/identities/{index}")
        try:
            await session.execute(insert(customer_identity).values(kind=kind, value=value, customer_id=customer_id))
        except asyncpg.UniqueViolationError as error:
            raise IdentityTaken.at(f"/body/identities/{index}", "another customer has this identity") from error


def _normal(identity: IdentityIn, pointer: str) -> tuple[str, str]:
    try:
        return identity.kind, normal_identity(identity.kind, identity.value, get_settings().phone_region)
    except ValueError as error:
        raise Invalid.at(f"{pointer}/value", str(error)) from error


async def _customers_by_identity(session: ReadSession, identities: Sequence[IdentityIn]) -> dict[tuple[str, str], UUID]:
    keys = {_normal(identity, "/body/customers") for identity in identities}
    i = customer_identity.c
    given = (
        func.unnest(
            literal([kind for kind, _ in keys], ARRAY(Text)), literal([value for _, value in keys], ARRAY(Text))
        )
        .table_valued("kind", "value")
        .render_derived()
    )
    rows = await session.all(
        select(i.kind, i.value, i.customer_id).join(
            given, tuple_(i.kind, i.value) == tuple_(given.c.kind, given.c.value)
        )
    )
    return {(row["kind"], row["value"]): row["customer_id"] for row in rows}


async def _locked(session: WriteSession, actor: Actor, customer_id: UUID, permission: str) -> Record:
    row = await session.first(
        select(customer).where(customer.c.id == customer_id, visible_to(actor, permission)).with_for_update()
    )
    if row is None:
        raise NotFound("There is no such customer among those you may change")
    return row


async def _touch(session: WriteSession, customer_id: UUID) -> None:
    await session.execute(
        update(customer)
        .where(customer.c.id == customer_id)
        .values(version=customer.c.version + 1, updated_at=func.now())
    )


async def _check_reach(session: ReadSession, actor: Actor, customer_id: UUID) -> None:
    """A customer may not be put where its writer could not reach it."""
    if not await session.scalar(select(customer.c.id).where(customer.c.id == customer_id, visible_to(actor, WRITE))):
        raise Forbidden("This owner and unit lie outside what your role may write")


async def _check_company(session: ReadSession, actor: Actor, values: dict[str, Any]) -> None:
    company_id = values.get("company_id")
    if company_id is None:
        return
    is_company = (customer.c.id == company_id) & (customer.c.kind == "company")
    if not await session.scalar(select(customer.c.id).where(is_company, visible_to(actor))):
        raise Invalid.at("/body/company_id", "there is no such company among the customers you may see")


def _unknown_reference(error: asyncpg.ForeignKeyViolationError) -> Problem:
    field = "owner_id" if "owner" in (error.constraint_name or "") else "unit_id"
    return Invalid.at(f"/body/{field}", "there is no such user" if field == "owner_id" else "there is no such unit")
