"""Every route × every preset role × every place × token and API key: what a role says is what happens.

Made from the router and the presets: a new route, a new role or another scope is in the matrix without being named.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from app import features
from app.identity.actor import EVERYTHING, Scope
from app.identity.presets import PRESET_ROLES
from tests.api_operations import OPERATIONS, Operation
from tests.document import SEGMENTS, membership, path_of, prepared, segment, session_of
from tests.service import Answer
from tests.world import OF_A_CUSTOMER, PLACES, REACHED, World, company, permission_of, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEEDED = {
    name: permission
    for name, operation in OPERATIONS.items()
    if not operation.is_public and (permission := permission_of(name)) is not None
}
OF_A_USER = sorted(name for name in NEEDED if "user_id" in OPERATIONS[name].path_names)
WHOEVER_IS_LOGGED_IN = {"read_me", "change_my_password", "list_my_sessions", "end_my_session", "log_out"}
# What a route asks for beyond what it declares: whoever may propose takes back a proposal, not a decision.
FURTHER = {"end_override": "classes:override"}
MASKS = {"customers:read_contact"}
PARTS_OF_A_USER = {"session_id": session_of, "membership_id": membership}
USERS_IN = {"unit": "east", "subtree": "team", "foreign": "west", "nowhere": None}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody of the eastern unit with a preset role, or a key of that unit with the same permissions."""

    role: str
    credential: str
    owner: UUID | None
    token: str
    permissions: dict[str, Scope]

    def scope(self, permission: str) -> Scope | None:
        return self.permissions.get(EVERYTHING) or self.permissions.get(permission)

    def reaches(self, permission: str) -> set[str]:
        """The places of a permission; a key owns nobody, so what is only its owner's is not its."""
        scope = self.scope(permission)
        places = set(REACHED[scope]) if scope else set()
        return places if self.owner or scope is Scope.ALL else places - {"own"}

    def __str__(self) -> str:
        return f"{self.role} by {self.credential}"


@dataclass
class Presets:
    """The company with a caller for every preset role and credential, and customers to be refused."""

    world: World
    callers: list[Caller]
    customers: dict[tuple[UUID | None, str], str]

    def known(self, caller: Caller, place: str) -> str:
        """A customer of this place, seen from the caller."""
        return self.customers[(caller.owner or self.world.other if place == "own" else None), place]

    async def placed(self, caller: Caller, place: str, **fields: Any) -> str:
        owner = {"own": caller.owner or self.world.other, "nowhere": None}.get(place, self.world.other)
        unit = {"unit": "east", "subtree": "team", "own": "west", "foreign": "west"}.get(place)
        return await self.world.placed(owner, unit, **fields)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def presets() -> AsyncIterator[Presets]:
    async with company() as world:
        made = Presets(world, [caller async for caller in _callers(world)], {})
        for caller in made.callers:
            for place in PLACES:
                key = ((caller.owner or world.other) if place == "own" else None), place
                if key not in made.customers:
                    external = [{"kind": "external", "value": f"C-{uuid.uuid4().hex}"}]
                    made.customers[key] = await made.placed(caller, place, identities=external)
        yield made


async def _callers(world: World) -> AsyncIterator[Caller]:
    service = world.service
    for preset in PRESET_ROLES:
        user_id, username = await service.colleague(preset.key, unit_id=world.units["east"])
        yield Caller(preset.key, "token", user_id, await service.token(username), preset.permissions)
        body = {
            "name": preset.key,
            "permissions": preset.permissions,
            "unit_id": str(world.units["east"]),
        }
        key = await service.send("POST", "/v1/api-keys", token=service.tokens["admin"], body=body)
        assert key.status == 201, key.body
        yield Caller(preset.key, "API key", None, key.json()["key"], preset.permissions)
    # That a key was used is noted once a minute; here that would be a change after a refusal.
    await service.fetch("UPDATE api_key SET last_used_at = now() + interval '1 day'")


async def test_every_route_is_in_the_matrix() -> None:
    of_packages = {
        route.unique_id
        for feature in features.FEATURES
        for router in feature.routers
        for route in router.routes
        if isinstance(route, APIRoute)
    }
    assert of_packages == set(OPERATIONS)
    whoever_is_logged_in = {name for name, each in OPERATIONS.items() if not each.is_public and name not in NEEDED}
    assert whoever_is_logged_in == WHOEVER_IS_LOGGED_IN
    held = {permission for preset in PRESET_ROLES for permission in preset.permissions}
    assert held - set(NEEDED.values()) == MASKS | {EVERYTHING}, "a preset holds what no route checks"


