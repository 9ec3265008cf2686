"""Requests and answers of a customer's addresses, and of the contacts there."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.bounds import Day, Flag, In, Line, Out, Printable
from app.customers.schemas import Region

AddressKind = Literal["billing", "delivery", "office", "store", "home", "other"]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="ISO 3166-1, such as CN")]
Lines = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True), Printable]
PostalCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 -]{0,15}$")]
RegionCode = Annotated[Region, Field(description="such as CN-31: what a customer's `region` may be")]

_ADDRESS: dict[str, Any] = {
    "kind": "delivery",
    "is_primary": True,
    "lines": "88 Lantern Lane, gate 3",
    "city": "Shanghai",
    "postal_code": "200001",
    "region": "CN-31",
    "country": "CN",
}
_CONTACT: dict[str, Any] = {
    "name": "Purchasing desk",
    "role": "buyer",
    "is_primary": True,
    "since": "2026-01-01",
}


class AddressIn(In):
    """Where a customer is to be found, or wants something to arrive."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ADDRESS]})

    kind: AddressKind
    is_primary: Flag = False
    recipient: Line | None = None
    lines: Lines
    city: Line | None = None
    postal_code: PostalCode | None = None
    region: RegionCode | None = None
    country: Country


class AddressPatch(In):
    """What to change of an address; a field left out stays as it is, null empties it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lines": "90 Lantern Lane", "is_primary": True}]})

    kind: AddressKind = "other"
    is_primary: Flag = False
    recipient: Line | None = None
    lines: Lines = ""
    city: Line | None = None
    postal_code: PostalCode | None = None
    region: RegionCode | None = None
    country: Country = ""


class AddressOut(Out):
    """An address; the primary one of its kind takes the place of the one before."""

    id: UUID
    kind: AddressKind
    is_primary: bool
    recipient: str | None
    lines: str
    city: str | None
    postal_code: str | None
    region: str | None
    country: str
    version: int
    created_at: datetime
    updated_at: datetime


class AddressPage(Out):
    """A page of addresses, the latest first."""

    items: list[AddressOut]
    next_cursor: str | None


class ContactIn(In):
    """Whom one speaks with at a customer: another customer by `person_id`, anybody else by `name`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONTACT]})

    person_id: UUID | None = None
    name: Line | None = None
    role: Line | None = Field(default=None, description="what this person does there: buyer, owner, accountant")
    is_primary: Flag = False
    since: Day | None = None
    until: Day | None = Field(default=None, description="the last day; null while it goes on")


class ContactPatch(In):
    """What to change of a contact; a field left out stays as it is, null empties it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "head of purchasing", "until": "2026-06-30"}]})

    person_id: UUID | None = None
    name: Line | None = None
    role: Line | None = None
    is_primary: Flag = False
    since: Day | None = None
    until: Day | None = None


class ContactOut(Out):
    """A contact; without a name of its own, `name` is that of the person, where you may see that record."""

    id: UUID
    person_id: UUID | None
    name: str | None
    role: str | None
    is_primary: bool
    since: date | None
    until: date | None
    version: int
    created_at: datetime
    updated_at: datetime


class ContactPage(Out):
    """A page of contacts, the latest first."""

    items: list[ContactOut]
    next_cursor: str | None
