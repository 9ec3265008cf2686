"""What this package announces."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class PurchaseRecorded:
    """One purchase or refund was recorded."""

    name: ClassVar[str] = "purchase.recorded"
    stored: ClassVar[bool] = True

    customer_id: UUID
    purchase_id: UUID
    kind: Annotated[str, Field(examples=["purchase"])]
    amount: Annotated[Decimal, Field(examples=["99.90"])]
    currency: Annotated[str, Field(examples=["CNY"])]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class PurchasesRecorded:
    """Many were recorded by one request, each of them announced as one is."""

    name: ClassVar[str] = "purchases.recorded"
    stored: ClassVar[bool] = False

    purchases: list[PurchaseRecorded]


@dataclass(frozen=True, slots=True)
class PurchaseDeleted:
    """A purchase or refund was taken back: it should never have been recorded."""

    name: ClassVar[str] = "purchase.deleted"
    stored: ClassVar[bool] = True

    customer_id: UUID
    purchase_id: UUID


@dataclass(frozen=True, slots=True)
class PurchasesImported:
    """A chunk of an import changed these customers' purchases."""

    name: ClassVar[str] = "purchases.imported"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]
