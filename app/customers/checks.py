"""What must hold of everything that belongs to a customer."""

from sqlalchemy import FromClause, func, select

from app.core.checks import Check
from app.customers.models import customer, customer_consent, customer_note


def belongs(table: FromClause, name: str) -> Check:
    """No row of the table is of a customer who is not there."""
    owner = table.c.customer_id
    return Check(
        f"every {name} is of a customer who is there",
        examined=select(func.count()).select_from(table),
        violations=select(owner.label("customer_id"), func.count().label("rows"))
        .where(~select(customer.c.id).where(customer.c.id == owner).exists())
        .group_by(owner)
        .order_by(owner),
    )


CHECKS = [belongs(customer_consent, "consent"), belongs(customer_note, "note")]
