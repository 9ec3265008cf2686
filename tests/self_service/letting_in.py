"""Customers with accounts of their own, over the API."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.conftest import ActAs


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, logged in."""

    id: str
    user_id: str
    client: httpx.AsyncClient


LetIn = Callable[..., Awaitable[Customer]]


async def record(admin: httpx.AsyncClient, **fields: Any) -> str:
    """A new customer's id."""
    answer = await admin.post("/v1/customers", json={"name": "Mei Chen", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def account(admin: httpx.AsyncClient, customer_id: str, **body: Any) -> dict[str, Any]:
    """The customer's account, opened."""
    answer = await admin.post(f"/v1/customers/{customer_id}/account", json=body)
    assert answer.status_code == 201, answer.text
    opened: dict[str, Any] = answer.json()
    return opened


async def let_in(admin: httpx.AsyncClient, act_as: ActAs, **fields: Any) -> Customer:
    """A new customer with an account, logged in."""
    customer_id = await record(admin, **fields)
    opened = await account(admin, customer_id)
    return Customer(customer_id, opened["user_id"], await act_as(opened["username"]))


async def purchased(admin: httpx.AsyncClient, customer_id: str, amount: str, at: str) -> None:
    """A purchase of the customer."""
    body = {"occurred_at": at, "amount": amount}
    answer = await admin.post(f"/v1/customers/{customer_id}/purchases", json=body)
    assert answer.status_code == 201, answer.text


async def merged(admin: httpx.AsyncClient, survivor_id: str, merged_id: str) -> str:
    """The id of their merge."""
    answer = await admin.post("/v1/customers/merges", json={"survivor_id": survivor_id, "merged_id": merged_id})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
