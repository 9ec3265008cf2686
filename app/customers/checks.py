"""What must hold of everything that belongs to a customer."""

from sqlalchemy import FromClause, func, select

from app.core.checks import Check
from app.customers.models import (
    customer,
    customer_consent,
    customer_merge,
    customer_merge_row,
    customer_note,
    customer_transfer,
)


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


CHECKS = [
    belongs(customer_consent, "consent"),
    belongs(customer_note, "note"),
    belongs(customer_transfer, "transfer"),
    belongs(customer_merge, "merge"),
    belongs(customer_merge_row, "row of a merge"),
]
