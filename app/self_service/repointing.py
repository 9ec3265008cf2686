"""What becomes of accounts when their customer is merged into another: they follow, and the first one stands."""

from app.customers.merging.places import Moves, Place
from app.self_service.models import customer_account

PLACES: list[Place] = [Moves(customer_account, key=("user_id",))]
