"""Where the customer record itself names customers."""

from sqlalchemy import func

from app.customers.merging.places import Moves, Part, Place
from app.customers.models import (
    customer,
    customer_consent,
    customer_identity,
    customer_merge,
    customer_merge_row,
    customer_note,
    customer_transfer,
)

EMPLOYEES = Moves(customer, column="company_id", also={"version": customer.c.version + 1, "updated_at": func.now()})

PLACES: list[Place] = [
    Moves(customer_identity, key=("kind", "value")),
    EMPLOYEES,
    Moves(customer_consent),
    Moves(customer_note),
    Moves(customer_transfer),
    # Who was merged into the merged customer belongs to the survivor, too, and goes back with it.
    Moves(customer_merge),
    Part(customer_merge_row, of=customer_merge, by="merge_id"),
]
