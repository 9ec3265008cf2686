"""Phone, e-mail and identities are shown, searched and told only as far as `customers:read_contact` reaches."""

import uuid
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from tests.service import Answer
from tests.world import DEFINITIONS, World, company, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


PHONE, EMAIL, EXTERNAL = "+8613912345678", "canary.person@example.com", "EXT-CANARY-77"
CONTACT = {"phone": PHONE, "email": EMAIL, "identities": [{"kind": "external", "value": EXTERNAL}]}
CANARIES = [PHONE, PHONE[3:], "139123", EMAIL, "canary", EXTERNAL, "CANARY-77"]


@pytest_asyncio.fixture(loop_scope="module")
async def masked(world: World) -> AsyncIterator[tuple[str, str]]:
    """A customer with contact data, and the token of somebody who may do everything but read it."""
    permissions = dict.fromkeys(("customers:read", "customers:write", "purchases:read", "classes:read"), "all")
    _, token = await world.service.user(permissions | DEFINITIONS)
    customer_id = await world.placed(None, None, **CONTACT)
    yield customer_id, token
    await world.service.fetch("DELETE FROM customer WHERE id = $1", UUID(customer_id))


def _masked(answer: Answer) -> None:
    assert answer.status < 300, answer.body
    text = answer.body.decode()
    assert not [canary for canary in CANARIES if canary in text], text


async def test_contact_data_is_masked_wherever_a_customer_is_shown(world: World, masked: tuple[str, str]) -> None:
    customer_id, token = masked
    send = world.service.send
    path = f"/v1/customers/{customer_id}"
    shown = await send("GET", path, token=token)
    _masked(shown)
    assert shown.json()["phone"] == "+86139****5678"
    assert shown.json()["email"] == "c***@example.com"
    assert shown.json()["identities"][0]["value"] == "E***"
    for query in ("limit=200", "sort=name"):
        _masked(await send("GET", "/v1/customers", token=token, query=query))
    _masked(
        await send("POST", "/v1/customers/search", token=token, body={"where": {"not": {"tag": "x"}}, "limit": 200})
    )
    name = (await send("GET", f"{path}/classes/lifecycle", token=world.service.tokens["admin"])).json()["class"]
    _masked(await send("GET", f"/v1/schemes/lifecycle/classes/{name}/customers", token=token, query="limit=200"))
    file = await send("GET", f"/v1/schemes/lifecycle/classes/{name}/export", token=token)
    _masked(file)
    assert "c***@example.com" in file.body.decode()
    _masked(await send("PATCH", path, token=token, body={"title": "Dr."}))
    another = {"kind": "external", "value": EXTERNAL + "-2"}
    _masked(await send("POST", f"{path}/identities", token=token, body=another))
    created = {**CONTACT, "name": "x", "identities": [{"kind": "external", "value": EXTERNAL + "-3"}]}
    _masked(await send("POST", "/v1/customers", token=token, body=created))
    for each in ("classes", "metrics", "portrait", "purchases", "timeline"):
        _masked(await send("GET", f"{path}/{each}", token=token))


@pytest.mark.parametrize(
    "where",
    [
        {"field": "phone", "op": "eq", "value": PHONE},
        {"field": "email", "op": "contains", "value": "canary"},
        {"not": {"field": "phone", "op": "is_null", "value": True}},
        {"any": [{"tag": "x"}, {"all": [{"field": "email", "op": "is_null", "value": False}]}]},
    ],
    ids=str,
)
async def test_nobody_searches_by_contact_data_that_is_masked_for_them(
    world: World, masked: tuple[str, str], where: dict[str, Any]
) -> None:
    _, token = masked
    refused(await world.service.send("POST", "/v1/customers/search", token=token, body={"where": where}), 403)


async def test_nobody_filters_or_sorts_by_contact_data_that_is_masked_for_them(
    world: World, masked: tuple[str, str]
) -> None:
    _, token = masked
    for kind, value in [("external", EXTERNAL), ("phone", PHONE), ("external", "nobody's")]:
        refused(await world.service.get("/v1/customers", token, identity=f"{kind}:{value}"), 403)
    for sort in ("phone", "-email"):
        refused(await world.service.get("/v1/customers", token, sort=sort), 422)


async def test_a_refusal_does_not_show_another_customers_contact_data(world: World, masked: tuple[str, str]) -> None:
    _, token = masked
    taken = {"name": "x", "identities": CONTACT["identities"]}
    answer = await world.service.send("POST", "/v1/customers", token=token, body=taken)
    refused(answer, 409)
    assert EXTERNAL not in answer.body.decode()


async def test_contact_data_is_clear_only_as_far_as_its_own_scope_reaches(world: World) -> None:
    user_id, token = await world.service.user({"customers:read": "all", "customers:read_contact": "own"})
    value = uuid.uuid4().hex
    mine = await world.placed(user_id, "west", phone=PHONE, identities=[{"kind": "external", "value": f"M-{value}"}])
    others = await world.placed(
        world.other, "west", phone=PHONE, identities=[{"kind": "external", "value": f"O-{value}"}]
    )
    assert (await world.service.get(f"/v1/customers/{mine}", token)).json()["phone"] == PHONE
    _masked(await world.service.get(f"/v1/customers/{others}", token))
    by_phone = {"where": {"field": "phone", "op": "eq", "value": PHONE}, "limit": 200}
    found = (await world.service.send("POST", "/v1/customers/search", token=token, body=by_phone)).json()["items"]
    assert [each["id"] for each in found] == [mine], "what is masked can be found out by asking"
    hidden = await world.service.get("/v1/customers", token, identity=f"external:O-{value}")
    assert hidden.json()["items"] == []
    clear = await world.service.get("/v1/customers", token, identity=f"external:M-{value}")
    assert [each["id"] for each in clear.json()["items"]] == [mine]
    listed = (await world.service.get("/v1/customers", token, limit="200")).json()["items"]
    assert {each["id"] for each in listed if each["phone"] == PHONE} == {mine}
