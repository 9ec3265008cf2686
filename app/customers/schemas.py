"""Requests and answers of the customer record."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from app.core import clock
from app.core.bounds import Count, Day, DecimalText, Flag, In, Key, Line, Out, PastInstant, Printable
from app.core.settings import get_settings
from app.customers.contacts import normal_email, normal_phone


def _not_to_come(day: date) -> date:
    if day > clock.business_day(clock.business_now()):
        raise ValueError("this day is still to come")
    return day


Kind = Literal["person", "company"]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,6}){0,4}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True), Printable]
MAX_TAGS = 100
Tags = Annotated[list[TagName], Field(max_length=MAX_TAGS), AfterValidator(lambda tags: sorted(set(tags)))]
Phone = Annotated[
    str,
    StringConstraints(min_length=3, max_length=40),
    AfterValidator(lambda value: normal_phone(value, get_settings().phone_region)),
]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254), AfterValidator(normal_email)]
CustomValue = Annotated[str, StringConstraints(max_length=1000), Printable]
Channel = Literal["email", "phone", "sms", "wechat", "post"]
ConsentStatus = Literal["given", "withdrawn"]
NoteText = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True), Printable]
FieldType = Literal["text", "number", "money", "date", "choice", "multi_choice", "boolean"]
Option = Annotated[
    str,
    StringConstraints(min_length=1, max_length=80, strip_whitespace=True, pattern=r"^[^;]*$"),
    Printable,
]
Options = Annotated[list[Option], Field(max_length=200, description="what can be chosen; no semicolons")]
Birthday = Annotated[Day, AfterValidator(_not_to_come)]
MOST_CUSTOM = 100
Custom = Annotated[dict[Key, CustomValue], Field(max_length=MOST_CUSTOM)]

_EXAMPLE: dict[str, Any] = {
    "kind": "company",
    "name": "Blue Lantern Teahouse",
    "region": "CN-31",
    "language": "zh",
    "phone": "+86 138 1234 1234",
    "email": "orders@bluelantern.example",
    "identities": [{"kind": "external", "value": "C-1001"}],
    "tags": ["wholesale"],
}


class IdentityIn(In):
    """One way in which another system knows this customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "external", "value": "C-1001"}]})

    kind: Key
    value: Line


class CustomerIn(In):
    """A new customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    kind: Kind = "person"
    name: Line
    title: Line | None = None
    birthday: Birthday | None = None
    company_id: UUID | None = None
    region: Region | None = None
    source: Line | None = None
    language: Language | None = None
    phone: Phone | None = None
    email: Email | None = None
    identities: Annotated[list[IdentityIn], Field(max_length=20)] = []
    tags: Tags = []
    owner_id: UUID | None = None
    unit_id: UUID | None = None
    custom: Custom = {}


class CustomerPatch(In):
    """The fields to change; a field left out stays as it is, null empties it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"region": "CN-31", "tags": ["wholesale", "fair"]}]})

    kind: Kind = "person"
    name: Line = ""
    title: Line | None = None
    birthday: Birthday | None = None
    company_id: UUID | None = None
    region: Region | None = None
    source: Line | None = None
    language: Language | None = None
    phone: Phone | None = None
    email: Email | None = None
    tags: Tags = []
    owner_id: UUID | None = None
    unit_id: UUID | None = None
    custom: Custom = {}


class BatchCustomer(CustomerIn):
    """A customer found by any of its identities, or created with all of them."""

    identities: Annotated[list[IdentityIn], Field(min_length=1, max_length=20)]


class BatchIn(In):
    """Up to 500 customers to create or to change, each found by its identities."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customers": [_EXAMPLE]}]})

    customers: Annotated[list[BatchCustomer], Field(min_length=1, max_length=500)]


class IdentityOut(Out):
    """One way in which another system knows this customer; masked without `customers:read_contact`."""

    kind: str
    value: str


class CustomerOut(Out):
    """A customer. Without `customers:read_contact` phone, e-mail and identities come masked, and no birthday."""

    id: UUID
    kind: Kind
    name: str
    title: str | None
    birthday: date | None
    company_id: UUID | None
    region: str | None
    source: str | None
    language: str | None
    phone: str | None
    email: str | None
    identities: list[IdentityOut]
    tags: list[str]
    owner_id: UUID | None
    unit_id: UUID | None
    custom: dict[str, str]
    classes: dict[str, str]
    version: int
    created_at: datetime
    updated_at: datetime


class CustomerPage(Out):
    """A page of customers; `total` only when asked for."""

    items: list[CustomerOut]
    next_cursor: str | None
    total: Count | None


class BatchOutcome(Out):
    """What became of one customer of the batch, by its place in the request."""

    index: int
    id: UUID
    outcome: Literal["created", "updated", "unchanged"]


class BatchOut(Out):
    """What became of each."""

    items: list[BatchOutcome]


class TagCount(Out):
    """A tag, and how many of the customers you may see carry it."""

    tag: str
    customers: Count


class TagPage(Out):
    """A page of tags."""

    items: list[TagCount]
    next_cursor: str | None


class TagRename(In):
    """What the tag is to be called."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tag": "wholesale"}]})

    tag: TagName


