"""What becomes of tombstones and data requests when a customer is merged: a tombstone stays with whom it is about."""

from app.customers.merging.places import Moves, Place, Stays
from app.governance.models import data_request, erasure

PLACES: list[Place] = [Stays(erasure), Moves(data_request)]
