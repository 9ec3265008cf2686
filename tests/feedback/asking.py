"""Surveys and feedback, made over the API."""

from typing import Any

import httpx

QUESTIONS: list[dict[str, Any]] = [
    {"key": "delivery", "kind": "csat", "text": {"en": "The delivery?", "zh": "配送如何？"}, "topic": "delivery"},
    {"key": "recommend", "kind": "nps", "text": {"en": "Would you recommend us?"}, "required": False},
    {"key": "effort", "kind": "ces", "text": {"en": "Was it easy?"}, "required": False},
    {
        "key": "tea",
        "kind": "choice",
        "text": {"en": "Which tea?"},
        "options": [{"key": "green", "text": {"en": "Green", "zh": "绿茶"}}, {"key": "black", "text": {"en": "Black"}}],
        "required": False,
    },
    {
        "key": "shops",
        "kind": "choices",
        "text": {"en": "Which shops?"},
        "options": [{"key": name, "text": {"en": name}} for name in ("north", "south")],
        "required": False,
    },
    {"key": "why", "kind": "text", "text": {"en": "Why?"}, "required": False},
]
DOCUMENT: dict[str, Any] = {
    "title": {"en": "Your order", "zh": "您的订单"},
    "topic": "orders",
    "questions": QUESTIONS,
}


async def draft(client: httpx.AsyncClient, document: dict[str, Any] = DOCUMENT) -> str:
    """A survey with a draft."""
    answer = await client.post("/v1/surveys", json={"name": "After delivery", "document": document})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def published(client: httpx.AsyncClient, document: dict[str, Any] = DOCUMENT) -> str:
    """A survey that is asked."""
    survey_id = await draft(client, document)
    answer = await client.post(f"/v1/surveys/{survey_id}/versions/1/publish")
    assert answer.status_code == 200, answer.text
    return survey_id


async def said(client: httpx.AsyncClient, customer_id: str, **body: Any) -> Any:
    """Feedback, recorded."""
    path = f"/v1/customers/{customer_id}/feedback"
    answer = await client.post(path, json={"occurred_at": "2020-06-30T12:00:00Z", "channel": "phone", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def scored(client: httpx.AsyncClient, customer_id: str, measure: str, score: int, **body: Any) -> Any:
    """A score that a customer gave."""
    return await said(client, customer_id, kind="answer", measure=measure, score=score, **body)


async def invited(client: httpx.AsyncClient, survey_id: str, *customer_ids: str, **body: Any) -> list[dict[str, Any]]:
    given = {"customer_ids": customer_ids, "channel": "email", **body}
    answer = await client.post(f"/v1/surveys/{survey_id}/invitations", json=given)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    items: list[dict[str, Any]] = answer.json()["items"]
    return items
