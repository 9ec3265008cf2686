"""Where the customer record itself names customers."""

from sqlalchemy import ColumnElement, FromClause, and_, func

from app.customers.merging.places import Moves, Part, Place
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

EMPLOYEES = Moves(customer, column="company_id", also={"version": customer.c.version + 1, "updated_at": func.now()})


def _both_primary(mine: FromClause, theirs: FromClause) -> ColumnElement[bool]:
    """Of a customer's contacts, and of its addresses of a kind, one at most is the primary: the survivor's stands."""
    alike = mine.c.kind == theirs.c.kind if "kind" in mine.c else mine.c.is_primary
    return and_(mine.c.is_primary, theirs.c.is_primary, alike)


PLACES: list[Place] = [
    Moves(customer_identity, key=("kind", "value")),
    EMPLOYEES,
    Moves(customer_consent),
    Moves(customer_note),
    Moves(customer_address, clashes=_both_primary),
    Moves(customer_contact, clashes=_both_primary),
    Moves(customer_contact, column="person_id"),
    Moves(customer_transfer),
    # Who was merged into the merged customer belongs to the survivor, too, and goes back with it.
    Moves(customer_merge),
    Part(customer_merge_row, of=customer_merge, by="merge_id"),
]
