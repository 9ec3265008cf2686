"""Every route that names something of a customer, or of whoever asked for it, by an id of its own × scope × place.

Made from the router: what an id names lies where its customer does, a key where whoever made it; a file, a move and an
import are those of who asked for them. Beyond that a route answers as if there were no such thing, and changes nothing.
"""

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from tests.api_operations import OPERATIONS, Operation
from tests.document import path_of
from tests.service import Answer
from tests.world import DEFINITIONS, OF_A_CUSTOMER, PLACES, REACHED, SCOPES, World, company, permission_of, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS = "UPDATE customer SET owner_id = $2, unit_id = $3 WHERE id IN "
PLACED = {
    "duplicate_id": CUSTOMERS + "(SELECT unnest(ARRAY[customer_id, other_id]) FROM customer_duplicate WHERE id = $1)",
    "merge_id": CUSTOMERS + "(SELECT customer_id FROM customer_merge WHERE id = $1)",
    "data_request_id": CUSTOMERS + "(SELECT customer_id FROM data_request WHERE id = $1)",
    "invitation_id": CUSTOMERS + "(SELECT customer_id FROM survey_invitation WHERE id = $1)",
    "api_key_id": "UPDATE api_key SET created_by = $2, unit_id = $3 WHERE id = $1",
}
ASKED_FOR = {"export_id", "transfer_id", "import_id"}
"""What somebody asked for: nobody else's business, but for imports that of who may see them all."""


def _naming(parts: set[str]) -> list[str]:
    """Operations of the staff whose path names one of these; which of a customer is asked elsewhere."""
    theirs = [each for each in OPERATIONS.values() if not each.path.startswith("/v1/my/")]
    return [each.name for each in theirs if parts & {*each.path_names} and each.name not in OF_A_CUSTOMER]


OF_SOMEBODY, OF_WHO_ASKED = _naming({*PLACED}), _naming(ASKED_FOR)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """The company, with users who hold the permissions of these routes."""
    async with company() as made:
        needed = {str(permission_of(name)) for name in OF_SOMEBODY + OF_WHO_ASKED}
        # To decide a data request is to hand over or to erase.
        needed |= {"customers:hand_over", "customers:erase", "customers:read_contact", "customers:read"}
        for scope in SCOPES:
            permissions = dict.fromkeys(needed, scope) | DEFINITIONS
            made.users[scope] = await made.service.user(permissions, unit_id=made.units["east"])
        yield made


async def _placed(world: World, operation: Operation, scope: str, place: str) -> str:
    """The path, naming something new in this place, seen from the user of this scope."""
    path = await path_of(world.service, operation)
    owner = world.users[scope][0] if place == "own" else world.other
    unit = {"unit": "east", "subtree": "team", "own": "west", "foreign": "west"}.get(place)
    part = next(name for name in operation.path_names if name in PLACED)
    await world.service.fetch(PLACED[part], _named(operation, path, part), owner, world.units[unit] if unit else None)
    return path


def _named(operation: Operation, path: str, part: str) -> UUID:
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", operation.path)
    match = re.fullmatch(pattern, path)
    assert match is not None, path
    return UUID(match[part])


async def _ask(world: World, operation: Operation, path: str, scope: str) -> Answer:
    return await world.service.send(operation.method, path, token=world.users[scope][1], **operation.options())


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", OF_SOMEBODY)
async def test_what_is_named_is_reached_where_its_customer_or_its_maker_is(world: World, name: str, scope: str) -> None:
    operation = OPERATIONS[name]
    paths = {place: await _placed(world, operation, scope, place) for place in PLACES}
    before = await world.service.digest()
    for place in PLACES:
        if place not in REACHED[scope]:
            refused(await _ask(world, operation, paths[place], scope), 404)
    assert await world.service.digest() == before
    for place in REACHED[scope]:
        answer = await _ask(world, operation, paths[place], scope)
        assert answer.status in (200, 201, 204), (place, answer.status, answer.body)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", OF_WHO_ASKED)
async def test_what_somebody_asked_for_is_nobody_elses(world: World, name: str, scope: str) -> None:
    operation = OPERATIONS[name]
    path = await path_of(world.service, operation)
    before = await world.service.digest()
    answer = await _ask(world, operation, path, scope)
    if scope == "all" and "import_id" in operation.path_names:
        assert answer.status in (200, 202, 204), (answer.status, answer.body)
        return
    refused(answer, 404)
    assert await world.service.digest() == before
