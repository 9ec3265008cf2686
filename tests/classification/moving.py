"""Customers on the move between the classes of one scheme, and where they stand."""

from collections.abc import Awaitable, Callable
from datetime import date

import httpx

from tests.classification.schemes import standing

PENDING, CALLED_OFF = "customer.downgrade_pending", "customer.downgrade_called_off"
KEY = "spending"
TODAY = date(2020, 6, 30)
LAST_YEAR = "2019-07-10T00:00:00Z"
LEAVES = date(2020, 7, 9)

Today = Callable[[date], None]
Until = Callable[[date], Awaitable[None]]


async def customer_with(client: httpx.AsyncClient, *purchases: tuple[str, str]) -> str:
    """A new customer who bought for these amounts at these instants."""
    customer = str((await client.post("/v1/customers", json={"name": "somebody"})).json()["id"])
    for at, amount in purchases:
        await buy(client, customer, at, amount)
    return customer


async def buy(client: httpx.AsyncClient, customer: str, at: str, amount: str, kind: str = "purchase") -> str:
    """Record it; the class afterwards."""
    body = {"occurred_at": at, "amount": amount, "kind": kind}
    answer = await client.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["classes"][KEY])


async def stands(client: httpx.AsyncClient, customer: str) -> tuple[str, tuple[str, str] | None]:
    """The class, and what is pending on which day."""
    found = await standing(client, customer, KEY)
    pending = found["pending"]
    return found["class"], pending and (pending["class"], pending["on"])


def instant(day: date) -> str:
    """The beginning of a day, in UTC."""
    return f"{day.isoformat()}T00:00:00Z"


async def put(client: httpx.AsyncClient, customer: str, name: str, day: date) -> None:
    path = f"/v1/customers/{customer}/classes/{KEY}/override"
    body = {"class": name, "reason": "a contract", "expires_at": instant(day)}
    answer = await client.put(path, json=body)
    assert answer.status_code == 200, answer.text
