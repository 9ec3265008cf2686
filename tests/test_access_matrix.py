"""Every route, every caller, every place: one sees and changes what one's role reaches, and nothing else.

Made from the router: a new route is in the matrix without being named.
"""

import json
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from app import features
from app.identity.access import Requires
from tests.document import OPERATIONS, Operation, path_of
from tests.service import Answer, Service, service

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPES = ["own", "unit", "subtree", "all"]
PLACES = ["own", "unit", "subtree", "foreign", "nowhere"]
REACHED = {
    "own": {"own"},
    "unit": {"own", "unit"},
    "subtree": {"own", "unit", "subtree"},
    "all": set(PLACES),
}
DEFINITIONS = {"schemes:read": "all", "exchange_rates:read": "all"}


def permission_of(name: str) -> str | None:
    """The permission that the route of this operation declares."""
    for feature in features.FEATURES:
        for router in feature.routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and route.unique_id == name:
                    return next(
                        (d.call.permission for d in route.dependant.dependencies if isinstance(d.call, Requires)), None
                    )
    raise AssertionError(name)


PROTECTED = [operation.name for operation in OPERATIONS.values() if not operation.is_public]
OF_A_CUSTOMER = [operation.name for operation in OPERATIONS.values() if "customer_id" in operation.path_names]


@dataclass
class World:
    """A company: head office, an eastern unit with a team below it, a western unit; a user of the east per scope."""

    service: Service
    units: dict[str, UUID]
    users: dict[str, tuple[UUID, str]] = field(default_factory=dict)
    other: UUID | None = None

    async def customer(self, scope: str, place: str, **fields: Any) -> str:
        """A new customer, as it lies seen from the user of this scope."""
        user_id = self.users[scope][0]
        owner = {"own": user_id, "nowhere": None}.get(place, self.other)
        unit = {"unit": "east", "subtree": "team", "own": "west", "foreign": "west"}.get(place)
        return await self.placed(owner, unit, **fields)

    async def placed(self, owner: UUID | None, unit: str | None, **fields: Any) -> str:
        body = {"name": f"n{uuid.uuid4().hex}", **fields}
        answer = await self.service.send("POST", "/v1/customers", token=self.service.tokens["admin"], body=body)
        assert answer.status == 201, answer.body
        customer_id = str(answer.json()["id"])
        await self.service.fetch(
            "UPDATE customer SET owner_id = $2, unit_id = $3 WHERE id = $1",
            UUID(customer_id),
            owner,
            self.units[unit] if unit else None,
        )
        return customer_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with service() as made:
        units = {"head": made.unit_id}
        for name, parent in [("east", "head"), ("team", "east"), ("west", "head")]:
            body = {"name": name, "parent_id": str(units[parent])}
            answer = await made.send("POST", "/v1/units", token=made.tokens["admin"], body=body)
            units[name] = UUID(answer.json()["id"])
        world = World(made, units)
        world.other = (await made.user({}, unit_id=units["west"]))[0]
        needed = {str(permission_of(name)) for name in OF_A_CUSTOMER} | {"customers:read_contact", "customers:read"}
        for scope in SCOPES:
            permissions = dict.fromkeys(needed, scope) | DEFINITIONS
            world.users[scope] = await made.user(permissions, unit_id=units["east"])
        await _classified(world)
        yield world


async def _classified(world: World) -> None:
    """Breakpoints, so that whoever comes next is classified at once."""
    made = world.service
    body = {"occurred_at": "2026-01-02T03:04:05Z", "amount": "1"}
    await made.send(
        "POST", f"/v1/customers/{await world.placed(None, None)}/purchases", token=made.tokens["admin"], body=body
    )
    answer = await made.send("POST", "/v1/recalculations", token=made.tokens["admin"], body={"refit": True})
    assert answer.status == 202
    await made.run_jobs()


def refused(answer: Answer, status: int) -> None:
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/problem+json"


async def ask(world: World, operation: Operation, path: str, token: str | None, **changes: Any) -> Answer:
    return await world.service.send(operation.method, path, token=token, **operation.options(**changes))