class TagMergeIn(In):
    """Tags that become one: whoever carries any of them carries `into` instead, which may be a new one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tags": ["whole sale", "wholesaler"], "into": "wholesale"}]}
    )

    tags: Annotated[list[TagName], Field(min_length=1, max_length=20)]
    into: TagName


class TagReplacedOut(Out):
    """How many customers carried the tags, and for how many of them the change still follows in the background."""

    customers: Count
    remaining: Count


class ConsentIn(In):
    """That the customer agreed to be reached by a channel for a purpose, or does not want it any more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"channel": "email", "purpose": "marketing", "status": "given", "source": "form at the tea fair"}
            ]
        }
    )

    channel: Channel
    purpose: Annotated[Key, Field(description="such as marketing, service or research")]
    status: ConsentStatus
    source: Annotated[Line, Field(description="how it is known: a form, a call, a letter")]
    at: Annotated[PastInstant | None, Field(description="when the customer said so; now when left out")] = None


class ConsentOut(Out):
    """What the customer said of a channel and a purpose, when, how it is known, and who wrote it down."""

    id: UUID
    channel: Channel
    purpose: str
    status: ConsentStatus
    source: str
    at: datetime
    recorded_at: datetime
    recorded_by: str


class ConsentPage(Out):
    """A page of what the customer ever said."""

    items: list[ConsentOut]
    next_cursor: str | None


class ConsentsOut(Out):
    """What stands: the latest of each channel and purpose. Where nothing stands, nothing was agreed to."""

    items: list[ConsentOut]
    next_cursor: None = None


class TransferIn(In):
    """Into whose hands; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"unit_id": "0198a7e4-9a3f-7c51-b7f1-5d0f6f2a3b4c"}]})

    owner_id: UUID | None = None
    unit_id: UUID | None = None


class TransferOut(Out):
    """A change of hands, with its owners and units before and after."""

    id: UUID
    customer_id: UUID
    from_owner_id: UUID | None
    to_owner_id: UUID | None
    from_unit_id: UUID | None
    to_unit_id: UUID | None
    transfer_id: UUID | None = Field(description="of the transfer of many that it was part of")
    transferred_by: str
    at: datetime


class TransferPage(Out):
    """A page of changes of hands, the latest first."""

    items: list[TransferOut]
    next_cursor: str | None


class NoteIn(In):
    """What somebody wants remembered of the customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Prefers a call before noon."}]})

    text: NoteText


class NoteOut(Out):
    """A note, who wrote it and who corrected it last."""

    id: UUID
    text: str
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class NotePage(Out):
    """A page of notes, the latest first."""

    items: list[NoteOut]
    next_cursor: str | None


class CustomFieldIn(In):
    """A field of a customer's `custom` that is more than any text.

    Values are strings: numbers and amounts (money, in the base currency) as decimals, days as 2026-01-02, `true` and
    `false`, one of the options, or some of them with semicolons in between.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"key": "store_size", "title": "Size of the store, m²", "type": "number", "minimum": "0"},
                {"key": "channel", "title": "Channel", "type": "choice", "options": ["shop", "online"]},
            ]
        }
    )

    key: Key
    title: Line
    type: FieldType
    options: Options = []
    minimum: DecimalText | None = None
    maximum: DecimalText | None = None
    required: Flag = Field(
        default=False, description="whoever creates a customer or writes its `custom` gives a value; a file need not"
    )
    indexed: Flag = Field(default=False, description="have indexes made in the background, for searches by this field")


class CustomFieldPatch(In):
    """What to change of a custom field; values that customers have are looked at when they are written next."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Size of the shop, m²"}]})

    title: Line = ""
    options: Options = []
    minimum: DecimalText | None = None
    maximum: DecimalText | None = None
    required: Flag = False
    indexed: Flag = False


class CustomFieldOut(Out):
    """A custom field."""

    key: str
    title: str
    type: FieldType
    options: list[str]
    minimum: DecimalText | None
    maximum: DecimalText | None
    required: bool
    indexed: bool
    version: int
    created_at: datetime
    updated_at: datetime


class CustomFieldPage(Out):
    """A page of custom fields, by key."""

    items: list[CustomFieldOut]
    next_cursor: str | None
