"""Exchange rates, and money converted with them to the last digit."""

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.bounds import MAX_AMOUNT
from app.purchases.money import in_base_currency
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers

RATES = "/v1/exchange-rates"


@pytest.fixture(autouse=True)
def clock(today: Any) -> None:
    today(date(2020, 6, 30))


async def put(client: httpx.AsyncClient, *rates: tuple[str, str, str]) -> None:
    body = {"rates": [{"currency": currency, "day": day, "rate": rate} for currency, day, rate in rates]}
    answer = await client.put(RATES, json=body)
    assert answer.status_code == 204, answer.text


async def buy(client: httpx.AsyncClient, path: str, day: str, amount: str, currency: str = "EUR") -> httpx.Response:
    body = {"occurred_at": f"{day}T12:00:00Z", "amount": amount, "currency": currency}
    return await client.post(path, json=body)


async def test_rates_are_put_replaced_and_listed_the_latest_first(admin: httpx.AsyncClient) -> None:
    await put(admin, ("EUR", "2020-06-01", "8"), ("USD", "2020-06-02", "7.1"), ("EUR", "2020-06-02", "8.00000001"))
    await put(admin, ("EUR", "2020-06-01", "7.5"))
    expected = [("EUR", "2020-06-02", "8.00000001"), ("USD", "2020-06-02", "7.1"), ("EUR", "2020-06-01", "7.5")]
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = (await admin.get(RATES, params=query)).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert [(each["currency"], each["day"], each["rate"]) for each in found] == expected
    euros = (await admin.get(RATES, params={"currency": "EUR"})).json()["items"]
    assert [each["day"] for each in euros] == ["2020-06-02", "2020-06-01"]
    other = await admin.get(RATES, params={"currency": "EUR", "cursor": query["cursor"]})
    assert other.status_code in (400, 422)


async def test_a_wrong_rate_is_named_and_none_is_put(admin: httpx.AsyncClient) -> None:
    good = {"currency": "EUR", "day": "2020-06-01", "rate": "8"}
    table: list[tuple[dict[str, Any], str]] = [
        ({"currency": "CNY"}, "currency"),
        ({"currency": "XXZ"}, "currency"),
        ({"currency": "euro"}, "currency"),
        ({"rate": "0"}, "rate"),
        ({"rate": "-8"}, "rate"),
        ({"rate": "1000000000"}, "rate"),
        ({"rate": "0.000000001"}, "rate"),
        ({"rate": "NaN"}, "rate"),
        ({"day": "2020-02-30"}, "day"),
        ({"day": "someday"}, "day"),
        ({"source": "ECB"}, "source"),
    ]
    for change, field in table:
        answer = await admin.put(RATES, json={"rates": [good, {**good, **change}]})
        assert pointers(answer) == [f"/body/rates/1/{field}"], change
    for rates in ([], [good] * 1001):
        assert pointers(await admin.put(RATES, json={"rates": rates})) == ["/body/rates"]
    assert (await admin.get(RATES)).json()["items"] == []


async def test_a_purchase_takes_the_latest_rate_of_seven_days(admin: httpx.AsyncClient) -> None:
    path = f"/v1/customers/{(await create(admin))['id']}/purchases"
    await put(admin, ("EUR", "2020-06-01", "8"), ("EUR", "2020-06-05", "7.1043"))
    table = {
        "2020-05-31": None,
        "2020-06-01": "80",
        "2020-06-04": "80",
        "2020-06-05": "71.043",
        "2020-06-11": "71.043",
        "2020-06-12": None,
    }
    for day, expected in table.items():
        answer = await buy(admin, path, day, "10")
        if expected is None:
            assert pointers(answer) == ["/body/currency"], day
        else:
            assert Decimal(answer.json()["base_amount"]) == Decimal(expected), day
            assert (answer.json()["amount"], answer.json()["currency"]) == ("10.00", "EUR")
    await put(admin, ("EUR", "2020-06-01", "9"))
    kept = (await admin.get(path)).json()["items"]
    assert sorted(Decimal(each["base_amount"]) for each in kept) == [Decimal("71.043")] * 2 + [80, 80]


async def test_the_day_of_a_rate_is_the_local_day(admin: httpx.AsyncClient, setting: Any) -> None:
    setting(time_zone="Asia/Shanghai")
    path = f"/v1/customers/{(await create(admin))['id']}/purchases"
    await put(admin, ("EUR", "2020-06-01", "8"), ("EUR", "2020-06-02", "9"))
    late = {"occurred_at": "2020-06-01T16:00:00Z", "amount": "1", "currency": "EUR"}
    assert Decimal((await admin.post(path, json=late)).json()["base_amount"]) == 9
    early = {"occurred_at": "2020-06-01T15:59:59.999999Z", "amount": "1", "currency": "EUR"}
    assert Decimal((await admin.post(path, json=early)).json()["base_amount"]) == 8


async def test_what_is_too_large_in_the_base_currency_is_named(admin: httpx.AsyncClient) -> None:
    path = f"/v1/customers/{(await create(admin))['id']}/purchases"
    await put(admin, ("EUR", "2020-06-01", "999999999"))
    assert pointers(await buy(admin, path, "2020-06-01", "99999999999999.9999")) == ["/body/amount"]
    assert pointers(await buy(admin, path, "2020-06-01", "100001")) == ["/body/amount"]
    assert (await buy(admin, path, "2020-06-01", "100000")).status_code == 201


async def test_rates_have_permissions_of_their_own(make_user: MakeUser) -> None:
    reader = await make_user({"exchange_rates:read": "all"})
    body = {"rates": [{"currency": "EUR", "day": "2020-06-01", "rate": "8"}]}
    assert (await reader.put(RATES, json=body)).status_code == 403
    assert (await reader.get(RATES)).status_code == 200
    assert (await (await make_user({"purchases:write": "all"})).get(RATES)).status_code == 403


@given(
    amount=st.decimals(min_value=0, max_value=10**14, places=4, allow_nan=False),
    rate=st.decimals(min_value="0.00000001", max_value=10**9 - 1, places=8, allow_nan=False),
)
def test_conversion_is_exact_to_half_the_smallest_amount(amount: Decimal, rate: Decimal) -> None:
    units, parts = int(amount.scaleb(4)), int(rate.scaleb(8))
    whole, rest = divmod(units * parts, 10**8)
    up = rest * 2 > 10**8 or (rest * 2 == 10**8 and whole % 2 == 1)
    exact = Decimal(whole + up).scaleb(-4)
    if exact < MAX_AMOUNT:
        assert in_base_currency(amount, rate, "purchase") == exact
        assert in_base_currency(amount, rate, "refund") == -max(exact, Decimal("0.0001"))


def test_halves_go_to_the_even_neighbour() -> None:
    for amount, expected in (("0.0001", "0.0000"), ("0.0003", "0.0002"), ("0.0005", "0.0002"), ("0.0007", "0.0004")):
        assert in_base_currency(Decimal(amount), Decimal("0.5"), "purchase") == Decimal(expected)
