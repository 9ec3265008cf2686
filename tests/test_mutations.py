"""Each check of access is taken away, one after the other: a test of the matrix must fail without it.

`make mutate` lists them; one that fails here is a check that nothing would miss.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import Request
from fastapi.routing import APIRoute

from app import features
from app.identity import access
from app.identity.actor import Actor, Scope
from tests.test_access_matrix import (
    PROTECTED,
)
from tests.test_access_matrix import (
    test_a_route_of_a_customer_reaches_as_far_as_the_scope as of_a_customer,
)
from tests.test_access_matrix import (
    test_without_the_permission_nothing_is_shown_or_changed as without_the_permission,
)
from tests.test_masking import CONTACT
from tests.test_masking import test_contact_data_is_masked_wherever_a_customer_is_shown as masked_wherever_shown
from tests.world import DEFINITIONS, OF_A_CUSTOMER, World, company, permission_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
CHECKS = {
    route.unique_id: each.call
    for feature in features.FEATURES
    for router in feature.routers
    for route in router.routes
    if isinstance(route, APIRoute)
    for each in route.dependant.dependencies
    if isinstance(each.call, access.Requires)
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


@pytest.mark.parametrize("name", [name for name in PROTECTED if permission_of(name)])
async def test_a_permission_that_is_not_asked_for_is_missed(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked = access.Requires.__call__

    async def call(self: access.Requires, request: Request) -> Actor:
        return await (access.Authenticated.__call__ if self is CHECKS[name] else asked)(self, request)

    monkeypatch.setattr(access.Requires, "__call__", call)
    with pytest.raises(AssertionError):
        await without_the_permission(world, name)


@pytest.mark.parametrize("name", OF_A_CUSTOMER)
async def test_a_scope_that_is_not_kept_is_missed(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _reaching_all(monkeypatch, str(permission_of(name)))
    with pytest.raises(AssertionError):
        await of_a_customer(world, name, "own")


async def test_a_mask_that_is_not_put_on_is_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    permissions = dict.fromkeys(("customers:read", "customers:write", "purchases:read", "classes:read"), "all")
    _, token = await world.service.user(permissions | DEFINITIONS)
    customer_id = await world.placed(None, None, **CONTACT)
    _reaching_all(monkeypatch, "customers:read_contact")
    with pytest.raises(AssertionError):
        await masked_wherever_shown(world, (customer_id, token))


def _reaching_all(monkeypatch: pytest.MonkeyPatch, mutated: str) -> None:
    scope: Any = Actor.scope
    reaching = lambda actor, permission: Scope.ALL if permission == mutated else scope(actor, permission)  # noqa: E731
    monkeypatch.setattr(Actor, "scope", reaching)
