"""What the tests of customers say over and over."""

from typing import Any

import httpx

PHONE = "+8613812345678"
EMAIL = "li.wei@example.com"


async def create(client: httpx.AsyncClient, **body: Any) -> Any:
    """A new customer's JSON."""
    answer = await client.post("/v1/customers", json={"name": "Li Wei", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def external(value: str) -> dict[str, str]:
    return {"kind": "external", "value": value}


def pointers(answer: httpx.Response, status: int = 422) -> list[str]:
    """Where a refused request is wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [each["pointer"] for each in answer.json()["errors"]]
