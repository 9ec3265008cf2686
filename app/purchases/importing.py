"""The import kind `purchases`: a row of a file becomes a staged line of a purchase.

`compile` decides once per file what can be; the function it returns runs for every row. What repeats in a
file (references, products, instants, prices) is checked once and remembered.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import blake2b
from operator import itemgetter
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Table

from app.core import clock
from app.core.bounds import EARLIEST, MAX_AMOUNT, plain_decimal
from app.core.db import WriteSession
from app.core.errors import Invalid
from app.core.settings import get_settings
from app.customers.occurring import FUTURE_TOLERANCE
from app.imports.kinds import Batch, ImportColumn, Layout, Merged, Options, RowCompiler, RowError, bucket_of
from app.purchases import merging
from app.purchases.currencies import CODES
from app.purchases.money import PLACES
from app.purchases.staging import purchase_import_row

REMEMBERED = 50_000  # values of a column; one with more different values is remembered in turns
REMEMBERED_CUSTOMERS = 200_000
MAX_TEXT = 200
MAX_NAME = 400
NULL = r"\N"

_exact = Context(prec=200)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
Key = str | tuple[str, ...]
Amount = tuple[str, bool]  # without its sign, and whether it was negative


class Purchases:
    """One row a line; rows with one order_ref are one purchase."""

    name = "purchases"
    further = None
    columns: Sequence[ImportColumn] = (
        ImportColumn("customer_ref", required=True),
        ImportColumn("order_ref"),
        ImportColumn("occurred_at", required=True),
        ImportColumn("amount", required=True, product=True),
        ImportColumn("currency"),
        ImportColumn("kind"),
        ImportColumn("product_ref"),
        ImportColumn("product_name"),
        ImportColumn("category"),
        ImportColumn("quantity"),
    )
    staging: Table = purchase_import_row

    def check(self, options: Options) -> None:
        if options.currency is not None and not _is_known(options.currency):
            raise Invalid.at("/body/currency", "Give a currency of ISO 4217 such as EUR")

    def permissions(self, options: Options) -> Sequence[str]:
        return ("purchases:write", "customers:write") if options.create_customers else ("purchases:write",)

    def compile(self, layout: Layout, options: Options, number: int) -> RowCompiler:
        return _compile(layout, options, number)

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        return await merging.merge(session, batch)


KIND = Purchases()


class _Remembered(dict[_Key, _Value]):
    """What was made of a value before; forgets all when it grows too large."""

    __slots__ = ("_limit", "_make")

    def __init__(self, make: Callable[[_Key], _Value], limit: int = REMEMBERED) -> None:
        self._make = make
        self._limit = limit

    def __missing__(self, key: _Key) -> _Value:
        made = self._make(key)
        if len(self) >= self._limit:
            self.clear()
        self[key] = made
        return made


def _compile(layout: Layout, options: Options, number: int) -> RowCompiler:
    at_ref, at_order, at_instant, at_currency, at_kind, at_product, at_name, at_category, at_quantity = (
        layout.index(name)
        for name in (
            "customer_ref",
            "order_ref",
            "occurred_at",
            "currency",
            "kind",
            "product_ref",
            "product_name",
            "category",
            "quantity",
        )
    )
    factors = layout.positions["amount"]
    amount_of: Callable[[list[str]], Key] = itemgetter(*factors)
    references = _Remembered(_customer_of(number), REMEMBERED_CUSTOMERS)
    orders, products, names, categories = (
        _Remembered(_text_of(field, longest))
        for field, longest in (
            ("order_ref", MAX_TEXT),
            ("product_ref", MAX_TEXT),
            ("product_name", MAX_NAME),
            ("category", MAX_TEXT),
        )
    )
    instants = _Remembered(_instant_of(options))
    currencies = _Remembered(_currency_of(options))
    amounts = _Remembered(_amount_of([layout.header[position] for position in factors]))
    quantities = _Remembered(_quantity)
    kinds = _Remembered(_kind)
    says_kind = layout.mapped("kind")

    def row(values: list[str], line: int) -> str:
        reference = references[values[at_ref]]
        order, _ = orders[values[at_order]]
        instant = instants[values[at_instant]]
        amount, negative = amounts[amount_of(values)]
        quantity, fewer = quantities[values[at_quantity]]
        if says_kind:
            kind = kinds[values[at_kind]]
            if negative and kind == "purchase":
                raise RowError("amount", "the amount of a purchase must be positive")
        else:
            kind = "refund" if negative else "purchase"
        if kind == "refund" and amount == "0":
            raise RowError("amount", "a refund of nothing is no refund")
        if fewer and kind == "purchase":
            raise RowError("quantity", "the quantity of a purchase must be positive")
        currency = currencies[values[at_currency]]
        product, product_text = products[values[at_product]]
        name, name_text = names[values[at_name]]
        category, category_text = categories[values[at_category]]
        said = f"{product_text}\x1f{name_text}\x1f{category_text}\x1f{quantity}\x1f{amount}\x1f{instant}"
        digest = int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "big") >> 1
        return (
            f"{reference}\t{line}\t{order}\t{instant}\t{amount}\t{currency}\t{kind}\t{product}\t{name}\t{category}"
            f"\t{quantity}\t{digest}\n"
        )

    return row


def _customer_of(number: int) -> Callable[[str], str]:
    """The beginning of a staged line: the import, the bucket, the reference."""

    def customer(text: str) -> str:
        escaped, clean = _clean(text, "customer_ref", MAX_TEXT)
        if not clean:
            raise RowError("customer_ref", "customer_ref is missing")
        return f"{number}\t{bucket_of(clean)}\t{escaped}"

    return customer


def _text_of(field: str, longest: int) -> Callable[[str], tuple[str, str]]:
    return lambda text: _clean(text, field, longest)


def _clean(text: str, field: str, longest: int) -> tuple[str, str]:
    """The text as COPY wants it, and as it is."""
    clean = text.strip()
    if not clean:
        return NULL, ""
    if len(clean) > longest:
        raise RowError(field, f"{field} is longer than {longest} characters")
    if not clean.isprintable() and _CONTROL.search(clean):
        raise RowError(field, f"{field} holds control characters")
    return clean.replace("\\", "\\\\") if "\\" in clean else clean, clean


def _instant_of(options: Options) -> Callable[[str], str]:
    named = ZoneInfo(options.time_zone) if options.time_zone else clock.business_zone()
    zone = UTC if named.key == "UTC" else named  # the same, and six times as fast
    latest = clock.business_now() + FUTURE_TOLERANCE

    def instant(text: str) -> str:
        text = text.strip()
        if not text:
            raise RowError("occurred_at", "occurred_at is missing")
        try:
            if text[4:5] != "-":
                raise ValueError
            found = datetime.fromisoformat(text)
            found = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise RowError(
                "occurred_at", f"{_quoted(text)} is no date or time such as 2026-01-02 or 2026-01-02T03:04:05Z"
            ) from None
        if found < EARLIEST:
            raise RowError("occurred_at", f"{_quoted(text)} lies before 1900")
        if found > latest:
            raise RowError("occurred_at", f"{_quoted(text)} lies more than a day in the future")
        return found.isoformat()

    return instant


def _amount_of(factors: list[str]) -> Callable[[Key], Amount]:
    """The amount, or the product of the file's columns `factors`, rounded half-even to four places."""

    def amount(key: Key) -> Amount:
        if isinstance(key, str):
            if not key.strip():
                raise RowError("amount", "amount is missing")
            # Given away is bought too: an order of 0 counts as a purchase.
            value = _decimal(key, "amount")
            if value != value.quantize(PLACES, ROUND_HALF_EVEN, _exact):
                raise RowError("amount", f"{_quoted(key)} has more than 4 digits after the point")
        else:
            value = Decimal(1)
            for name, text in zip(factors, key, strict=True):
                if not text.strip():
                    raise RowError("amount", f"{name} is missing")
                factor = _decimal(text, "amount")
                if not factor:  # no price or no quantity is no sale
                    raise RowError("amount", f"{name} must not be 0")
                value = _exact.multiply(value, factor)
            value = value.quantize(PLACES, ROUND_HALF_EVEN, _exact)
        return _bounded(value, "amount")

    return amount


