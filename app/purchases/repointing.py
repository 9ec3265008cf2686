"""What becomes of purchases when their customer is merged into another."""

from app.customers.merging.places import Moves, Part, Place
from app.purchases.models import purchase, purchase_line

PLACES: list[Place] = [
    Moves(
        purchase,
        # Two orders of one number are two purchases; that they are one is for a person to find.
        clashes=lambda mine, theirs: (mine.c.order_ref == theirs.c.order_ref) & (mine.c.kind == theirs.c.kind),
        renames="order_ref",
    ),
    Part(purchase_line, of=purchase, by="purchase_id"),
]
