"""Customers by the references that other systems know them by, many at once: what imports stand on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import FromClause, Text, any_, column, func, literal, select, tuple_
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.core import audit
from app.core.db import ReadSession, WriteSession
from app.core.events import keep, publish
from app.customers.document import visible_to
from app.customers.events import CustomerCreated, CustomersCreated
from app.customers.models import customer, customer_identity
from app.customers.queries import hold
from app.identity.actor import Actor, Scope
from app.imports.kinds import Batch

EXTERNAL = "external"
OUT_OF_REACH = "this customer is out of your reach, or was erased"
Identity = tuple[str, str]
"""Kind and value, in the spelling by which they are unique."""


class Referenced(NamedTuple):
    """The customer that a reference leads to, and whether the permission reaches it."""

    reference: str
    customer_id: UUID
    reachable: bool


async def find_by_reference(
    session: ReadSession, actor: Actor, permission: str, references: Sequence[str]
) -> list[Referenced]:
    """The customers with these external identities; references that lead nowhere are left out."""
    i = customer_identity.c
    rows = await session.all(
        select(i.value, i.customer_id, visible_to(actor, permission))
        .join(customer, customer.c.id == i.customer_id)
        .where(i.kind == EXTERNAL, i.value == any_(literal(list(references), ARRAY(Text))))
    )
    return [Referenced(*row) for row in rows]


async def reached_by_identity(
    session: ReadSession, actor: Actor, permission: str, identities: set[Identity]
) -> dict[Identity, UUID]:
    """The customers, among those whom the permission reaches, who have these identities."""
    if not identities:
        return {}
    i = customer_identity.c
    kinds, values = (list(each) for each in zip(*identities, strict=True))
    given = (
        func.unnest(literal(kinds, ARRAY(Text)), literal(values, ARRAY(Text)))
        .table_valued("kind", "value")
        .render_derived()
    )
    rows = await session.all(
        select(i.kind, i.value, i.customer_id)
        .join(given, tuple_(i.kind, i.value) == tuple_(given.c.kind, given.c.value))
        .join(customer, customer.c.id == i.customer_id)
        .where(visible_to(actor, permission))
    )
    return {(row["kind"], row["value"]): row["customer_id"] for row in rows}


async def create_by_reference(session: WriteSession, batch: Batch, permission: str, references: Sequence[str]) -> int:
    """Create a customer, named like its reference, for each that has none; how many there were.

    Someone else may create the same customer at this moment: the identity decides whose it is.
    """
    owner_id, unit_id = _place(batch.actor, permission)
    given = func.unnest(literal(sorted(references), ARRAY(Text))).column_valued("reference")
    i = customer_identity
    identities = (
        insert(i)
        .from_select(["kind", "value", "customer_id"], select(literal(EXTERNAL), given, func.uuidv7()))
        .on_conflict_do_nothing(index_elements=["kind", "value"])
        .returning(i.c.value, i.c.customer_id)
        .cte("identities")
    )
    # The foreign key of the identity is checked at the end of the statement, when its customer is there.
    rows = await session.all(
        insert(customer)
        .from_select(
            ["id", "name", "source", "owner_id", "unit_id"],
            select(
                identities.c.customer_id,
                identities.c.value,
                literal("import"),
                literal(owner_id, UuidType),
                literal(unit_id, UuidType),
            ),
        )
        .returning(customer.c.id)
    )
    ids = [row[0] for row in rows]
    for each in ids:
        audit.record(session, batch.actor, "customer.created", "customer", each, after={"import": batch.import_id})
        keep(session, CustomerCreated(each))
    if ids:
        await publish(session, CustomersCreated(ids))
    return len(ids)


@dataclass(frozen=True, slots=True)
class Settled:
    """Whose the references of a file are, which lead to nobody, and how many customers were made for them."""

    known: dict[str, UUID]
    unknown: set[str]
    created: int


async def settle(session: WriteSession, batch: Batch, permission: str, wanted: set[str]) -> Settled:
    """Find the customers of these references, create those that are missing when asked, and hold them.

    A dry run creates and holds nobody, and gives an id to whoever would be created. Whoever was erased since the file
    was sent is unknown, and is not created again. Of somebody who was merged or deleted meanwhile the reference leads
    to another, or to nobody: they are looked up again.
    """
    actor, create, dry_run = batch.actor, batch.options.create_customers, batch.dry_run
    remembered = batch.remembered(wanted)
    created = 0
    while True:
        found = await find_by_reference(session, actor, permission, list(remembered))
        missing = remembered - {each.reference for each in found}
        if missing and create and dry_run:
            found += [Referenced(reference, uuid4(), reachable=True) for reference in missing]
            created = len(missing)
        elif missing and create:
            created += await create_by_reference(session, batch, permission, list(missing))
            found += await find_by_reference(session, actor, permission, list(missing))
        known = {each.reference: each.customer_id for each in found if each.reachable}
        ids = {*known.values()}
        if dry_run or await hold(session, [*ids]) == ids:
            return Settled(known, wanted - known.keys(), created)


def why_unknown(*, create: bool) -> str:
    """What is wrong with a row whose reference leads to nobody."""
    if create:
        return OUT_OF_REACH
    return "no customer within your reach has this reference; import with create_customers=true to create it"


def known_rows(known: Mapping[str, UUID]) -> FromClause:
    """References and whose they are, as the columns `customer_ref` and `customer_id`."""
    return (
        func.unnest(literal(list(known), ARRAY(Text)), literal(list(known.values()), ARRAY(UuidType)))
        .table_valued("customer_ref", column("customer_id", UuidType()))
        .render_derived(name="customers")
    )


def _place(actor: Actor, permission: str) -> tuple[UUID | None, UUID | None]:
    """Owner and unit of what the actor creates: in its first unit, and its own where it would not see it there."""
    unit_id = actor.unit_ids[0] if actor.unit_ids else None
    scope = actor.scope(permission)
    seen = scope is Scope.ALL or (unit_id is not None and scope is not Scope.OWN)
    return (actor.owner_id if actor.kind == "user" and not seen else None), unit_id