# ---- who is nobody ---------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strangers(world: World) -> dict[str, str | None]:
    """Credentials that are none."""
    made = world.service
    out = {"no token": None, "garbage": "garbage", "a key that is none": "strata_0123456789ab_" + "x" * 43}
    out["expired token"] = await made.token("admin", timedelta(seconds=-1))
    out["token of a session that was ended"] = ended = await made.token("admin")
    refused_by = await made.send("POST", "/v1/auth/logout", token=ended)
    assert refused_by.status == 204
    for name, spoilt in [("revoked key", "revoked_at = now()"), ("expired key", "expires_at = now()")]:
        body = {"name": name, "permissions": {"*": "all"}}
        key = (await made.send("POST", "/v1/api-keys", token=made.tokens["admin"], body=body)).json()
        await made.fetch(f"UPDATE api_key SET {spoilt} WHERE id = $1", UUID(key["id"]))
        out[name] = key["key"]
    _, out["token of an inactive user"] = inactive = await made.user({"*": "all"})
    await made.fetch("UPDATE user_account SET active = false WHERE id = $1", inactive[0])
    return out


@pytest.mark.parametrize("name", PROTECTED)
async def test_without_a_credential_that_holds_nothing_is_shown_or_changed(
    world: World, strangers: dict[str, str | None], name: str
) -> None:
    operation = OPERATIONS[name]
    path = await path_of(world.service, operation)
    before = await world.service.digest()
    for credential in strangers.values():
        answer = await ask(world, operation, path, credential)
        refused(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert await world.service.digest() == before


@pytest.mark.parametrize("name", [name for name in PROTECTED if permission_of(name)])
async def test_without_the_permission_nothing_is_shown_or_changed(world: World, name: str) -> None:
    operation = OPERATIONS[name]
    permission = permission_of(name)
    everything_else = {
        other: "all" for each in PROTECTED if (other := permission_of(each)) is not None and other != permission
    }
    _, without = await world.service.user(everything_else)
    _, with_nothing = await world.service.user({})
    body = {"name": "a service", "permissions": everything_else}
    key = (await world.service.send("POST", "/v1/api-keys", token=world.service.tokens["admin"], body=body)).json()[
        "key"
    ]
    path = await path_of(world.service, operation)
    await world.service.send("GET", "/v1/me", token=key)  # its use is noted once a minute
    before = await world.service.digest()
    for token in (without, with_nothing, key):
        answer = await ask(world, operation, path, token)
        refused(answer, 403)
        assert str(permission) in answer.body.decode()
    assert await world.service.digest() == before


async def test_public_routes_are_the_known_few() -> None:
    assert {name for name in OPERATIONS if name not in PROTECTED} == {"issue_token", "refresh_token"}


# ---- whose customers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", OF_A_CUSTOMER)
async def test_a_route_of_a_customer_reaches_as_far_as_the_scope(world: World, name: str, scope: str) -> None:
    requests = {place: await _request(world, OPERATIONS[name], scope, place) for place in PLACES}
    before = await world.service.digest()
    for place in PLACES:
        if place not in REACHED[scope]:
            refused(await requests[place](), 404)
    assert await world.service.digest() == before
    for place in REACHED[scope]:
        answer = await requests[place]()
        assert answer.status in (200, 201, 204), (place, answer.status, answer.body)
    if OPERATIONS[name].method == "GET":
        assert await world.service.digest() == before, "a GET changed something"


async def _request(world: World, operation: Operation, scope: str, place: str) -> Callable[[], Awaitable[Answer]]:
    """The operation, asked by the user of this scope of a new customer in this place."""
    external = f"C-{uuid.uuid4().hex}"
    customer_id = await world.customer(scope, place, identities=[{"kind": "external", "value": external}])
    changes = {"value": f"C-{uuid.uuid4().hex}"} if operation.name == "add_identity" else {}
    return partial(
        world.service.send,
        operation.method,
        operation.at(customer_id=customer_id, key="lifecycle"),
        token=world.users[scope][1],
        query=f"kind=external&value={external}" if operation.name == "remove_identity" else "",
        **operation.options(**changes),
    )


@pytest.mark.parametrize("scope", ["own", "unit", "subtree"])
async def test_a_customer_cannot_be_put_out_of_ones_own_reach_nor_taken_from_others(world: World, scope: str) -> None:
    _, token = world.users[scope]
    mine = await world.customer(scope, "own")
    away = {"owner_id": str(world.other), "unit_id": str(world.units["west"])}
    before = await world.service.digest()
    refused(await world.service.send("PATCH", f"/v1/customers/{mine}", token=token, body=away), 403)
    refused(await world.service.send("POST", "/v1/customers", token=token, body={"name": "x", **away}), 403)
    external = f"C-{uuid.uuid4().hex}"
    identities = [{"kind": "external", "value": external}]
    assert await world.service.digest() == before
    await world.customer(scope, "foreign", identities=identities)
    before = await world.service.digest()
    batch = {"customers": [{"name": "mine now", "identities": identities}]}
    refused(await world.service.send("POST", "/v1/customers/batch", token=token, body=batch), 409)
    assert await world.service.digest() == before


async def _all_items(world: World, token: str, path: str, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = (await world.service.get(path, token, limit="7", **query)).json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


async def _searched(world: World, token: str) -> tuple[set[str], int]:
    """Everybody, by a condition that holds for everybody."""
    found: set[str] = set()
    body: dict[str, Any] = {"where": {"not": {"tag": "nobody has this"}}, "limit": 7, "include_total": True}
    while True:
        page = (await world.service.send("POST", "/v1/customers/search", token=token, body=body)).json()
        found |= {each["id"] for each in page["items"]}
        if page["next_cursor"] is None:
            return found, page["total"]
        body["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("seed", range(3))
async def test_get_list_search_and_counts_agree_for_every_scope(world: World, seed: int) -> None:
    reached: dict[str, list[str | None]] = {
        "own": [],
        "unit": ["east"],
        "subtree": ["east", "team"],
        "all": [None, *world.units],
    }
    chance = random.Random(seed)
    owners: list[UUID | None] = [None, world.other, *(user_id for user_id, _ in world.users.values())]
    made = {}
    for _ in range(12):
        owner, unit = chance.choice(owners), chance.choice([None, *world.units])
        customer_id = await world.placed(owner, unit)
        made[customer_id] = (owner, unit)
        purchase = {"occurred_at": "2026-01-02T03:04:05Z", "amount": "1"}
        path = f"/v1/customers/{customer_id}/purchases"
        assert (
            await world.service.send("POST", path, token=world.service.tokens["admin"], body=purchase)
        ).status == 201
    for scope, (user_id, token) in world.users.items():
        units = reached[scope]
        expected = {each for each, (owner, unit) in made.items() if owner == user_id or unit in units}
        listed = {each["id"] for each in await _all_items(world, token, "/v1/customers", sort="name")}
        searched, counted = await _searched(world, token)
        total = (await world.service.get("/v1/customers", token, include="total", limit="1")).json()["total"]
        assert listed & set(made) == expected
        assert listed == searched
        assert len(listed) == counted == total
        got = {each for each in made if (await world.service.get(f"/v1/customers/{each}", token)).status == 200}
        assert got == expected
        bought = {each["customer_id"] for each in await _all_items(world, token, "/v1/purchases")}
        assert bought & set(made) == expected
        counts = (await world.service.get("/v1/schemes/lifecycle/classes", token)).json()["items"]
        assert sum(each["customers"] for each in counts) == len(listed)
        for each in counts:
            path = f"/v1/schemes/lifecycle/classes/{each['class']}/customers"
            assert len(await _all_items(world, token, path)) == each["customers"]


# ---- masked contact data ---------------------------------------------------------------------------------------------

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
    _masked(await send("PATCH", path, token=token, body={"title": "Dr."}))
    another = {"kind": "external", "value": EXTERNAL + "-2"}
    _masked(await send("POST", f"{path}/identities", token=token, body=another))
    created = {**CONTACT, "name": "x", "identities": [{"kind": "external", "value": EXTERNAL + "-3"}]}
    _masked(await send("POST", "/v1/customers", token=token, body=created))
    for each in ("classes", "metrics", "purchases"):
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
    listed = json.loads((await world.service.get("/v1/customers", token, limit="200")).body)["items"]
    assert {each["id"] for each in listed if each["phone"] == PHONE} == {mine}
