"""What this package announces. Payloads carry ids, never names or contacts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class CustomerCreated:
    name: ClassVar[str] = "customer.created"
    stored: ClassVar[bool] = True

    customer_id: UUID


@dataclass(frozen=True, slots=True)
class CustomersCreated:
    """Many customers at once, from an import; told to handlers only, others hear of each."""

    name: ClassVar[str] = "customers.created"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class CustomerChanged:
    name: ClassVar[str] = "customer.changed"
    stored: ClassVar[bool] = True

    customer_id: UUID
    version: int
    fields: Annotated[list[str], Field(examples=[["name", "region"]])]


@dataclass(frozen=True, slots=True)
class CustomersChanged:
    """The same fields of many customers at once; told to handlers only, others hear of each."""

    name: ClassVar[str] = "customers.changed"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]
    fields: list[str]


@dataclass(frozen=True, slots=True)
class AddressesChanged:
    """An address was added, changed or removed; told to handlers only."""

    name: ClassVar[str] = "customer.addresses_changed"
    stored: ClassVar[bool] = False

    customer_id: UUID


@dataclass(frozen=True, slots=True)
class CustomerTransferred:
    """The customer is in the hands of another owner, another unit, or both."""

    name: ClassVar[str] = "customer.transferred"
    stored: ClassVar[bool] = True

    customer_id: UUID
    from_owner_id: UUID | None
    to_owner_id: UUID | None
    from_unit_id: UUID | None
    to_unit_id: UUID | None


@dataclass(frozen=True, slots=True)
class TagReplaced:
    """A tag was renamed, merged into another, or taken off everybody (`into` is null); customers may yet follow."""

    name: ClassVar[str] = "tag.replaced"
    stored: ClassVar[bool] = True

    tag: Annotated[str, Field(examples=["whole-sale"])]
    into: Annotated[str | None, Field(examples=["wholesale"])]


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """The customer agreed to be reached by a channel for a purpose."""

    name: ClassVar[str] = "consent.given"
    stored: ClassVar[bool] = True

    customer_id: UUID
    channel: Annotated[str, Field(examples=["email"])]
    purpose: Annotated[str, Field(examples=["marketing"])]
    at: datetime


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """The customer does not want to be reached by a channel for a purpose."""

    name: ClassVar[str] = "consent.withdrawn"
    stored: ClassVar[bool] = True

    customer_id: UUID
    channel: Annotated[str, Field(examples=["email"])]
    purpose: Annotated[str, Field(examples=["marketing"])]
    at: datetime


@dataclass(frozen=True, slots=True)
class CustomerErased:
    """The person behind the record is forgotten: what is personal is gone, the record stays for its figures."""

    name: ClassVar[str] = "customer.erased"
    stored: ClassVar[bool] = True

    customer_id: UUID


@dataclass(frozen=True, slots=True)
class CustomersMerged:
    """One customer became part of another; its rows have moved, and its id leads to the other from now on."""

    name: ClassVar[str] = "customers.merged"
    stored: ClassVar[bool] = True

    merge_id: UUID
    customer_id: UUID
    merged_id: UUID


@dataclass(frozen=True, slots=True)
class MergeUndone:
    """The merged customer is there again, with what was its own."""

    name: ClassVar[str] = "customers.merge_undone"
    stored: ClassVar[bool] = True

    merge_id: UUID
    customer_id: UUID
    merged_id: UUID


@dataclass(frozen=True, slots=True)
class CustomerDeleted:
    name: ClassVar[str] = "customer.deleted"
    stored: ClassVar[bool] = True

    customer_id: UUID
