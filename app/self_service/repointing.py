"""What becomes of accounts when their customer is merged into another: they follow, and the first one stands."""

from app.customers.merging.places import Moves, Place, SetAside
from app.self_service.models import customer_account, profile_change

PLACES: list[Place] = [
    Moves(customer_account, key=("user_id",)),
    SetAside(profile_change),
]
