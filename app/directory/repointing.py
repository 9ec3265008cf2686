"""What becomes of files when somebody in them is merged: they say what was so when they were made."""

from app.customers.merging.places import Place, Stays
from app.directory.models import export_piece

PLACES: list[Place] = [Stays(export_piece, column=name) for name in ("first_customer_id", "last_customer_id")]
