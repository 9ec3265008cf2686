"""What customers are compared by, read from the record; and who has a key in common."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, any_, func, literal, select, true
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import ReadSession, Record
from app.customers.duplicates.models import customer_duplicate_key
from app.customers.duplicates.rules import MOST_ALIKE, Address, Traits
from app.customers.models import customer, customer_address, customer_identity

READ = frozenset({"name", "kind", "phone", "email", "region", "company_id", "birthday", "identities"})
"""Fields of a customer that are compared, beside its addresses."""
MOST_ADDRESSES = 20
"""A customer's that are compared, the primary ones first: a chain has thousands, and each is a key."""
_c, _i, _a, _k = customer.c, customer_identity.c, customer_address.c, customer_duplicate_key.c


async def traits_of(session: ReadSession, customer_ids: Collection[UUID]) -> dict[UUID, Traits]:
    """Of those of these customers who are there."""
    those = literal(list(customer_ids), ARRAY(UuidType))
    columns = (_c.id, _c.kind, _c.name, _c.region, _c.company_id, _c.birthday, _c.phone, _c.email)
    rows = await session.all(select(*columns).where(_c.id == any_(those)))
    identities: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
    for row in await session.all(select(_i.customer_id, _i.kind, _i.value).where(_i.customer_id == any_(those))):
        identities[row["customer_id"]].append((row["kind"], row["value"]))
    addresses = await _addresses_of(session, customer_ids)
    return {row["id"]: _traits(row, identities[row["id"]], addresses[row["id"]]) for row in rows}


async def _addresses_of(session: ReadSession, customer_ids: Collection[UUID]) -> dict[UUID, list[Address]]:
    ids = func.unnest(literal(list(customer_ids), ARRAY(UuidType)))
    those = ids.table_valued("customer_id", name="those").render_derived()
    some = select(_a.customer_id, _a.country, _a.postal_code, _a.city, _a.lines).where(
        _a.customer_id == those.c.customer_id
    )
    held = some.order_by(_a.is_primary.desc(), _a.id).limit(MOST_ADDRESSES).lateral("held")
    found: dict[UUID, list[Address]] = defaultdict(list)
    for customer_id, *said in await session.all(select(held).select_from(those.join(held, true()))):
        found[customer_id].append(Address(*said))
    return found


def _traits(row: Record, identities: Iterable[tuple[str, str]], addresses: Iterable[Address]) -> Traits:
    fields: dict[str, Any] = {name: row[name] for name in ("kind", "name", "region", "company_id", "birthday")}
    fields["addresses"] = frozenset(addresses)
    return traits_from(fields, row["phone"], row["email"], identities)


def traits_from(
    fields: dict[str, Any], phone: str | None, email: str | None, identities: Iterable[tuple[str, str]]
) -> Traits:
    """Phone and e-mail count wherever they are said: in the record or as an identity, both in normal spelling."""
    found: dict[str, set[str]] = {"phone": set(), "email": set(), "other": set()}
    for kind, value in identities:
        found[kind if kind in found else "other"].add(value)
    if phone is not None:
        found["phone"].add(phone)
    if email is not None:
        found["email"].add(email.lower())
    phones, emails, identities_else = (frozenset(found[kind]) for kind in found)
    return Traits(**fields, phones=phones, emails=emails, identities=identities_else)


async def blocks(session: ReadSession, keys: Collection[int], *, least: int = 2) -> list[list[UUID]]:
    """Who has each of these keys. What too many have is left out: of each key some are read, however many have it."""
    wanted = func.unnest(literal(list(keys), ARRAY(BigInteger))).table_valued("key", name="wanted").render_derived()
    # In the order of the index: without it, and before the table is analyzed, the whole table is read for each key.
    some = select(_k.customer_id).where(_k.key == wanted.c.key).order_by(_k.customer_id).limit(MOST_ALIKE + 1)
    held = some.lateral("held")
    holders = func.array_agg(held.c.customer_id).label("holders")
    count = func.count(held.c.customer_id)
    statement = select(holders).select_from(wanted.join(held, true())).group_by(wanted.c.key)
    rows = await session.all(statement.having(count >= least, count <= MOST_ALIKE))
    return [row["holders"] for row in rows]
