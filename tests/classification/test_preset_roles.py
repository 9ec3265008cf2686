"""What the roles that every company starts with may do with schemes: draft, simulate, publish, make segments."""

from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.identity.presets import PRESET_ROLES
from tests.classification import schemes
from tests.classification.schemes import spending
from tests.conftest import MakeUser

PERMISSIONS = {role.key: {name: str(scope) for name, scope in role.permissions.items()} for role in PRESET_ROLES}
NEVER = (403, 403, 403, 403)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("admin", (201, 202, 202, 201)),
        ("executive", (403, 202, 202, 403)),
        ("department_manager", (403, 202, 403, 403)),
        ("analyst", (201, 202, 403, 201)),
        ("marketing", (403, 202, 403, 201)),
        ("team_lead", NEVER),
        ("sales", NEVER),
        ("service", NEVER),
        ("customer", NEVER),
    ],
)
async def test_who_may_draft_simulate_publish_and_make_segments(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser, role: str, expected: tuple[int, ...]
) -> None:
    await schemes.publish(database, "spending", spending())
    drafted = {"document": {**spending(), "default": "none"}}
    assert (await admin.post("/v1/schemes/spending/versions", json=drafted)).status_code == 201
    somebody = await make_user(PERMISSIONS[role])
    path = "/v1/schemes/spending/versions"
    asked: list[tuple[str, dict[str, Any]]] = [
        (path, drafted),
        (f"{path}/2/simulations", {}),
        (f"{path}/2/publish", {}),
        ("/v1/segments", {"key": "friends", "title": "Friends", "static": True}),
    ]
    answers = [await somebody.post(to, json=body) for to, body in asked]
    assert tuple(each.status_code for each in answers) == expected, [each.text for each in answers]
