"""What becomes of a row of a purchases file, before the database sees it."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from app.core.errors import Invalid
from app.imports.kinds import Layout, Options, RowError, bucket_of
from app.purchases import importing
from app.purchases.importing import KIND
from app.purchases.money import content_hash

NAMES = [column.name for column in KIND.columns]
GOOD = {"customer_ref": "C1", "occurred_at": "2024-03-01", "amount": "12.50"}
OPTIONS = Options(create_customers=True, currency=None, time_zone=None)

pytestmark = pytest.mark.usefixtures("_today")


@pytest.fixture
def _today(today: Callable[[date], None]) -> None:
    today(date(2024, 6, 1))


def _staged(row: dict[str, str], options: Options = OPTIONS) -> dict[str, str]:
    """The staged columns of a row of a file that has exactly these columns."""
    layout = Layout(len(row), {name: (n,) for n, name in enumerate(row)}, list(row))
    line = KIND.compile(layout, options, 7)([*row.values(), ""], 3)
    assert line.endswith("\n")
    return dict(zip((c.name for c in KIND.staging.columns), line[:-1].split("\t"), strict=True))


def _error(row: dict[str, str], options: Options = OPTIONS) -> tuple[str | None, str]:
    with pytest.raises(RowError) as caught:
        _staged(row, options)
    return caught.value.field, caught.value.reason


def test_a_row_with_the_least_is_a_purchase_in_the_base_currency() -> None:
    assert _staged(GOOD) == {
        "import_number": "7", "bucket": str(bucket_of("C1")), "customer_ref": "C1", "line": "3", "order_ref": r"\N",
        "occurred_at": "2024-03-01T00:00:00+00:00", "amount": "12.5", "currency": "CNY", "kind": "purchase",
        "product_ref": r"\N", "product_name": r"\N", "category": r"\N", "quantity": "1",
        "content_hash": str(
            content_hash(None, None, None, Decimal(1), Decimal("12.50"), datetime(2024, 3, 1, tzinfo=UTC))
        ),
    }  # fmt: skip


def test_a_line_is_known_by_the_same_hash_as_one_recorded_over_the_api() -> None:
    row = {**GOOD, "occurred_at": "2024-03-01T10:00:00.5+02:00", "product_ref": r"a\b", "quantity": "2.00"}
    row |= {"product_name": "茶", "category": "tea", "amount": "100"}
    instant = datetime(2024, 3, 1, 8, 0, 0, 500_000, tzinfo=UTC)
    expected = content_hash(r"a\b", "茶", "tea", Decimal(2), Decimal("100.000"), instant)
    staged = _staged(row)
    assert staged["content_hash"] == str(expected)
    assert staged["product_ref"] == r"a\\b"  # as COPY wants it


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2010-12-01 08:26:00", None, "2010-12-01T08:26:00+00:00"),
        ("2010-12-01T08:26", None, "2010-12-01T08:26:00+00:00"),
        (" 2010-12-01 ", None, "2010-12-01T00:00:00+00:00"),
        ("2010-12-01T08:26:00Z", "Asia/Shanghai", "2010-12-01T08:26:00+00:00"),
        ("2010-12-01T08:26:00.123456-05:00", None, "2010-12-01T13:26:00.123456+00:00"),
        ("2010-12-01", "Asia/Shanghai", "2010-11-30T16:00:00+00:00"),
        ("2010-07-01 12:00:00", "Europe/London", "2010-07-01T11:00:00+00:00"),
        ("1900-01-01", None, "1900-01-01T00:00:00+00:00"),
        ("2024-06-02T00:00:00", None, "2024-06-02T00:00:00+00:00"),
    ],
)
def test_instants(text: str, zone: str | None, instant: str) -> None:
    assert _staged({**GOOD, "occurred_at": text}, Options(True, None, zone))["occurred_at"] == instant


def test_instants_without_zone_are_in_the_business_time_zone(setting: Callable[..., None]) -> None:
    setting(time_zone="Asia/Shanghai")
    assert _staged({**GOOD, "occurred_at": "2010-12-01"})["occurred_at"] == "2010-11-30T16:00:00+00:00"


@pytest.mark.parametrize(
    ("amount", "staged", "kind"),
    [
        ("1", "1", "purchase"),
        ("-1.5", "1.5", "refund"),
        ("+0.0001", "0.0001", "purchase"),
        (" 2.50000 ", "2.5", "purchase"),
        (".5", "0.5", "purchase"),
        ("5.", "5", "purchase"),
        ("99999999999999.9999", "99999999999999.9999", "purchase"),
        ("1000", "1000", "purchase"),
        ("0", "0", "purchase"),  # given away
        ("-0.00", "0", "purchase"),
    ],
)
def test_amounts(amount: str, staged: str, kind: str) -> None:
    found = _staged({**GOOD, "amount": amount})
    assert (found["amount"], found["kind"]) == (staged, kind)


@pytest.mark.parametrize(
    ("quantity", "price", "staged", "kind"),
    [
        ("6", "2.55", "15.3", "purchase"),
        ("-6", "2.55", "15.3", "refund"),
        ("3", "0.00005", "0.0002", "purchase"),  # 0.00015: a half, to the even digit
        ("1", "0.00025", "0.0002", "purchase"),
        ("99999999.9999", "99999.99999", "9999999998990", "purchase"),
    ],
)
def test_an_amount_may_be_a_product(quantity: str, price: str, staged: str, kind: str) -> None:
    layout = Layout(4, {"customer_ref": (0,), "occurred_at": (1,), "amount": (2, 3)}, ["c", "o", "Quantity", "Price"])
    line = KIND.compile(layout, OPTIONS, 1)(["C1", "2024-03-01", quantity, price, ""], 2)
    fields = dict(zip((c.name for c in KIND.staging.columns), line[:-1].split("\t"), strict=True))
    assert (fields["amount"], fields["kind"]) == (staged, kind)
    assert Decimal(staged) == (abs(Decimal(quantity)) * Decimal(price)).quantize(Decimal("0.0001"))


def test_a_product_says_which_factor_is_bad() -> None:
    layout = Layout(4, {"customer_ref": (0,), "occurred_at": (1,), "amount": (2, 3)}, ["c", "o", "Quantity", "Price"])
    row = KIND.compile(layout, OPTIONS, 1)
    for values, reason in [
        (["", "1"], "Quantity is missing"),
        (["1", " "], "Price is missing"),
        (["1", "x"], "'x' is no decimal number such as 1234.50"),
        (["0", "5"], "Quantity must not be 0"),
        (["99999999999999", "99999999999999"], "amount has more than 14 digits before the point"),
    ]:
        with pytest.raises(RowError) as caught:
            row(["C1", "2024-03-01", *values, ""], 2)
        assert (caught.value.field, caught.value.reason) == ("amount", reason)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"customer_ref": ""}, "customer_ref", "customer_ref is missing"),
        ({"customer_ref": "  "}, "customer_ref", "customer_ref is missing"),
        ({"customer_ref": "x" * 201}, "customer_ref", "customer_ref is longer than 200 characters"),
        ({"customer_ref": "a\tb"}, "customer_ref", "customer_ref holds control characters"),
        ({"customer_ref": "a\x00b"}, "customer_ref", "customer_ref holds control characters"),
        ({"customer_ref": "a\ud800b"}, "customer_ref", "customer_ref holds control characters"),
        ({"order_ref": "a\nb"}, "order_ref", "order_ref holds control characters"),
        ({"product_name": "x" * 401}, "product_name", "product_name is longer than 400 characters"),
        ({"category": "x" * 201}, "category", "category is longer than 200 characters"),
        ({"occurred_at": ""}, "occurred_at", "occurred_at is missing"),
        ({"occurred_at": "1899-12-31"}, "occurred_at", "'1899-12-31' lies before 1900"),
        ({"occurred_at": "2024-06-04"}, "occurred_at", "'2024-06-04' lies more than a day in the future"),
        ({"occurred_at": "0001-01-01T00:00+14:00"}, "occurred_at", "'0001-01-01T00:00+14:00' is no date or time"),
        ({"occurred_at": "20240301"}, "occurred_at", "'20240301' is no date or time"),
        ({"occurred_at": "2024-02-30"}, "occurred_at", "'2024-02-30' is no date or time"),
        ({"occurred_at": "01/03/2024"}, "occurred_at", "'01/03/2024' is no date or time"),
        ({"amount": ""}, "amount", "amount is missing"),
        ({"amount": "0", "kind": "refund"}, "amount", "a refund of nothing is no refund"),
        ({"amount": "1.23456"}, "amount", "'1.23456' has more than 4 digits after the point"),
        ({"amount": "100000000000000"}, "amount", "amount has more than 14 digits before the point"),
        ({"amount": "1,234.50"}, "amount", "'1,234.50' is no decimal number"),
        ({"amount": "1e3"}, "amount", "'1e3' is no decimal number"),
        ({"amount": "NaN"}, "amount", "'NaN' is no decimal number"),
        ({"amount": "\uff11\uff12"}, "amount", "'\uff11\uff12' is no decimal number"),
        ({"amount": "9" * 100}, "amount", f"'{'9' * 30}…' is no decimal number"),
        ({"quantity": "x"}, "quantity", "'x' is no decimal number"),
        ({"quantity": "0"}, "quantity", "quantity must not be 0"),
        ({"quantity": "-1"}, "quantity", "the quantity of a purchase must be positive"),
        ({"quantity": "1.00001"}, "quantity", "'1.00001' has more than 4 digits after the point"),
        ({"currency": "usd"}, "currency", "'usd' is no currency of ISO 4217"),
        ({"currency": "XXX"}, "currency", "'XXX' is no currency of ISO 4217"),
        ({"kind": "sale"}, "kind", "'sale' is neither purchase nor refund"),
        ({"kind": ""}, "kind", "'' is neither purchase nor refund"),
        ({"kind": "purchase", "amount": "-1"}, "amount", "the amount of a purchase must be positive"),
    ],
)
def test_a_bad_row_says_which_field_is_wrong_and_why(change: dict[str, str], field: str, reason: str) -> None:
    found = _error({**GOOD, **change})
    assert found[0] == field
    assert found[1].startswith(reason)


def test_a_reason_can_always_be_stored() -> None:
    _error({**GOOD, "amount": "\ud800"})[1].encode()
    assert "\x00" not in _error({**GOOD, "amount": "1\x00"})[1]


@pytest.mark.parametrize(
    ("change", "kind", "amount", "quantity"),
    [
        ({"kind": "refund", "amount": "5"}, "refund", "5", "1"),
        ({"kind": "refund", "amount": "-5", "quantity": "-2"}, "refund", "5", "2"),
        ({"kind": "purchase", "amount": "5"}, "purchase", "5", "1"),
        ({"amount": "-5", "quantity": "-2"}, "refund", "5", "2"),
        ({"amount": "-5", "quantity": "2"}, "refund", "5", "2"),
    ],
)
def test_purchases_and_refunds(change: dict[str, str], kind: str, amount: str, quantity: str) -> None:
    staged = _staged({**GOOD, **change})
    assert (staged["kind"], staged["amount"], staged["quantity"]) == (kind, amount, quantity)


def test_the_currency_is_the_rows_else_the_forms_else_the_base() -> None:
    row = {**GOOD, "currency": ""}
    assert _staged(row)["currency"] == "CNY"
    assert _staged(row, Options(True, "EUR", None))["currency"] == "EUR"
    assert _staged({**row, "currency": "USD"}, Options(True, "EUR", None))["currency"] == "USD"


def test_a_form_with_an_unknown_currency_is_refused() -> None:
    KIND.check(Options(True, "EUR", None))
    with pytest.raises(Invalid) as caught:
        KIND.check(Options(True, "XXX", None))
    assert [error.pointer for error in caught.value.errors] == ["/body/currency"]


def test_a_column_with_more_values_than_are_remembered_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "REMEMBERED_CUSTOMERS", 10)
    layout = Layout(3, {"customer_ref": (0,), "occurred_at": (1,), "amount": (2,)}, ["c", "o", "a"])
    row = KIND.compile(layout, OPTIONS, 1)
    for n in [*range(50), *range(50)]:
        assert row([f"C{n}", "2024-03-01", "1", ""], 2).split("\t")[2] == f"C{n}"
