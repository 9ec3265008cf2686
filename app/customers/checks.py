"""What must hold of everything that belongs to a customer."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Table, Text, cast, distinct, func, select

from app.core.checks import Check, announced
from app.customers.duplicates.models import duplicate_dismissal
from app.customers.events import CustomerCreated
from app.customers.models import (
    customer,
    customer_address,
    customer_consent,
    customer_contact,
    customer_identity,
    customer_merge,
    customer_merge_row,
    customer_note,
    customer_transfer,
)
from app.customers.staging import customer_import_row
from app.imports.checks import waiting


def belongs(table: FromClause, name: str, *, stays: bool = False) -> Check:
    """No row of the table is of a customer who is not there; rows that stay may be of one who was merged."""
    owner = table.c.customer_id
    absent = ~select(customer.c.id).where(customer.c.id == owner).exists()
    if stays:
        merged = (customer_merge.c.merged_id == owner, customer_merge.c.undone_at.is_(None))
        absent &= ~select(customer_merge.c.id).where(*merged).exists()
    return Check(
        f"every {name} is of a customer who is there",
        examined=select(func.count()).select_from(table),
        violations=select(owner.label("customer_id"), func.count().label("rows"))
        .where(absent)
        .group_by(owner)
        .order_by(owner),
    )


def _twice() -> Select[Any]:
    i, times = customer_identity.c, func.count(distinct(customer_identity.c.customer_id))
    # An identity is personal: its kind and whose it is tell enough.
    whose = func.min(cast(i.customer_id, Text)).label("customer_id")
    return select(i.kind, whose, times.label("customers")).group_by(i.kind, i.value).having(func.count() > 1)


def _naming_nobody(table: Table, column: ColumnElement[Any]) -> Select[Any]:
    """Rows that name somebody beside their own customer who is not there."""
    named = customer.alias("named")
    there = select(named.c.id).where(named.c.id == column).correlate(table)
    return select(*table.primary_key, column).where(column.is_not(None), ~there.exists()).order_by(*table.primary_key)


def _names_somebody(promise: str, table: Table, column: ColumnElement[Any]) -> Check:
    examined = select(func.count()).select_from(table).where(column.is_not(None))
    return Check(promise, examined=examined, violations=_naming_nobody(table, column))


CHECKS = [
    Check(
        "an identity is one customer's",
        examined=select(func.count()).select_from(customer_identity),
        violations=_twice(),
    ),
    _names_somebody("whoever works for a company works for one that is there", customer, customer.c.company_id),
    _names_somebody("who a contact says it is is there", customer_contact, customer_contact.c.person_id),
    _names_somebody("who was said to differ is there", duplicate_dismissal, duplicate_dismissal.c.other_id),
    announced("customer.created", CustomerCreated.name, "customer_id", "customer created"),
    belongs(customer_identity, "identity"),
    belongs(customer_consent, "consent"),
    belongs(customer_note, "note"),
    belongs(customer_transfer, "transfer"),
    belongs(customer_merge, "merge"),
    belongs(customer_merge_row, "row of a merge"),
    belongs(customer_address, "address"),
    belongs(customer_contact, "contact"),
    belongs(duplicate_dismissal, "dismissal"),
    waiting(customer_import_row, "row of customers"),
]
