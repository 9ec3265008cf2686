"""Where the customer record itself names customers."""

from sqlalchemy import func

from app.customers.duplicates.models import (
    customer_duplicate,
    customer_duplicate_due,
    customer_duplicate_key,
    duplicate_dismissal,
)
from app.customers.merging.places import Moves, Part, Place, Stays
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


PLACES: list[Place] = [
    Moves(customer_identity, key=("kind", "value")),
    EMPLOYEES,
    Moves(customer_consent),
    Moves(customer_note),
    Moves(customer_address, primary=("kind",)),
    Moves(customer_contact, primary=()),
    Moves(customer_contact, column="person_id"),
    Moves(customer_transfer),
    # Who was merged into the merged customer belongs to the survivor, too, and goes back with it.
    Moves(customer_merge),
    Part(customer_merge_row, of=customer_merge, by="merge_id"),
    # Who is not the same as the merged customer is not the same as the survivor.
    Moves(duplicate_dismissal, key=("other_id",), clashes=lambda mine, theirs: theirs.c.other_id == mine.c.other_id),
    Moves(
        duplicate_dismissal,
        column="other_id",
        key=("customer_id",),
        clashes=lambda mine, theirs: theirs.c.customer_id == mine.c.customer_id,
    ),
    # Found again, for the survivor: what stood of the merged one is forgotten.
    Stays(customer_duplicate),
    Stays(customer_duplicate, column="other_id"),
    Stays(customer_duplicate_key),
    Stays(customer_duplicate_due),
]
