"""What a package contributes to a customer's timeline; `directory` puts the parts together."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select


@dataclass(frozen=True, slots=True)
class TimelinePart:
    """One kind of entry: who may see it, and the SELECT of all entries there are.

    The columns are `customer_id`, `at` (when it happened), `id` (text) and `details` (an object of texts).
    """

    permission: str
    entries: Select[Any]
