"""A customer's timeline: what every package knows of it, in one order, as far as one may read each."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.conftest import MakeUser
from tests.customers.customers import create, pointers

NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


@pytest.fixture
async def path(admin: httpx.AsyncClient) -> str:
    """A customer with three purchases, one of them given back, four interactions at the same instants, and classes."""
    path = f"/v1/customers/{(await create(admin))['id']}"
    for n in range(3):
        at = (NOON - timedelta(days=n)).isoformat()
        body = {"occurred_at": at, "amount": f"{n}.5", "order_ref": f"SO-{n}", "kind": ("purchase", "refund")[n == 1]}
        assert (await admin.post(f"{path}/purchases", json=body)).status_code == 201
        for kind in ("call", "email")[: n + 1]:
            call = {"occurred_at": at, "kind": kind, "subject": f"About {n}"}
            assert (await admin.post(f"{path}/interactions", json=call)).status_code == 201
    return path


async def entries(client: httpx.AsyncClient, path: str, *kinds: str, limit: int = 200) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": limit, "kind": kinds}
    while True:
        answer = await client.get(f"{path}/timeline", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        assert len(page["items"]) == limit
        params["cursor"] = page["next_cursor"]


async def test_everything_is_on_it_the_latest_first(admin: httpx.AsyncClient, path: str) -> None:
    found = await entries(admin, path)
    assert all(one["at"] >= other["at"] for one, other in pairwise(found))
    recorded = {
        kind: {each["id"] for each in (await admin.get(f"{path}/{kind}s")).json()["items"]}
        for kind in ("purchase", "interaction")
    }
    for kind, ids in recorded.items():
        assert {each["id"] for each in found if each["kind"] == kind} == ids
    classes = {each["scheme"]: each["class"] for each in (await admin.get(f"{path}/classes")).json()["items"]}
    latest: dict[str, str] = {}
    for each in reversed([each["details"] for each in found if each["kind"] == "class_change"]):
        latest[each["scheme"]] = each["to"]
    assert latest == classes
    (refund,) = [each["details"] for each in found if each["details"].get("kind") == "refund"]
    assert refund == {"kind": "refund", "amount": "1.50", "currency": "CNY", "order_ref": "SO-1"}
    call = next(each["details"] for each in found if each["details"].get("kind") == "call")
    nothing = dict.fromkeys(("direction", "outcome", "matter"))
    assert call == {"kind": "call", "subject": "About 0", **nothing}


async def test_pages_of_any_size_are_the_whole(admin: httpx.AsyncClient, path: str) -> None:
    whole = await entries(admin, path)
    assert len({(each["kind"], each["id"]) for each in whole}) == len(whole)
    for limit in (1, 2, 3):
        assert await entries(admin, path, limit=limit) == whole


async def test_it_is_filtered_by_kinds(admin: httpx.AsyncClient, path: str) -> None:
    whole = await entries(admin, path)
    for kinds in (["purchase"], ["interaction", "class_change"], ["purchase", "interaction"]):
        expected = [each for each in whole if each["kind"] in kinds]
        assert await entries(admin, path, *kinds, limit=2) == expected
    assert pointers(await admin.get(f"{path}/timeline", params={"kind": "dream"})) == ["/query/kind"]
    first = (await admin.get(f"{path}/timeline", params={"limit": 1})).json()["next_cursor"]
    assert (await admin.get(f"{path}/timeline", params={"kind": "purchase", "cursor": first})).status_code == 422


async def test_what_one_may_not_read_is_not_on_it(admin: httpx.AsyncClient, make_user: MakeUser, path: str) -> None:
    permissions = {"interaction": "interactions:read", "purchase": "purchases:read", "class_change": "classes:read"}
    whole = await entries(admin, path)
    for kind, permission in permissions.items():
        reader = await make_user({"customers:read": "all", permission: "all"})
        assert await entries(reader, path) == [each for each in whole if each["kind"] == kind]
    nothing = await make_user({"customers:read": "all"})
    assert await entries(nothing, path) == []
    of_others = await make_user({"customers:read": "all", "purchases:read": "own", "interactions:read": "all"})
    assert {each["kind"] for each in await entries(of_others, path)} == {"interaction"}
    stranger = await make_user({"customers:read": "own", **dict.fromkeys(permissions.values(), "all")})
    assert (await stranger.get(f"{path}/timeline")).status_code == 404
