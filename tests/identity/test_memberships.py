"""Several units per person, each for some days: what one sees follows the memberships of today."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.core import clock
from app.identity.memberships import today
from tests.conftest import MakeUser
from tests.identity.people import MakePerson, MakeRole, MakeUnit, Person

DAY = timedelta(days=1)
Sees = Callable[[], Awaitable[set[str]]]


async def joined(who: Any, user_id: str, unit_id: str, status: int = 201, **days: Any) -> httpx.Response:
    """What comes of putting the user into the unit for these days."""
    path, body = f"/v1/users/{user_id}/memberships", {"unit_id": unit_id, **days}
    answer: httpx.Response = await (
        who.ask("POST", path, json=body) if isinstance(who, Person) else who.post(path, json=body)
    )
    assert answer.status_code == status, answer.text
    return answer


def iso(offset: int) -> str:
    return (today() + offset * DAY).isoformat()


@pytest.fixture
async def seller(
    admin: httpx.AsyncClient, make_unit: MakeUnit, make_role: MakeRole, make_person: MakePerson
) -> tuple[Person, dict[str, str], Sees]:
    """Somebody of the east who sees whole units, the units, and the names of the customers that she sees."""
    units = {"east": await make_unit("East")}
    units["west"] = await make_unit("West")
    units["harbour"] = await make_unit("Harbour", units["west"])
    for name, unit_id in units.items():
        made = await admin.post("/v1/customers", json={"name": name, "unit_id": unit_id})
        assert made.status_code == 201, made.text
    person = await make_person(await make_role({"customers:read": "unit"}), unit_id=units["east"])

    async def sees() -> set[str]:
        listed = await person.ask("GET", "/v1/customers")
        assert listed.status_code == 200, listed.text
        return {each["name"] for each in listed.json()["items"]}

    return person, units, sees


@pytest.mark.parametrize(
    ("starts", "ends", "member"),
    [
        (None, None, True),
        (0, 0, True),
        (-3, 0, True),
        (0, 5, True),
        (-3, -1, False),
        (1, 5, False),
        (1, None, False),
        (-300, None, True),
    ],
)
async def test_what_one_sees_follows_the_memberships_of_today(
    admin: httpx.AsyncClient,
    seller: tuple[Person, dict[str, str], Sees],
    starts: int | None,
    ends: int | None,
    member: bool,
) -> None:
    person, units, sees = seller
    assert await sees() == {"east"}
    days: dict[str, Any] = {
        "starts_on": None if starts is None else iso(starts),
        "ends_on": None if ends is None else iso(ends),
    }
    made = (await joined(admin, person.id, units["west"], **days)).json()
    assert made["starts_on"] == (days["starts_on"] or iso(0))
    assert made["ends_on"] == days["ends_on"]
    assert await sees() == ({"east", "west"} if member else {"east"})
    mine = (await person.ask("GET", "/v1/me")).json()["units"]
    assert {each["name"] for each in mine} == ({"East", "West"} if member else {"East"})
    gone = await admin.delete(f"/v1/users/{person.id}/memberships/{made['id']}")
    assert gone.status_code == 204, gone.text
    assert await sees() == {"east"}


async def test_a_subtree_begins_at_every_unit_one_is_in(
    admin: httpx.AsyncClient,
    seller: tuple[Person, dict[str, str], Sees],
    make_role: MakeRole,
    make_person: MakePerson,
) -> None:
    person, units, sees = seller
    key = await make_role({"customers:read": "subtree"})
    assert (await admin.patch(f"/v1/users/{person.id}", json={"roles": [key]})).status_code == 200
    assert await sees() == {"east"}
    other = await make_person(key, unit_id=units["east"])
    await joined(admin, other.id, units["west"])
    assert await sees() == {"east"}, "somebody else's membership"
    await joined(admin, person.id, units["west"])
    assert await sees() == {"east", "west", "harbour"}


async def test_a_membership_ends_with_its_last_day_also_for_who_is_remembered(
    admin: httpx.AsyncClient, seller: tuple[Person, dict[str, str], Sees], monkeypatch: pytest.MonkeyPatch
) -> None:
    person, units, sees = seller
    await joined(admin, person.id, units["west"], ends_on=iso(0))
    await joined(admin, person.id, units["harbour"], starts_on=iso(1))
    person.keep_token()
    assert await sees() == {"east", "west"}
    midnight, real = clock.start_of_day(today() + DAY), clock.now
    shift = midnight + timedelta(seconds=1) - real()
    monkeypatch.setattr(clock, "now", lambda: real() + shift)
    assert await sees() == {"east", "harbour"}


async def test_memberships_of_one_unit_do_not_overlap_and_are_listed_shortened_and_taken_back(
    admin: httpx.AsyncClient, seller: tuple[Person, dict[str, str], Sees]
) -> None:
    person, units, sees = seller
    path = f"/v1/users/{person.id}/memberships"
    first = await joined(admin, person.id, units["west"], starts_on=iso(-9), ends_on=iso(3))
    overlapping = await joined(admin, person.id, units["west"], 409, starts_on=iso(3))
    assert overlapping.json()["type"].endswith(":membership-overlaps")
    second = await joined(admin, person.id, units["west"], starts_on=iso(4))
    await joined(admin, person.id, units["harbour"], starts_on=iso(-9), ends_on=iso(3))
    listed = (await admin.get(path, params={"limit": 2})).json()
    rest = (await admin.get(path, params={"limit": 2, "cursor": listed["next_cursor"]})).json()
    assert [each["unit_id"] for each in listed["items"] + rest["items"]] == [
        units["harbour"],
        units["west"],
        units["west"],
    ]
    one = f"{path}/{first.json()['id']}"
    assert (await admin.patch(one, json={"ends_on": iso(4)})).status_code == 409
    assert (await admin.patch(one, json={"ends_on": iso(-10)})).status_code == 422
    shortened = await admin.patch(one, json={"ends_on": iso(-1)}, headers={"If-Match": first.headers["etag"]})
    assert (shortened.json()["ends_on"], shortened.json()["version"]) == (iso(-1), 2)
    assert await sees() == {"east", "harbour"}
    stale = {"If-Match": first.headers["etag"]}
    assert (await admin.patch(one, json={"ends_on": iso(0)}, headers=stale)).status_code == 412
    assert (await admin.delete(one, headers=stale)).status_code == 412
    assert (await admin.patch(one, json={})).json() == shortened.json()
    other = f"/v1/users/{(await admin.get('/v1/me')).json()['id']}/memberships/{second.json()['id']}"
    assert [(await admin.delete(other)).status_code, (await admin.patch(other, json={})).status_code] == [404, 404]
    noted = (await admin.get("/v1/audit", params={"resource": "user", "resource_id": person.id})).json()["items"]
    assert [each["action"] for each in noted][:4] == ["user.unit_changed", *["user.unit_joined"] * 3]


async def test_a_unit_that_is_not_there_and_days_in_the_wrong_order_are_refused(
    admin: httpx.AsyncClient, seller: tuple[Person, dict[str, str], Sees]
) -> None:
    person, units, _ = seller
    unknown = await joined(admin, person.id, person.id, 422)
    assert unknown.json()["errors"][0]["pointer"] == "/body/unit_id"
    backwards = await joined(admin, person.id, units["west"], 422, starts_on=iso(1), ends_on=iso(0))
    assert backwards.json()["errors"][0]["pointer"] == "/body/ends_on"


async def test_nobody_puts_people_where_that_one_does_not_reach_nor_oneself_anywhere(
    admin: httpx.AsyncClient,
    seller: tuple[Person, dict[str, str], Sees],
    make_role: MakeRole,
    make_person: MakePerson,
) -> None:
    person, units, sees = seller
    rights = {"users:read": "subtree", "users:write": "subtree", "customers:read": "subtree"}
    lead = await make_person(await make_role(rights), unit_id=units["east"])
    await joined(lead, person.id, units["west"], 403)  # not hers
    await joined(lead, lead.id, units["east"], 403)
    lent = await joined(admin, lead.id, units["west"], ends_on=iso(0))
    own = f"/v1/users/{lead.id}/memberships/{lent.json()['id']}"
    assert (await lead.ask("PATCH", own, json={"ends_on": None})).status_code == 403, "a day becomes forever"
    moved = await lead.ask("PATCH", f"/v1/users/{lead.id}", json={"unit_id": units["west"]})
    assert moved.status_code == 403, "a day becomes forever"
    await joined(lead, person.id, units["west"])
    assert await sees() == {"east", "west"}
    helper = await make_person(await make_role({"customers:delete": "unit"}), unit_id=None)
    await joined(admin, helper.id, units["east"])
    escalating = await lead.ask("POST", f"/v1/users/{helper.id}/memberships", json={"unit_id": units["west"]})
    assert escalating.status_code == 404, "read through a membership, changed through the home unit alone"
    await admin.patch(f"/v1/users/{helper.id}", json={"unit_id": units["east"]})
    beyond = await joined(lead, helper.id, units["west"], 403)
    assert beyond.json()["type"].endswith(":escalation")


async def test_rights_in_a_further_unit_count_when_somebody_wants_to_change_the_user(
    admin: httpx.AsyncClient,
    seller: tuple[Person, dict[str, str], Sees],
    make_role: MakeRole,
    make_person: MakePerson,
) -> None:
    person, units, _ = seller
    lead = await make_person(
        await make_role({"users:read": "unit", "users:write": "unit", "customers:read": "unit"}), unit_id=units["east"]
    )
    renamed = {"json": {"name": "Renamed"}}
    assert (await lead.ask("PATCH", f"/v1/users/{person.id}", **renamed)).status_code == 200
    await joined(admin, person.id, units["west"], starts_on=iso(5))
    refused = await lead.ask("PATCH", f"/v1/users/{person.id}", json={"password": "taken over by me"})
    assert (refused.status_code, refused.json()["type"].rsplit(":")[-1]) == (403, "escalation")


async def test_who_is_in_a_unit_for_some_days_is_among_its_people(
    admin: httpx.AsyncClient,
    seller: tuple[Person, dict[str, str], Sees],
    make_user: MakeUser,
) -> None:
    person, units, _ = seller
    reader = await make_user({"users:read": "unit"}, unit_id=units["west"])

    async def shown() -> list[bool]:
        listed = (await reader.get("/v1/users")).json()["items"]
        got = await reader.get(f"/v1/users/{person.id}")
        return [person.id in {each["id"] for each in listed}, got.status_code == 200]

    assert await shown() == [False, False]
    await joined(admin, person.id, units["harbour"])
    assert await shown() == [False, False], "another unit"
    await joined(admin, person.id, units["west"], ends_on=iso(0))
    assert await shown() == [True, True]
    path = f"/v1/users/{person.id}/memberships"
    assert units["west"] in [each["unit_id"] for each in (await reader.get(path)).json()["items"]]


async def test_a_unit_is_deleted_when_its_memberships_are_past(
    admin: httpx.AsyncClient, seller: tuple[Person, dict[str, str], Sees], make_unit: MakeUnit
) -> None:
    person, _, _ = seller
    empty = await make_unit("Empty")
    made = await joined(admin, person.id, empty, starts_on=iso(-9), ends_on=iso(0))
    assert (await admin.delete(f"/v1/units/{empty}")).status_code == 409
    await admin.patch(f"/v1/users/{person.id}/memberships/{made.json()['id']}", json={"ends_on": iso(-1)})
    assert (await admin.delete(f"/v1/units/{empty}")).status_code == 204


def test_a_day_is_one_of_the_business_time_zone(setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    instant = clock.start_of_day(date(2026, 3, 1)) + timedelta(hours=20)
    monkeypatch.setattr(clock, "now", lambda: instant)
    assert today() == date(2026, 3, 1)
    setting(time_zone="Asia/Shanghai")
    assert today() == date(2026, 3, 2)
