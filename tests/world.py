"""A company with units, customers everywhere in it, and a user for every scope: who sees what is asked here."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fastapi.routing import APIRoute

from app import features
from app.identity.access import Requires
from tests.api_operations import OPERATIONS
from tests.document import purchase
from tests.service import Answer, Service, service

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


@asynccontextmanager
async def company() -> AsyncIterator[World]:
    """The company, on a fresh database; whoever joins it is classified at once."""
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
    await purchase(made, await world.placed(None, None))
    answer = await made.send("POST", "/v1/recalculations", token=made.tokens["admin"], body={"refit": True})
    assert answer.status == 202
    await made.run_jobs()


def refused(answer: Answer, status: int) -> None:
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
