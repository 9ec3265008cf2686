"""What this package announces. The payload carries neither the new address nor the code."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class ProfileChangeRequested:
    """A customer wants another e-mail address or phone number (`field`); whoever sends messages fetches the code.

    Where the service sends e-mail itself, it sends the code of another e-mail address.
    """

    name: ClassVar[str] = "customer.change_requested"
    stored: ClassVar[bool] = True

    customer_id: UUID
    change_id: UUID
    field: Annotated[str, Field(examples=["email"])]
    expires_at: datetime
