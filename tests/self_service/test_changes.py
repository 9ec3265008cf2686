"""Another e-mail address or phone number counts once a code came back from there."""

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import clock
from app.core.db import Database
from app.self_service.changes import DIGITS, TRIES, code_of
from tests.conftest import SECRET, ActAs, MakeUser
from tests.self_service.letting_in import Customer, let_in, merged, record

OLD, NEW = "mei@example.com", "mei.chen@example.com"


@pytest.fixture
async def me(admin: httpx.AsyncClient, act_as: ActAs) -> Customer:
    return await let_in(admin, act_as, email=OLD, phone="+8613812341234", identities=[{"kind": "email", "value": OLD}])


async def code(admin: httpx.AsyncClient, database: Database, customer_id: str) -> dict[str, Any]:
    """What the latest event leads to: whoever sends messages gets it so."""
    async with database.connection() as connection:
        told = await connection.fetchval(
            "SELECT payload FROM outbox_event WHERE name = 'customer.change_requested' ORDER BY id DESC LIMIT 1"
        )
    assert set(told) == {"customer_id", "change_id", "field", "expires_at"}
    answer = await admin.get(f"/v1/customers/{customer_id}/profile-changes/{told['change_id']}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


async def confirm(me: Customer, digits: str, field: str = "email") -> httpx.Response:
    return await me.client.post("/v1/my/profile/confirmations", json={"field": field, "code": digits})


def other(digits: str) -> str:
    return f"{(int(digits) + 1) % 10**DIGITS:0{DIGITS}}"


async def test_another_address_waits_for_its_code_which_works_once(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    body = {"email": NEW, "name": "Mei Chen-Li"}
    asked = await me.client.patch("/v1/my/profile", json=body)
    assert asked.status_code == 200, asked.text
    assert (asked.json()["email"], asked.json()["name"]) == (OLD, "Mei Chen-Li")
    assert [(each["field"], each["value"]) for each in asked.json()["waiting"]] == [("email", NEW)]
    sent = await code(admin, database, me.id)
    assert (sent["field"], sent["value"]) == ("email", NEW)
    wrong = await confirm(me, other(sent["code"]))
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:strata:problem:wrong-code")
    right = await confirm(me, sent["code"])
    assert right.status_code == 200, right.text
    assert (right.json()["email"], right.json()["waiting"]) == (NEW, [])
    assert right.json()["identities"] == [{"kind": "email", "value": NEW}]
    assert (await confirm(me, sent["code"])).status_code == 410
    assert (await admin.get(f"/v1/customers/{me.id}")).json()["email"] == NEW


async def test_a_code_is_tried_five_times_and_a_new_request_has_another(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    await me.client.patch("/v1/my/profile", json={"phone": "+8613900001111"})
    first = (await code(admin, database, me.id))["code"]
    statuses = [(await confirm(me, other(first), "phone")).status_code for _ in range(TRIES)]
    assert statuses == [422] * TRIES
    assert (await confirm(me, first, "phone")).status_code == 410, "it is guessed in the end"
    await me.client.patch("/v1/my/profile", json={"phone": "+8613900001111"})
    second = (await code(admin, database, me.id))["code"]
    assert second != first
    assert (await confirm(me, second, "phone")).json()["phone"] == "+8613900001111"


async def test_a_code_has_an_end_and_is_in_no_event_and_in_no_audit(
    me: Customer, admin: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await me.client.patch("/v1/my/profile", json={"email": NEW})
    sent = await code(admin, database, me.id)
    async with database.connection() as connection:
        for table in ("audit_event", "outbox_event", "job", "profile_change"):
            for canary in {sent["code"]} if table == "profile_change" else {sent["code"], NEW}:
                found = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%' || $1 || '%'"
                assert await connection.fetchval(found, canary) == 0, (table, canary)
        await connection.execute("UPDATE profile_change SET expires_at = $1", clock.now() - timedelta(seconds=1))
    assert (await confirm(me, sent["code"])).status_code == 410
    gone = await admin.get(f"/v1/customers/{me.id}/profile-changes/{sent['id']}")
    assert gone.status_code == 404
    assert (await me.client.get("/v1/my/profile")).json()["waiting"] == []


async def test_what_identifies_another_customer_is_not_taken(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    await record(admin, identities=[{"kind": "email", "value": NEW}])
    await me.client.patch("/v1/my/profile", json={"email": NEW})
    answer = await confirm(me, (await code(admin, database, me.id))["code"])
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:strata:problem:identity-taken")
    mine = (await me.client.get("/v1/my/profile")).json()
    assert (mine["email"], mine["identities"]) == (OLD, [{"kind": "email", "value": OLD}])


async def test_only_who_may_deliver_sees_a_code(
    me: Customer, admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    await me.client.patch("/v1/my/profile", json={"email": NEW})
    path = f"/v1/customers/{me.id}/profile-changes/{(await code(admin, database, me.id))['id']}"
    for permissions, status in (({"customers:read": "all"}, 403), ({"profile_changes:deliver": "own"}, 404)):
        assert (await (await make_user(permissions)).get(path)).status_code == status
    assert (await me.client.get(path)).status_code == 403


@pytest.mark.parametrize("body", [{"email": None}, {"phone": None}, {"email": "nobody"}, {"phone": "x"}])
async def test_an_address_is_not_emptied_and_not_nonsense(me: Customer, body: dict[str, Any]) -> None:
    assert (await me.client.patch("/v1/my/profile", json=body)).status_code == 422


async def test_what_waits_goes_with_the_person_and_comes_back_with_who_was_merged(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    await me.client.patch("/v1/my/profile", json={"email": NEW})
    merge_id = await merged(admin, await record(admin), me.id)
    assert (await me.client.get("/v1/my/profile")).json()["waiting"] == []
    assert (await admin.post(f"/v1/customers/merges/{merge_id}/undo")).status_code == 200
    assert [each["value"] for each in (await me.client.get("/v1/my/profile")).json()["waiting"]] == [NEW]
    await admin.post(f"/v1/customers/{me.id}/erasure")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM profile_change") == 0


@given(st.uuids(), st.uuids(), st.sampled_from(["email", "phone"]), st.text(max_size=40))
def test_a_code_is_eight_digits_of_one_change(one: uuid.UUID, two: uuid.UUID, field: str, value: str) -> None:
    change = {"id": one, "field": field, "value": value}
    digits = code_of(SECRET, change)
    assert len(digits) == DIGITS
    assert digits.isdecimal()
    assert digits == code_of(SECRET, dict(change))
    others = [{**change, "id": two}, {**change, "value": value + "x"}]
    assert one == two or any(code_of(SECRET, each) != digits for each in others)
