"""Every route, every caller, every place: one sees and changes what one's role reaches, and nothing else.

Made from the router: a new route is in the matrix without being named.
"""

import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from tests.api_operations import OPERATIONS, Operation
from tests.document import SEGMENTS, path_of, prepared, segment
from tests.service import Answer
from tests.world import OF_A_CUSTOMER, PLACES, REACHED, SCOPES, World, company, permission_of, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTECTED = [operation.name for operation in OPERATIONS.values() if not operation.is_public]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


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
        assert answer.json()["detail"] == f"This needs the permission {permission}", "not at the door"
    assert await world.service.digest() == before


async def test_public_routes_are_the_known_few() -> None:
    assert {name for name in OPERATIONS if name not in PROTECTED} == {
        "issue_token",
        "refresh_token",
        "open_survey_link",
        "answer_survey_link",
        "accept_invitation",
    }


# ---- whose customers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", OF_A_CUSTOMER)
async def test_a_route_of_a_customer_reaches_as_far_as_the_scope(world: World, name: str, scope: str) -> None:
    requests = {place: await _request(world, OPERATIONS[name], scope, place) for place in PLACES}
    before, besides = [await world.service.digest(but=but) for but in ([], ["audit_event"])]
    for place in PLACES:
        if place not in REACHED[scope]:
            refused(await requests[place](), 404)
    assert await world.service.digest() == before
    for place in REACHED[scope]:
        answer = await requests[place]()
        assert answer.status in (200, 201, 204), (place, answer.status, answer.body)
    if OPERATIONS[name].method == "GET":
        # That contact data was shown is written down.
        assert await world.service.digest(but=["audit_event"]) == besides, "a GET changed something"


async def _request(world: World, operation: Operation, scope: str, place: str) -> Callable[[], Awaitable[Answer]]:
    """The operation, asked by the user of this scope of a new customer in this place."""
    external = f"C-{uuid.uuid4().hex}"
    customer_id = await world.customer(scope, place, identities=[{"kind": "external", "value": external}])
    named = await prepared(world.service, operation.name, customer_id)
    needed: dict[str, dict[str, Any]] = {
        "add_identity": {"value": f"C-{uuid.uuid4().hex}"},
        "transfer_customer": {"owner_id": str(world.users[scope][0]), "unit_id": str(world.units["east"])},
        "put_override": {"expires_at": None},  # the end in its example will have passed some day
    }
    key = await segment(world.service) if operation.path.startswith(SEGMENTS) else "lifecycle"
    return partial(
        world.service.send,
        operation.method,
        operation.at(customer_id=customer_id, key=key, **named),
        token=world.users[scope][1],
        query=f"kind=external&value={external}" if operation.name == "remove_identity" else "",
        **operation.options(**needed.get(operation.name, {})),
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
        call, path = {**purchase, "kind": "call"}, f"/v1/customers/{customer_id}/interactions"
        del call["amount"]
        assert (await world.service.send("POST", path, token=world.service.tokens["admin"], body=call)).status == 201
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
        met = {each["customer_id"] for each in await _all_items(world, token, "/v1/interactions")}
        assert met & set(made) == expected
        counts = (await world.service.get("/v1/schemes/lifecycle/classes", token)).json()["items"]
        assert sum(each["customers"] for each in counts) == len(listed)
        for each in counts:
            path = f"/v1/schemes/lifecycle/classes/{each['class']}/customers"
            assert len(await _all_items(world, token, path)) == each["customers"]
