"""What this package announces. Ids only: neither whose address it was, nor what was written."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field


@dataclass(frozen=True, slots=True)
class MailUndelivered:
    """An e-mail was given up: refused by a server for good, or not taken in time. `about` names what it was about."""

    name: ClassVar[str] = "mail.undelivered"
    stored: ClassVar[bool] = True

    letter: Annotated[str, Field(examples=["account_invitation"])]
    about: Annotated[dict[str, str], Field(examples=[{"customer_id": "019a8f3e-9b1c-7c3e-8a52-2f1f6f3f9a10"}])]
    reason: Annotated[str, Field(examples=["the server refused it for good: 550"])]
