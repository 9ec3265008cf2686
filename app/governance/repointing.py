"""What becomes of tombstones when a customer is merged: they stay with whom they are about."""

from app.customers.merging.places import Place, Stays
from app.governance.models import erasure

PLACES: list[Place] = [Stays(erasure)]
