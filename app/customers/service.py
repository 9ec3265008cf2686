"""Use-cases of the customer record: create, change, delete, and upsert by identity."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Text, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit, personal
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from app.core.events import keep, publish
from app.core.http.etag import check_version
from app.core.settings import get_settings
from app.customers.contacts import normal_identity
from app.customers.custom_fields import checked
from app.customers.document import READ_CONTACT, visible_to
from app.customers.events import CustomerChanged, CustomerCreated, CustomerDeleted, CustomerErased, CustomersChanged
from app.customers.hands import HANDS, note_hands
from app.customers.models import (
    GONE_WHEN_ERASED,
    OF_A_CUSTOMER,
    PERSONAL,
    customer,
    customer_contact,
    customer_identity,
    customer_merge,
)
from app.customers.queries import before_deletion, keep_all, merged_into
from app.customers.references import EXTERNAL
from app.customers.schemas import BatchCustomer, CustomerIn, CustomerPatch, IdentityIn
from app.identity.actor import Actor
from app.imports import forgetting

WRITE = "customers:write"
MOST_IDENTITIES = 100
DELETE = "customers:delete"
ERASE = "customers:erase"
VALUE = frozenset({"value"})

Identity = tuple[str, str]
"""Kind and value, in the spelling by which they are unique."""


class IdentityTaken(Conflict):
    type = "identity-taken"
    title = "Another customer has this identity"


async def create(session: WriteSession, actor: Actor, body: CustomerIn, *, at: str = "/body") -> UUID:
    """Create a customer; without owner and unit it belongs to who creates it. Raises `IdentityTaken`.

    `at` is where the body stands in the request: problems point below it.
    """
    identities = normal_identities(body.identities, at)
    values = body.model_dump(exclude={"identities"})
    if actor.kind == "user" and values["owner_id"] is None:
        values["owner_id"] = actor.owner_id
    if values["unit_id"] is None and actor.unit_ids:
        values["unit_id"] = actor.unit_ids[0]
    await _check_company(session, actor, values, at)
    values["custom"] = await checked(session, values["custom"], f"{at}/custom")
    customer_id = await _insert(session, values, at)
    await _check_reach(session, actor, customer_id)
    await _add_identities(session, customer_id, identities)
    after = {**values, "identities": len(identities)}
    audit.record(session, actor, "customer.created", "customer", customer_id, after=after, personal=PERSONAL)
    await publish(session, CustomerCreated(customer_id))
    return customer_id


async def _insert(session: WriteSession, values: dict[str, Any], at: str) -> UUID:
    try:
        row = await session.first(insert(customer).values(**values).returning(customer.c.id))
    except asyncpg.ForeignKeyViolationError as error:
        raise unknown_reference(error, at) from error
    assert row is not None
    return UUID(str(row["id"]))


async def change(
    session: WriteSession, actor: Actor, customer_id: UUID, body: CustomerPatch, *, expected: int | None
) -> None:
    """Change the fields that the body names. Raises `PreconditionFailed` when `expected` is no longer the version."""
    before = await locked(session, actor, customer_id, WRITE)
    check_version(before["version"], expected)
    if not await apply(session, actor, before, body.model_dump(exclude_unset=True)):
        note_shown(session, actor, customer_id)


def note_shown(session: WriteSession, actor: Actor, customer_id: UUID) -> None:
    """Nothing changed, and the answer shows the customer all the same: whoever sees contact data is written down."""
    if (contact := actor.scope(READ_CONTACT)) is not None:
        audit.record(session, actor, "customer.read", "customer", customer_id, after={"contact": contact})


async def apply(
    session: WriteSession, actor: Actor, before: Record, values: dict[str, Any], *, at: str = "/body"
) -> bool:
    """Write, audit and announce those of the values that differ from what the locked record says; False for none."""
    if "custom" in values and values["custom"] != before["custom"]:
        values["custom"] = await checked(session, values["custom"], f"{at}/custom")
    was, becomes = audit.changed(before, values)
    if not becomes:
        return False
    await _check_company(session, actor, becomes, at)
    try:
        await session.execute(
            update(customer)
            .where(customer.c.id == before["id"])
            .values(**becomes, version=customer.c.version + 1, updated_at=func.now())
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise unknown_reference(error, at) from error
    if becomes.keys() & set(HANDS):
        await _check_reach(session, actor, before["id"])
        await note_hands(session, before, becomes)
    audit.record(
        session, actor, "customer.changed", "customer", before["id"], before=was, after=becomes, personal=PERSONAL
    )
    await publish(session, CustomerChanged(before["id"], before["version"] + 1, sorted(becomes)))
    return True


async def remove(session: WriteSession, actor: Actor, customer_id: UUID, *, expected: int | None) -> None:
    """Delete the customer and everything that belongs to it, and to whoever was merged into it."""
    await before_deletion(session)
    before = await locked(session, actor, customer_id, DELETE)
    check_version(before["version"], expected)
    merged = await session.all(merged_into(customer_id))
    for table in OF_A_CUSTOMER:
        await session.execute(delete(table).where(table.c.customer_id == customer_id))
    await session.execute(delete(customer_contact).where(customer_contact.c.person_id == customer_id))
    await _let_go(session, customer_id)
    await session.execute(delete(customer).where(customer.c.id == customer_id))
    for gone in [customer_id, *(row["merged_id"] for row in merged)]:
        audit.record(session, actor, "customer.deleted", "customer", gone)
        await publish(session, CustomerDeleted(gone))


async def _let_go(session: WriteSession, company_id: UUID) -> None:
    """Whoever works for a company that goes works for none."""
    employees = await session.all(
        update(customer)
        .where(customer.c.company_id == company_id)
        .values(company_id=None, version=customer.c.version + 1, updated_at=func.now())
        .returning(customer.c.id, customer.c.version)
    )
    for row in employees:
        keep(session, CustomerChanged(row["id"], row["version"], ["company_id"]))
    if employees:
        await publish(session, CustomersChanged([row["id"] for row in employees], ["company_id"]))


async def erase(session: WriteSession, actor: Actor, customer_id: UUID) -> list[UUID]:
    """Forget the person: identities, notes and consents go, the record stays without a name for what was bought.

    The ids of all that it was, those merged into it among them. Whoever holds more of the person hears of
    it and does the same. Raises `NotFound` out of the actor's reach.
    """
    await locked(session, actor, customer_id, ERASE)
    await forgetting.forget(session, await _references(session, customer_id))
    merged = await session.all(merged_into(customer_id))
    for table in GONE_WHEN_ERASED:
        await session.execute(delete(table).where(table.c.customer_id == customer_id))
    await personal.blank(session, customer_merge, customer_id)
    await session.execute(delete(customer_contact).where(customer_contact.c.person_id == customer_id))
    await session.execute(
        update(customer)
        .where(customer.c.id == customer_id)
        .values(
            **personal.blanks(customer),
            tags=[],
            company_id=None,
            version=customer.c.version + 1,
            updated_at=func.now(),
        )
    )
    everybody = [customer_id, *(row["merged_id"] for row in merged)]
    for gone in everybody:
        audit.record(session, actor, "customer.erased", "customer", gone)
        await publish(session, CustomerErased(gone))
    return everybody


async def _references(session: WriteSession, customer_id: UUID) -> list[str]:
    i = customer_identity.c
    rows = await session.all(select(i.value).where(i.customer_id == customer_id, i.kind == EXTERNAL))
    return [row["value"] for row in rows]


async def upsert_batch(session: WriteSession, actor: Actor, bodies: Sequence[BatchCustomer]) -> list[dict[str, Any]]:
    """Create or change each, found by any of its identities; all or nothing."""
    places = [f"/body/customers/{index}" for index in range(len(bodies))]
    given = [normal_identities(body.identities, at) for body, at in zip(bodies, places, strict=True)]
    known = await _customers_by_identity(session, {identity for each in given for identity in each})
    outcomes = []
    for index, (body, at, identities) in enumerate(zip(bodies, places, given, strict=True)):
        customer_id, outcome = await _upsert(session, actor, body, identities, known, at)
        known |= dict.fromkeys(identities, customer_id)
        outcomes.append({"index": index, "id": customer_id, "outcome": outcome})
    return outcomes


async def _upsert(
    session: WriteSession,
    actor: Actor,
    body: BatchCustomer,
    identities: Mapping[Identity, str],
    known: Mapping[Identity, UUID],
    at: str,
) -> tuple[UUID, str]:
    found = {known[identity] for identity in identities if identity in known}
    if len(found) > 1:
        raise IdentityTaken.at(f"{at}/identities", "these identities belong to two customers")
    if not found:
        return await create(session, actor, body, at=at), "created"
    customer_id = found.pop()
    try:
        before = await locked(session, actor, customer_id, WRITE)
    except NotFound:
        raise IdentityTaken.at(f"{at}/identities", "another customer has one of these") from None
    values = body.model_dump(exclude_unset=True, exclude={"identities"})
    changed = await apply(session, actor, before, values, at=at)
    added = {identity: pointer for identity, pointer in identities.items() if identity not in known}
    await _give(session, actor, customer_id, added)
    return customer_id, "updated" if changed or added else "unchanged"


async def add_identity(session: WriteSession, actor: Actor, customer_id: UUID, body: IdentityIn) -> None:
    """Give the customer another identity. Raises `IdentityTaken`."""
    await locked(session, actor, customer_id, WRITE)
    await _give(session, actor, customer_id, {_normal(body.kind, body.value, "/body/value"): "/body/value"})


async def _give(session: WriteSession, actor: Actor, customer_id: UUID, identities: Mapping[Identity, str]) -> None:
    """Identities for a customer that is there already: a change like any other."""
    if not identities:
        return
    await _add_identities(session, customer_id, identities)
    held = await session.scalar(
        select(func.count()).select_from(customer_identity).where(customer_identity.c.customer_id == customer_id)
    )
    if held > MOST_IDENTITIES:
        *_, pointer = identities.values()
        raise Invalid.at(pointer, f"a customer has {MOST_IDENTITIES} identities at most; remove one first")
    for kind, value in identities:
        after = {"kind": kind, "value": value}
        audit.record(session, actor, "customer.identity_added", "customer", customer_id, after=after, personal=VALUE)
    await _touch(session, customer_id)


async def remove_identity(session: WriteSession, actor: Actor, customer_id: UUID, kind: str, value: str) -> None:
    """Take an identity, in whatever spelling, from the customer."""
    await locked(session, actor, customer_id, WRITE)
    _, spelled = _normal(kind, value, "/query/value")
    i = customer_identity.c
    gone = await session.execute(
        delete(customer_identity).where(i.kind == kind, i.value == spelled, i.customer_id == customer_id)
    )
    if not gone:
        raise NotFound("The customer has no such identity")
    before = {"kind": kind, "value": spelled}
    audit.record(session, actor, "customer.identity_removed", "customer", customer_id, before=before, personal=VALUE)
    await _touch(session, customer_id)


async def _add_identities(session: WriteSession, customer_id: UUID, identities: Mapping[Identity, str]) -> None:
    for (kind, value), pointer in identities.items():
        try:
            await session.execute(insert(customer_identity).values(kind=kind, value=value, customer_id=customer_id))
        except asyncpg.UniqueViolationError as error:
            raise IdentityTaken.at(pointer, "a customer has this identity already") from error


def normal_identities(identities: Sequence[IdentityIn], at: str) -> dict[Identity, str]:
    """Each identity once, in the spelling by which it is unique, with where it stands in the request."""
    found: dict[Identity, str] = {}
    for index, identity in enumerate(identities):
        pointer = f"{at}/identities/{index}"
        found.setdefault(_normal(identity.kind, identity.value, f"{pointer}/value"), pointer)
    return found


def _normal(kind: str, value: str, pointer: str) -> Identity:
    try:
        return kind, normal_identity(kind, value, get_settings().phone_region)
    except ValueError as error:
        raise Invalid.at(pointer, str(error)) from error


async def _customers_by_identity(session: ReadSession, identities: Collection[Identity]) -> dict[Identity, UUID]:
    i = customer_identity.c
    kinds, values = [kind for kind, _ in identities], [value for _, value in identities]
    given = (
        func.unnest(literal(kinds, ARRAY(Text)), literal(values, ARRAY(Text)))
        .table_valued("kind", "value")
        .render_derived()
    )
    rows = await session.all(
        select(i.kind, i.value, i.customer_id).join(
            given, tuple_(i.kind, i.value) == tuple_(given.c.kind, given.c.value)
        )
    )
    return {(row["kind"], row["value"]): row["customer_id"] for row in rows}


async def locked(session: WriteSession, actor: Actor, customer_id: UUID, permission: str) -> Record:
    """The record, held until the transaction ends. Raises `NotFound` out of the permission's reach."""
    row = await session.first(
        select(customer).where(customer.c.id == customer_id, visible_to(actor, permission)).with_for_update()
    )
    if row is None:
        raise NotFound("There is no such customer among those you may change")
    return row


