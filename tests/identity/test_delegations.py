"""Standing in for who is absent: that one's rights, for these days, under one's own name."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core import clock
from app.core.db import Database
from app.identity.delegations import KEPT_BACK
from app.identity.memberships import today
from app.identity.permissions import known_permissions
from tests.identity.people import MakePerson, MakeRole, MakeUnit, Person

DAY = timedelta(days=1)
SELLER = {
    "customers:read": "own",
    "customers:read_contact": "own",
    "customers:write": "own",
    "delegations:read": "own",
    "delegations:write": "own",
}


def iso(offset: int) -> str:
    return (today() + offset * DAY).isoformat()


async def lent(who: Person, to: Person, *, until: int = 0, status: int = 201, **body: Any) -> httpx.Response:
    answer = await who.ask("POST", "/v1/delegations", json={"delegate_id": to.id, "ends_on": iso(until), **body})
    assert answer.status_code == status, answer.text
    return answer


def behalf(of: Person) -> dict[str, Any]:
    return {"headers": {"X-On-Behalf-Of": of.id}}


async def customer(of: Person, name: str, **options: Any) -> dict[str, Any]:
    body = {"name": name, "phone": "+8613812345678"}
    made = await of.ask("POST", "/v1/customers", json=body, **options)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def seen(by: Person, **options: Any) -> set[str]:
    answer = await by.ask("GET", "/v1/customers", **options)
    assert answer.status_code == 200, answer.text
    return {each["name"] for each in answer.json()["items"]}


Sellers = Callable[[], Awaitable[Person]]


@pytest.fixture
async def sellers(make_role: MakeRole, make_person: MakePerson) -> Sellers:
    """Makes people who see their own customers, and each has one, named by the person."""
    key = await make_role(SELLER)

    async def make() -> Person:
        person = await make_person(key)
        await customer(person, person.username)
        return person

    return make


async def test_a_delegate_sees_what_the_absent_one_sees_and_nothing_more(sellers: Sellers) -> None:
    absent, delegate, stranger = await sellers(), await sellers(), await sellers()
    await lent(absent, delegate)
    assert await seen(delegate, **behalf(absent)) == await seen(absent) == {absent.username}
    assert await seen(delegate) == {delegate.username}
    me = (await delegate.ask("GET", "/v1/me", **behalf(absent))).json()
    assert (me["id"], me["on_behalf_of"]) == (delegate.id, absent.id)
    for who, for_whom in ((stranger, absent), (absent, delegate), (delegate, stranger), (delegate, delegate)):
        refused = await who.ask("GET", "/v1/customers", **behalf(for_whom))
        assert (refused.status_code, refused.json()["type"].rsplit(":")[-1]) == (403, "not-delegated")


async def test_what_a_delegate_does_carries_her_name_and_on_whose_behalf(
    admin: httpx.AsyncClient, sellers: Sellers, database: Database
) -> None:
    absent, delegate = await sellers(), await sellers()
    await lent(absent, delegate)
    made = await customer(delegate, "new", **behalf(absent))
    assert made["owner_id"] == absent.id
    assert (await delegate.ask("GET", f"/v1/customers/{made['id']}")).status_code == 404
    path = f"/v1/customers/{made['id']}"
    assert (await delegate.ask("GET", path, **behalf(absent))).json()["phone"] == "+8613812345678"
    assert (await delegate.ask("PATCH", path, json={"title": "Dr."}, **behalf(absent))).status_code == 200
    await admin.get("/v1/customers")  # another request, another name
    await admin._transport.app.state.readings.flush()  # type: ignore[attr-defined]
    noted = (await admin.get("/v1/audit", params={"resource": "customer", "resource_id": made["id"]})).json()["items"]
    assert {each["action"] for each in noted} >= {"customer.created", "customer.changed", "customer.read"}
    assert {(each["actor_id"], each["on_behalf_of"]) for each in noted} == {(delegate.id, absent.id)}
    await absent.ask("PATCH", path, json={"title": "Prof."})
    last = (await admin.get("/v1/audit", params={"resource": "customer", "resource_id": made["id"]})).json()["items"][0]
    assert (last["actor_id"], last["on_behalf_of"]) == (absent.id, None)


@pytest.mark.parametrize(("starts", "ends", "holds"), [(0, 0, True), (0, 9, True), (1, 9, False), (-9, -1, False)])
async def test_a_delegation_holds_on_its_days(
    sellers: Sellers, database: Database, starts: int, ends: int, holds: bool
) -> None:
    absent, delegate = await sellers(), await sellers()
    made = await lent(absent, delegate, until=9)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE delegation SET during = daterange($1::date, $2::date, '[]') WHERE id = $3",
            today() + starts * DAY,
            today() + ends * DAY,
            made.json()["id"],
        )
    answer = await delegate.ask("GET", "/v1/customers", **behalf(absent))
    assert answer.status_code == (200 if holds else 403)


async def test_a_delegation_is_over_at_midnight_and_at_once_when_it_is_ended(
    sellers: Sellers, monkeypatch: pytest.MonkeyPatch, admin: httpx.AsyncClient
) -> None:
    absent, delegate, other = await sellers(), await sellers(), await sellers()
    made = await lent(absent, delegate, until=0)
    assert await seen(delegate, **behalf(absent)) == {absent.username}
    assert (await other.ask("DELETE", f"/v1/delegations/{made.json()['id']}")).status_code == 404
    assert (await delegate.ask("DELETE", f"/v1/delegations/{made.json()['id']}")).status_code == 204
    assert (await delegate.ask("GET", "/v1/customers", **behalf(absent))).status_code == 403
    await lent(absent, delegate, until=0)
    delegate.keep_token()
    assert await seen(delegate, **behalf(absent)) == {absent.username}
    midnight, real = clock.start_of_day(today() + DAY), clock.now
    shift = midnight + timedelta(seconds=1) - real()
    monkeypatch.setattr(clock, "now", lambda: real() + shift)
    assert (await delegate.ask("GET", "/v1/customers", **behalf(absent))).status_code == 403


async def test_nobody_stands_in_for_who_was_deactivated(admin: httpx.AsyncClient, sellers: Sellers) -> None:
    absent, delegate = await sellers(), await sellers()
    await lent(absent, delegate)
    assert await seen(delegate, **behalf(absent)) == {absent.username}
    assert (await admin.delete(f"/v1/users/{absent.id}")).status_code == 204
    assert (await delegate.ask("GET", "/v1/customers", **behalf(absent))).status_code == 403


async def test_what_was_delegated_is_not_delegated_on(sellers: Sellers) -> None:
    first, second, third = await sellers(), await sellers(), await sellers()
    await lent(first, second)
    await lent(second, third)
    assert await seen(third, **behalf(second)) == {second.username}
    assert (await third.ask("GET", "/v1/customers", **behalf(first))).status_code == 403
    body = {"absent_id": first.id, "delegate_id": third.id, "ends_on": iso(0)}
    assert (await second.ask("POST", "/v1/delegations", json=body)).status_code == 403
    assert (await second.ask("POST", "/v1/delegations", json=body, **behalf(first))).status_code == 403


async def test_a_delegate_of_the_administrator_does_not_administer_access(
    admin: httpx.AsyncClient, make_person: MakePerson
) -> None:
    absent, delegate = await make_person("admin"), await make_person()
    await lent(absent, delegate)
    me = (await delegate.ask("GET", "/v1/me", **behalf(absent))).json()
    assert set(me["permissions"]) == known_permissions() - KEPT_BACK
    assert set(me["permissions"].values()) == {"all"}
    user = {"username": "mine", "name": "x", "password": "a long enough phrase", "roles": ["admin"]}
    for path, body in [
        ("/v1/users", user),
        ("/v1/api-keys", {"name": "x", "permissions": {"users:read": "all"}}),
        ("/v1/roles", {"key": "mine", "title": "x", "permissions": {}}),
        ("/v1/units", {"name": "x"}),
        ("/v1/webhooks", {"url": "https://hooks.example.com/mine", "types": ["*"]}),
    ]:
        assert (await delegate.ask("POST", path, json=body, **behalf(absent))).status_code == 403, path


async def test_a_lead_says_who_stands_in_for_people_whose_rights_she_holds(
    make_role: MakeRole, make_person: MakePerson, make_unit: MakeUnit
) -> None:
    east, west = await make_unit("East"), await make_unit("West")
    lead = await make_person(
        await make_role({"delegations:read": "unit", "delegations:write": "unit", "customers:read": "unit"}),
        unit_id=east,
    )
    role = await make_role({"customers:read": "own"})
    ill, colleague, foreign = [await make_person(role, unit_id=unit) for unit in (east, east, west)]
    mighty = await make_person(await make_role({"customers:delete": "own"}), unit_id=east)
    made = await lent(lead, colleague, absent_id=ill.id)
    assert await seen(colleague, **behalf(ill)) == set()
    await lent(lead, colleague, absent_id=foreign.id, status=403)
    escalation = await lent(lead, colleague, absent_id=mighty.id, status=403)
    assert escalation.json()["type"].endswith(":escalation")
    listed = (await lead.ask("GET", "/v1/delegations")).json()["items"]
    assert [each["id"] for each in listed] == [made.json()["id"]]
    one = f"/v1/delegations/{made.json()['id']}"
    assert (await lead.ask("GET", one)).json() == made.json() == listed[0]
    assert (await lead.ask("DELETE", one)).status_code == 204
    assert (await colleague.ask("GET", "/v1/customers", **behalf(ill))).status_code == 403


async def test_days_and_people_that_make_no_sense_are_refused(admin: httpx.AsyncClient, sellers: Sellers) -> None:
    absent, delegate, gone = await sellers(), await sellers(), await sellers()
    await admin.delete(f"/v1/users/{gone.id}")
    table: list[tuple[dict[str, Any], str]] = [
        ({"starts_on": iso(-1)}, "starts_on"),
        ({"starts_on": iso(2), "ends_on": iso(1)}, "ends_on"),
        ({"ends_on": iso(-1)}, "ends_on"),
        ({"ends_on": iso(400)}, "ends_on"),
        ({"delegate_id": absent.id}, "delegate_id"),
        ({"delegate_id": gone.id}, "delegate_id"),
        ({"delegate_id": "0198a7e4-9a3f-7c51-b7f1-5d0f6f2a3b4c"}, "delegate_id"),
    ]
    for body, field in table:
        refused = await lent(absent, delegate, status=422, **body)
        assert refused.json()["errors"][0]["pointer"] == f"/body/{field}", body
    await lent(absent, delegate, until=3)
    overlapping = await lent(absent, delegate, until=9, starts_on=iso(3), status=409)
    assert overlapping.json()["type"].endswith(":delegation-overlaps")
    await lent(absent, delegate, until=9, starts_on=iso(4))


@pytest.mark.parametrize("value", ["x", "0", "ä", "a" * 500, "' OR 1=1", "{}"])
async def test_a_header_that_names_nobody_is_refused(client: httpx.AsyncClient, sellers: Sellers, value: str) -> None:
    person = await sellers()
    headers = {**person.headers, "X-On-Behalf-Of": value.encode()}
    refused = await client.get("/v1/customers", headers=headers)  # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/header/x-on-behalf-of")


async def test_a_service_stands_in_for_nobody(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, sellers: Sellers
) -> None:
    absent = await sellers()
    key = (await admin.post("/v1/api-keys", json={"name": "x", "permissions": {"customers:read": "all"}})).json()["key"]
    refused = await client.get("/v1/customers", headers={"X-API-Key": key, "X-On-Behalf-Of": absent.id})
    assert refused.status_code == 403


async def test_an_idempotency_key_is_for_one_person_only(sellers: Sellers) -> None:
    absent, delegate = await sellers(), await sellers()
    await lent(absent, delegate)
    sent = {"json": {"name": "once"}, "headers": {"Idempotency-Key": "k"}}
    mine = await delegate.ask("POST", "/v1/customers", **sent)
    again = await delegate.ask("POST", "/v1/customers", **sent)
    assert again.json() == mine.json()
    sent["headers"] = {"Idempotency-Key": "k", "X-On-Behalf-Of": absent.id}
    assert (await delegate.ask("POST", "/v1/customers", **sent)).status_code == 422