async def _ask(presets: Presets, caller: Caller, operation: Operation, path: str, query: str = "") -> Answer:
    needed: dict[str, dict[str, Any]] = {
        "add_identity": {"value": f"C-{uuid.uuid4().hex}"},
        "transfer_customer": {
            "owner_id": str(caller.owner or presets.world.other),
            "unit_id": str(presets.world.units["east"]),
        },
        "transfer_customers": {"to": {"unit_id": str(presets.world.units["east"])}},
        "put_override": {"expires_at": None},  # the end in its example will have passed some day
    }
    if operation.name == "remove_identity" and not query:
        query = "kind=external&value=nothing"
    options = operation.options(**needed.get(operation.name, {}))
    return await presets.world.service.send(operation.method, path, token=caller.token, query=query, **options)


@pytest.mark.parametrize("name", [name for name in NEEDED if name not in OF_A_CUSTOMER])
async def test_a_route_is_open_to_the_roles_that_hold_its_permission_and_to_no_other(
    presets: Presets, name: str
) -> None:
    operation, permission = OPERATIONS[name], NEEDED[name]
    path = await path_of(presets.world.service, operation)
    before = await presets.world.service.digest()
    for caller in presets.callers:
        if caller.scope(permission) is None:
            answer = await _ask(presets, caller, operation, path)
            refused(answer, 403)
            assert permission in answer.json()["detail"], (str(caller), answer.body)
    assert await presets.world.service.digest() == before
    for caller in presets.callers:
        if caller.scope(permission) is not None:
            answer = await _ask(presets, caller, operation, path)
            assert answer.status not in (401, 500), (str(caller), answer.body)
            if caller.scope(permission) is Scope.ALL:
                assert f"the permission {permission}" not in answer.body.decode(errors="replace"), str(caller)
            if operation.method != "GET":
                path = await path_of(presets.world.service, operation)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_A_CUSTOMER)
async def test_of_a_customer_a_role_reaches_the_places_of_its_scope(presets: Presets, name: str) -> None:
    operation, permission = OPERATIONS[name], NEEDED[name]
    service = presets.world.service
    named = {each: await prepared(service, name, each) for each in presets.customers.values()}
    key = await segment(service) if operation.path.startswith(SEGMENTS) else "lifecycle"
    before = await service.digest()
    for caller, place in _pairs(presets):
        if place in caller.reaches(permission):
            continue
        customer_id = presets.known(caller, place)
        path = operation.at(customer_id=customer_id, key=key, **named[customer_id])
        answer = await _ask(presets, caller, operation, path)
        refused(answer, 404 if caller.scope(permission) else 403)
    assert await service.digest() == before
    for caller, place in _pairs(presets):
        if place not in caller.reaches(permission):
            continue
        if operation.method == "GET":
            customer_id = presets.known(caller, place)
            path = operation.at(customer_id=customer_id, key=key, **named[customer_id])
            answer = await _ask(presets, caller, operation, path)
        else:
            answer = await _changed(presets, caller, operation, place, key)
        if place in caller.reaches(FURTHER.get(name, permission)):
            assert answer.status in (200, 201, 202, 204), (str(caller), place, answer.status, answer.body)
        else:
            refused(answer, 403)


def _pairs(presets: Presets) -> Iterator[tuple[Caller, str]]:
    return ((caller, place) for caller in presets.callers for place in PLACES)


async def _changed(presets: Presets, caller: Caller, operation: Operation, place: str, key: str) -> Answer:
    """The operation on a customer whom it may spoil."""
    external = f"C-{uuid.uuid4().hex}"
    customer_id = await presets.placed(caller, place, identities=[{"kind": "external", "value": external}])
    named = await prepared(presets.world.service, operation.name, customer_id)
    path = operation.at(customer_id=customer_id, key=key, **named)
    query = f"kind=external&value={external}" if operation.name == "remove_identity" else ""
    return await _ask(presets, caller, operation, path, query)


@pytest.mark.parametrize("name", OF_A_USER)
async def test_of_a_user_a_role_reaches_the_places_of_its_scope(presets: Presets, name: str) -> None:
    operation, permission = OPERATIONS[name], NEEDED[name]
    service, units = presets.world.service, presets.world.units
    paths = {}
    for place, unit in USERS_IN.items():
        user_id, _ = await service.user({"customers:read": "own"}, unit_id=units["east"])
        moved = "UPDATE user_account SET unit_id = $2 WHERE id = $1"
        await service.fetch(moved, user_id, None if unit is None else units[unit])
        named = {"user_id": str(user_id)}
        for part, make in PARTS_OF_A_USER.items():
            if part in operation.path_names:
                named[part] = await make(service, f"SELECT '{user_id}'::uuid")
        paths[place] = operation.at(**named)
    before = await service.digest()
    for caller in presets.callers:
        for place, path in paths.items():
            if place not in caller.reaches(permission):
                refused(await _ask(presets, caller, operation, path), 404 if caller.scope(permission) else 403)
    assert await service.digest() == before
    for caller in presets.callers:
        for place, path in paths.items():
            if place in caller.reaches(permission):
                answer = await _ask(presets, caller, operation, path)
                assert answer.status != 404 or operation.method == "DELETE", (str(caller), place, answer.body)
                assert answer.status not in (401, 500), (str(caller), place, answer.body)
