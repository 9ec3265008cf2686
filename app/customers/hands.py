"""In whose hands a customer is: kept and announced with every change of owner or unit, however it came about."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.db import Record, WriteSession
from app.core.events import publish
from app.customers.events import CustomerTransferred
from app.customers.models import customer_transfer

HANDS = ("owner_id", "unit_id")


async def note_hands(
    session: WriteSession, before: Record, to: Mapping[str, Any], *, transfer_id: UUID | None = None
) -> None:
    """Keep in whose hands the customer was, and announce in whose it is."""
    hands: dict[str, UUID | None] = {}
    for name in HANDS:
        hands[f"from_{name}"], hands[f"to_{name}"] = before[name], to.get(name, before[name])
    session.write_behind(
        customer_transfer,
        customer_id=before["id"],
        transfer_id=transfer_id,
        transferred_by=session.principal,
        **hands,
    )
    await publish(session, CustomerTransferred(before["id"], **hands))