async def _touch(session: WriteSession, customer_id: UUID) -> None:
    """The customer's identities changed: the next version, and whoever listens hears of it."""
    version = await session.scalar(
        update(customer)
        .where(customer.c.id == customer_id)
        .values(version=customer.c.version + 1, updated_at=func.now())
        .returning(customer.c.version)
    )
    await publish(session, CustomerChanged(customer_id, version, ["identities"]))


async def _check_reach(session: ReadSession, actor: Actor, customer_id: UUID) -> None:
    """A customer may not be put where its writer could not reach it."""
    if not await session.scalar(select(customer.c.id).where(customer.c.id == customer_id, visible_to(actor, WRITE))):
        raise Forbidden("This owner and unit lie outside what your role may write")


async def _check_company(session: WriteSession, actor: Actor, values: dict[str, Any], at: str) -> None:
    company_id = values.get("company_id")
    if company_id is None:
        return
    await keep_all(session)
    is_company = (customer.c.id == company_id) & (customer.c.kind == "company")
    if not await session.scalar(select(customer.c.id).where(is_company, visible_to(actor))):
        raise Invalid.at(f"{at}/company_id", "there is no such company among the customers you may see")


def unknown_reference(error: asyncpg.ForeignKeyViolationError, at: str) -> Problem:
    """What to say of an owner or a unit that is not there."""
    field = "owner_id" if "owner" in (error.constraint_name or "") else "unit_id"
    return Invalid.at(f"{at}/{field}", "there is no such user" if field == "owner_id" else "there is no such unit")