def _quantity(text: str) -> Amount:
    if not text.strip():
        return "1", False
    value = _decimal(text, "quantity")
    if not value:
        raise RowError("quantity", "quantity must not be 0")
    if value != value.quantize(PLACES, ROUND_HALF_EVEN, _exact):
        raise RowError("quantity", f"{_quoted(text)} has more than 4 digits after the point")
    return _bounded(value, "quantity")


def _decimal(text: str, field: str) -> Decimal:
    text = text.strip()
    if len(text) > 40 or not _DECIMAL.fullmatch(text):
        raise RowError(field, f"{_quoted(text)} is no decimal number such as 1234.50")
    return Decimal(text)


def _bounded(value: Decimal, field: str) -> Amount:
    if abs(value) >= MAX_AMOUNT:
        raise RowError(field, f"{field} has more than 14 digits before the point")
    return plain_decimal(abs(value)), value < 0


def _currency_of(options: Options) -> Callable[[str], str]:
    base = get_settings().currency
    default = options.currency or base

    def currency(text: str) -> str:
        text = text.strip()
        if not text:
            return default
        if not _is_known(text):
            raise RowError("currency", f"{_quoted(text)} is no currency of ISO 4217 such as {base}")
        return text

    return currency


def _is_known(currency: str) -> bool:
    return currency in CODES or currency == get_settings().currency


def _kind(text: str) -> str:
    kind = text.strip()
    if kind not in ("purchase", "refund"):
        raise RowError("kind", f"{_quoted(kind)} is neither purchase nor refund")
    return kind


def _quoted(text: str) -> str:
    shown = text if len(text) <= 30 else f"{text[:30]}…"
    return repr(shown.encode("utf-8", "replace").decode())
