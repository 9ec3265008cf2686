"""What becomes of interactions when their customer is merged into another."""

from app.customers.merging.places import Moves, Part, Place
from app.interactions.models import interaction, interaction_version

PLACES: list[Place] = [
    Moves(interaction, clashes=lambda mine, theirs: mine.c.reference == theirs.c.reference, renames="reference"),
    Part(interaction_version, of=interaction, by="id"),
]
