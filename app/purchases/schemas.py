"""Requests and answers of purchases."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from app.core.bounds import (
    CurrencyCode,
    Day,
    DecimalText,
    In,
    Instant,
    Line,
    Money,
    Out,
    PositiveDecimal,
    Reference,
    plain_decimal,
)
from app.customers.fact_batches import MAX_ROWS, BatchRow

MAX_LINES = 20_000
PurchaseKind = Literal["purchase", "refund"]
Rate = Annotated[
    Decimal,
    Field(gt=0, lt=10**9, max_digits=17, decimal_places=8),
    PlainSerializer(plain_decimal, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "decimal", "maxLength": 24, "examples": ["7.1043"]}),
]

_EXAMPLE: dict[str, Any] = {
    "order_ref": "SO-1",
    "occurred_at": "2026-01-02T03:04:05Z",
    "amount": "99.90",
    "currency": "CNY",
    "kind": "purchase",
    "lines": [
        {"product_ref": "P1", "product_name": "Jasmine tea", "category": "tea", "quantity": "2", "amount": "99.90"}
    ],
}


class LineIn(In):
    """One line of a purchase."""

    product_ref: Reference | None = None
    product_name: Line | None = None
    category: Line | None = None
    quantity: PositiveDecimal = Decimal(1)
    amount: Annotated[DecimalText, Field(ge=0)]


Lines = Annotated[list[LineIn], Field(max_length=1000)]


class PurchaseIn(In):
    """One purchase or refund; its lines, when given, add up to its amount."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    order_ref: Reference | None = None
    occurred_at: Instant
    amount: Annotated[DecimalText, Field(ge=0)]
    currency: CurrencyCode | None = Field(default=None, description="base currency when left out")
    kind: PurchaseKind = "purchase"
    # Made anew: a list that stood here would be copied with every row of a batch.
    lines: Lines = Field(default_factory=list, json_schema_extra={"default": []})


def _few_lines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if sum(len(lines) for row in rows if isinstance(lines := row.get("lines"), list)) > MAX_LINES:
        raise ValueError(f"together these have more than {MAX_LINES} lines; send them in several requests")
    return rows


class PurchaseRow(BatchRow, PurchaseIn):
    """A purchase or refund of a batch."""


class PurchaseBatchIn(In):
    """Up to 1,000 rows with 20,000 lines together. Each is read by itself: one that is wrong keeps no other out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"purchases": [{**_EXAMPLE, "identity": {"kind": "external", "value": "C-1001"}}]}]
        }
    )

    purchases: Annotated[
        list[Annotated[dict[str, Any], Field(max_length=40)]],
        Field(
            min_length=1,
            max_length=MAX_ROWS,
            description="each as a purchase is recorded, with `customer_id` or `identity` (`kind`, `value`)",
        ),
        AfterValidator(_few_lines),
    ]


class LineOut(Out):
    """One line of a purchase."""

    product_ref: str | None
    product_name: str | None
    category: str | None
    quantity: DecimalText
    amount: Money


class PurchaseOut(Out):
    """One purchase or refund."""

    id: UUID
    customer_id: UUID
    order_ref: str | None
    occurred_at: datetime
    amount: Money
    currency: str
    base_amount: Money = Field(description="base currency; a refund is negative")
    kind: PurchaseKind
    lines: list[LineOut]


class PurchaseRecordedOut(PurchaseOut):
    """The purchase as recorded, and the customer's classes after it."""

    classes: dict[str, str]


class PurchasePage(Out):
    """A page of purchases, the latest first."""

    items: list[PurchaseOut]
    next_cursor: str | None


class ExchangeRate(In):
    """How much base currency one unit of a currency was worth on a day."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"currency": "EUR", "day": "2026-01-02", "rate": "8.21"}]}
    )

    currency: CurrencyCode
    day: Day
    rate: Rate


class ExchangeRatesIn(In):
    """Rates to put; a rate that is there already is replaced."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rates": [{"currency": "EUR", "day": "2026-01-02", "rate": "8.21"}]}]}
    )

    rates: Annotated[list[ExchangeRate], Field(min_length=1, max_length=1000)]


class ExchangeRatePage(Out):
    """A page of rates, the latest day first."""

    items: list[ExchangeRate]
    next_cursor: str | None
