"""Every route × every preset role × every credential that held once and holds no more: nothing is shown or changed.

One installation, and one fingerprint for all requests of a kind; what changed the tables is looked for only then.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
import pytest_asyncio

from app.identity.presets import PRESET_ROLES, PresetRole
from tests.api_operations import OPERATIONS
from tests.document import path_of
from tests.service import Answer, Service
from tests.world import company, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

Ask = Callable[[], Awaitable[Answer]]


@dataclass
class Installation:
    """A company, and the path of every route that asks who is there, each parameter naming something."""

    service: Service
    paths: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with company() as world:
        protected = [operation for operation in OPERATIONS.values() if not operation.is_public]
        yield Installation(world.service, {each.name: await path_of(world.service, each) for each in protected})


async def _expired_token(service: Service, preset: PresetRole) -> str:
    _, username = await service.colleague(preset.key)
    assert (await service.get("/v1/me", await service.token(username))).status == 200
    return await service.token(username, timedelta(seconds=-1))


async def _token_of_an_ended_session(service: Service, preset: PresetRole) -> str:
    token = await _token(service, preset)
    assert (await service.send("POST", "/v1/auth/logout", token=token)).status == 204
    return token


async def _token_of_whoever_was_sent_away(service: Service, preset: PresetRole) -> str:
    token = await _token(service, preset)
    path = f"/v1/users/{(await service.get('/v1/me', token)).json()['id']}"
    version = (await service.get(path, service.tokens["admin"])).headers["etag"]
    body, headers = {"active": False}, {"If-Match": version}
    away = await service.send("PATCH", path, token=service.tokens["admin"], body=body, headers=headers)
    assert away.status == 200, away.body
    return token


async def _expired_key(service: Service, preset: PresetRole) -> str:
    key_id, key = await _key(service, preset)
    # The clock's work, done before the key is presented: nothing forgets a key for the passing of time alone.
    await service.fetch("UPDATE api_key SET expires_at = now() WHERE id = $1", UUID(key_id))
    return key


async def _revoked_key(service: Service, preset: PresetRole) -> str:
    key_id, key = await _key(service, preset)
    assert (await service.get("/v1/me", key)).status == 200
    gone = await service.send("DELETE", f"/v1/api-keys/{key_id}", token=service.tokens["admin"])
    assert gone.status == 204, gone.body
    return key


async def _key_rotated_out(service: Service, preset: PresetRole) -> str:
    key_id, key = await _key(service, preset)
    assert (await service.get("/v1/me", key)).status == 200
    path = f"/v1/api-keys/{key_id}/rotate"
    rotated = await service.send("POST", path, token=service.tokens["admin"], body={"grace_hours": 0})
    assert rotated.status == 200, rotated.body
    return key


async def _token(service: Service, preset: PresetRole) -> str:
    """A token that holds, and was used: whoever remembers callers remembers this one."""
    _, username = await service.colleague(preset.key)
    token = await service.token(username)
    assert (await service.get("/v1/me", token)).status == 200
    return token


async def _key(service: Service, preset: PresetRole) -> tuple[str, str]:
    body = {"name": uuid.uuid4().hex, "permissions": preset.permissions, "unit_id": str(service.unit_id)}
    made = await service.send("POST", "/v1/api-keys", token=service.tokens["admin"], body=body)
    assert made.status == 201, made.body
    return made.json()["id"], made.json()["key"]


SPENT = {
    "expired token": _expired_token,
    "token of an ended session": _token_of_an_ended_session,
    "token of whoever was sent away": _token_of_whoever_was_sent_away,
    "expired key": _expired_key,
    "revoked key": _revoked_key,
    "key rotated out": _key_rotated_out,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SPENT))
async def test_what_held_once_opens_no_route_to_any_role(installation: Installation, kind: str) -> None:
    service = installation.service
    asked: dict[str, Ask] = {}
    for preset in PRESET_ROLES:
        credential = await SPENT[kind](service, preset)
        for name, path in installation.paths.items():
            operation = OPERATIONS[name]
            options = operation.options()
            asked[f"{name} as {preset.key}"] = partial(
                service.send, operation.method, path, token=credential, **options
            )
    before = await service.digest()
    for each, ask in asked.items():
        answer = await ask()
        assert answer.status == 401, (each, answer.status, answer.body)
        refused(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer", each
    if await service.digest() != before:
        pytest.fail(f"changed by {await _culprit(service, list(asked.items()))}")


async def _culprit(service: Service, asked: Sequence[tuple[str, Ask]]) -> str:
    """Which request changes the tables, by halves: the last one, where a change is made but once."""
    while len(asked) > 1:
        half = asked[: len(asked) // 2]
        before = await service.digest()
        for _, ask in half:
            await ask()
        asked = half if await service.digest() != before else asked[len(half) :]
    return asked[0][0]
