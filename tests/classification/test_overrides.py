"""Classes that a person sets: at once or by a second person, above every rule, and gone by themselves."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.classification import overrides
from app.core.db import Database
from app.core.invalidation import announce
from app.core.jobs import enqueue
from app.core.workers import Worker
from tests.classification.schemes import announced, changes, on_day, publish, spending, standing

TODAY = date(2020, 6, 30)
NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)
KEY = "spending"
RunJobs = Callable[[], Awaitable[None]]
Today = Callable[[date], None]
MakeUser = Callable[..., Awaitable[httpx.AsyncClient]]
Answer = tuple[int, Any]
DECIDES = {"classes:read": "all", "classes:propose_override": "all", "classes:override": "all"}
PROPOSES = {"classes:read": "all", "classes:propose_override": "all"}


@pytest.fixture(autouse=True)
async def the_scheme(today: Today, database: Database) -> None:
    today(TODAY)
    await publish(database, KEY, spending())


async def customer_with(client: httpx.AsyncClient, amount: str) -> str:
    made = await client.post("/v1/customers", json={"name": "somebody"})
    customer = str(made.json()["id"])
    body = {"occurred_at": (NOON - timedelta(days=10)).isoformat(), "amount": amount}
    answer = await client.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text
    return customer


def at(customer: str, more: str = "") -> str:
    return f"/v1/customers/{customer}/classes/{KEY}/override{more}"


async def put(client: httpx.AsyncClient, customer: str, name: str = "gold", **changes: Any) -> httpx.Response:
    body = {"class": name, "reason": "a contract", "expires_at": None, **changes}
    return await client.put(at(customer), json=body)


async def put_for(client: httpx.AsyncClient, customer: str, days: int, name: str = "gold") -> Any:
    answer = await put(client, customer, name, expires_at=(NOON + timedelta(days=days)).isoformat())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def audited(database: Database, action: str) -> list[Any]:
    async with database.connection() as connection:
        query = "SELECT actor_kind, resource, after FROM audit_event WHERE action = $1 ORDER BY id"
        return [tuple(row) for row in await connection.fetch(query, action)]


# ---- at once ---------------------------------------------------------------------------------------------------------


async def test_an_override_stands_at_once_and_says_who_why_and_until_when(
    admin: httpx.AsyncClient, database: Database
) -> None:
    customer = await customer_with(admin, "200")
    made = await put_for(admin, customer, 30)
    assert (made["status"], made["class"], made["scheme"]) == ("active", "gold", KEY)
    assert made["decided_by"] == made["proposed_by"]
    now = await standing(admin, customer, KEY)
    assert now["class"] == "gold"
    assert now["override"] == {
        "class": "gold",
        "reason": "a contract",
        "expires_at": made["expires_at"],
        "since": made["since"],
        "proposed_by": made["proposed_by"],
        "approved_by": made["decided_by"],
    }
    assert (await admin.get(f"/v1/customers/{customer}")).json()["classes"][KEY] == "gold"
    assert (await changes(admin, customer, KEY))[-1] == ("bronze", "gold", "override")
    assert (await announced(database, customer, KEY, "customer.class_changed"))[-1]["reason"] == {
        "cause": "override",
        "version": 1,
    }
    ((kind, resource, after),) = await audited(database, "override.put")
    assert (kind, resource, after["class"]) == ("user", "override", "gold")
    assert after["reason"] == {"personal": True}


async def test_facts_do_not_move_who_is_overridden(admin: httpx.AsyncClient) -> None:
    customer = await customer_with(admin, "200")
    await put_for(admin, customer, 30, "silver")
    body = {"occurred_at": NOON.isoformat(), "amount": "5000"}
    bought = (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).json()
    assert bought["classes"][KEY] == "silver"
    assert (await admin.delete(at(customer))).status_code == 204
    now = await standing(admin, customer, KEY)
    assert (now["class"], now["override"]) == ("gold", None)
    assert (await changes(admin, customer, KEY))[-1] == ("silver", "gold", "override")


async def test_putting_one_ends_the_former_one(admin: httpx.AsyncClient, database: Database) -> None:
    customer = await customer_with(admin, "200")
    first = await put_for(admin, customer, 30)
    second = await put_for(admin, customer, 60, "silver")
    state = (await admin.get(at(customer))).json()
    assert (state["in_force"]["id"], state["proposed"]) == (second["id"], None)
    listed = (await admin.get("/v1/overrides", params={"status": "ended"})).json()["items"]
    assert [each["id"] for each in listed] == [first["id"]]
    assert listed[0]["ended_by"] == first["proposed_by"]
    assert len(await audited(database, "override.ended")) == 1
    assert [change[1] for change in await changes(admin, customer, KEY)] == ["basic", "bronze", "gold", "silver"]


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"class": "platinum"}, "/body/class", "it has: gold, silver, bronze, basic"),
        ({"expires_at": (NOON - timedelta(days=1)).isoformat()}, "/body/expires_at", "has passed"),
        ({"expires_at": (NOON + timedelta(days=3700)).isoformat()}, "/body/expires_at", "more than ten years"),
        ({"reason": "  "}, "/body/reason", "at least 1"),
        ({"expires_at": 1}, "/body/expires_at", "write it out"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, body: dict[str, Any], pointer: str, said: str
) -> None:
    customer = await customer_with(admin, "200")
    answer = await put(admin, customer, **body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert said in answer.json()["errors"][0]["message"]
    assert (await standing(admin, customer, KEY))["override"] is None


async def test_whether_it_ends_must_be_said(admin: httpx.AsyncClient) -> None:
    customer = await customer_with(admin, "200")
    answer = await admin.put(at(customer), json={"class": "gold", "reason": "forever"})
    assert answer.status_code == 422
    assert (await put(admin, customer)).status_code == 200
    endless = await admin.get("/v1/overrides", params={"without_expiry": "true", "status": "active"})
    assert [each["customer_id"] for each in endless.json()["items"]] == [customer]
    await put_for(admin, customer, 5)
    endless = await admin.get("/v1/overrides", params={"without_expiry": "true", "status": "active"})
    assert endless.json()["items"] == []


async def test_there_is_nothing_to_end_where_nothing_stands(admin: httpx.AsyncClient) -> None:
    customer = await customer_with(admin, "200")
    for answer in (
        await admin.delete(at(customer)),
        await admin.post(at(customer, "/approve")),
        await admin.post(at(customer, "/reject"), json={"reason": "no"}),
        await admin.get(f"/v1/customers/{customer}/classes/nothing/override"),
    ):
        assert answer.status_code == 404, answer.text


# ---- a second person -------------------------------------------------------------------------------------------------


async def test_who_may_only_propose_waits_for_a_second_person(
    admin: httpx.AsyncClient, make_user: MakeUser, database: Database
) -> None:
    customer = await customer_with(admin, "200")
    clerk, chief = await make_user(PROPOSES), await make_user(DECIDES)
    asked = await put(clerk, customer)
    assert (asked.status_code, asked.json()["status"], asked.json()["since"]) == (202, "proposed", None)
    assert (await standing(admin, customer, KEY))["class"] == "bronze"
    waiting = (await chief.get("/v1/overrides", params={"status": "proposed", "scheme": KEY})).json()["items"]
    assert [each["id"] for each in waiting] == [asked.json()["id"]]
    approved = await chief.post(at(customer, "/approve"))
    assert (approved.status_code, approved.json()["status"]) == (200, "active")
    stands = (await standing(admin, customer, KEY))["override"]
    assert stands["proposed_by"] == f"user:{clerk.headers['X-Test-User']}"
    assert stands["approved_by"] == f"user:{chief.headers['X-Test-User']}"
    assert (await changes(admin, customer, KEY))[-1] == ("bronze", "gold", "override")
    assert len(await audited(database, "override.proposed")) == len(await audited(database, "override.approved")) == 1
    assert (await chief.post(at(customer, "/approve"))).status_code == 404


async def test_a_rejected_proposal_changes_nothing_and_says_why(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    customer = await customer_with(admin, "200")
    clerk, chief = await make_user(PROPOSES), await make_user(DECIDES)
    await put(clerk, customer)
    rejected = await chief.post(at(customer, "/reject"), json={"reason": "not signed"})
    assert (rejected.json()["status"], rejected.json()["rejection"]) == ("rejected", "not signed")
    assert (await standing(admin, customer, KEY))["class"] == "bronze"
    assert (await put(clerk, customer)).status_code == 202, "and one may propose again"


async def test_nobody_decides_upon_a_proposal_of_ones_own(
    admin: httpx.AsyncClient, make_user: MakeUser, database: Database
) -> None:
    customer = await customer_with(admin, "200")
    clerk = await make_user(PROPOSES)
    await put(clerk, customer)
    for path, body in (("/approve", None), ("/reject", {"reason": "x"})):
        assert (await clerk.post(at(customer, path), json=body)).status_code == 403
    async with database.transaction() as session:  # promoted meanwhile
        await session.connection.execute(
            "UPDATE role SET permissions = $2 FROM user_role u WHERE u.role_id = role.id AND u.user_id = $1",
            clerk.headers["X-Test-User"],
            DECIDES,
        )
        await announce(session, "identity")
    for path, body in (("/approve", None), ("/reject", {"reason": "x"})):
        answer = await clerk.post(at(customer, path), json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:strata:problem:own-proposal")


async def test_a_proposal_is_replaced_by_its_maker_and_withdrawn_by_its_maker_only(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    customer = await customer_with(admin, "200")
    clerk, other = await make_user(PROPOSES), await make_user(PROPOSES)
    await put(clerk, customer)
    assert (await put(clerk, customer, "silver")).status_code == 202
    assert (await admin.get(at(customer))).json()["proposed"]["class"] == "silver"
    taken = await put(other, customer)
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:strata:problem:proposal-waits")
    assert (await other.delete(at(customer))).status_code == 404
    assert (await clerk.delete(at(customer))).status_code == 204
    assert (await admin.get(at(customer))).json() == {"in_force": None, "proposed": None}


async def test_who_may_only_propose_does_not_end_what_stands(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    customer = await customer_with(admin, "200")
    clerk = await make_user(PROPOSES)
    await put(admin, customer)
    refused = await clerk.delete(at(customer))
    assert (refused.status_code, "classes:override" in refused.text) == (403, True)
    assert (await put(clerk, customer, "silver")).status_code == 202
    state = (await admin.get(at(customer))).json()
    assert (state["in_force"]["class"], state["proposed"]["class"]) == ("gold", "silver")
    assert (await admin.post(at(customer, "/approve"))).status_code == 200
    assert (await standing(admin, customer, KEY))["class"] == "silver"


async def test_a_decision_of_ones_own_answers_what_waits(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    customer = await customer_with(admin, "200")
    clerk = await make_user(PROPOSES)
    await put(clerk, customer, "silver")
    await put(admin, customer)
    assert (await admin.get(at(customer))).json()["proposed"] is None
    assert [each["class"] for each in (await admin.get("/v1/overrides?status=rejected")).json()["items"]] == ["silver"]


async def test_a_proposal_that_came_too_late_is_not_approved(
    admin: httpx.AsyncClient, make_user: MakeUser, today: Today
) -> None:
    customer = await customer_with(admin, "200")
    await put(await make_user(PROPOSES), customer, expires_at=(NOON + timedelta(days=3)).isoformat())
    today(TODAY + timedelta(days=5))
    late = await admin.post(at(customer, "/approve"))
    assert (late.status_code, late.json()["type"]) == (409, "urn:strata:problem:conflict")


async def test_overriding_reaches_as_far_as_its_own_scope(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    mine_decides = await make_user({**PROPOSES, "classes:override": "own"})
    customer = await customer_with(admin, "200")
    assert (await put(mine_decides, customer)).status_code == 202, "proposing reaches everybody, deciding does not"
    assert (await mine_decides.post(at(customer, "/approve"))).status_code == 404
    narrow = await make_user({"classes:read": "own", "classes:propose_override": "own"})
    assert (await put(narrow, customer)).status_code == 404
    assert (await narrow.get("/v1/overrides")).json()["items"] == []


# ---- time ------------------------------------------------------------------------------------------------------------


async def test_an_override_gives_way_by_itself_when_its_time_is_over(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Today
) -> None:
    customer = await customer_with(admin, "200")
    made = await put_for(admin, customer, 30)
    async with database.connection() as connection:
        review = await connection.fetchval(
            "SELECT next_review_at FROM customer_metrics WHERE customer_id = $1", customer
        )
    assert review <= datetime.fromisoformat(made["expires_at"])
    await on_day(database, run_jobs, today, TODAY + timedelta(days=29))
    assert (await standing(admin, customer, KEY))["class"] == "gold"
    await on_day(database, run_jobs, today, TODAY + timedelta(days=31))
    now = await standing(admin, customer, KEY)
    assert (now["class"], now["override"]) == ("bronze", None)
    assert (await changes(admin, customer, KEY))[-1] == ("gold", "bronze", "clock")


async def test_an_override_whose_time_is_over_counts_as_ended_before_and_after_the_job(
    admin: httpx.AsyncClient, database: Database, today: Today
) -> None:
    customer = await customer_with(admin, "200")
    await put_for(admin, customer, 2)
    today(TODAY + timedelta(days=3))

    async def ended() -> list[tuple[str, str | None]]:
        items = (await admin.get("/v1/overrides", params={"status": "ended"})).json()["items"]
        return [(each["status"], each["ended_by"]) for each in items]

    assert await ended() == [("ended", None)]
    assert (await admin.get(at(customer))).json()["in_force"] is None
    async with database.transaction() as session:
        await enqueue(session, "overrides.end_expired", {})
    await Worker(database, {"overrides.end_expired": overrides.end_expired}, [], concurrency=1).drain()
    assert await ended() == [("ended", "system")]
    assert [kind for kind, *_ in await audited(database, "override.expired")] == ["system"]


async def test_classes_at_an_instant_name_the_override_of_that_time(admin: httpx.AsyncClient, today: Today) -> None:
    customer = await customer_with(admin, "200")
    made = await put_for(admin, customer, 30)
    today(TODAY + timedelta(days=3))
    await admin.delete(at(customer))
    today(TODAY + timedelta(days=12))

    async def then(instant: str) -> Any:
        items = (await admin.get(f"/v1/customers/{customer}/classes", params={"as_of": instant})).json()["items"]
        return next(each for each in items if each["scheme"] == KEY)

    assert (await then(made["since"]))["override"]["class"] == "gold"
    assert (await then("2020-07-10T00:00:00Z"))["override"] is None


async def test_a_deleted_customer_takes_its_overrides_along(admin: httpx.AsyncClient, database: Database) -> None:
    customer = await customer_with(admin, "200")
    await put(admin, customer)
    assert (await admin.delete(f"/v1/customers/{customer}")).status_code == 204
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM class_override") == 0


async def test_a_deleted_scheme_ends_its_overrides(
    admin: httpx.AsyncClient, make_user: MakeUser, run_jobs: RunJobs
) -> None:
    stands, asked = await customer_with(admin, "200"), await customer_with(admin, "200")
    await put(admin, stands)
    await put(await make_user(PROPOSES), asked)
    assert (await admin.delete(f"/v1/schemes/{KEY}")).status_code == 204
    await run_jobs()
    listed = (await admin.get("/v1/overrides")).json()["items"]
    assert [(each["customer_id"], each["status"]) for each in listed] == [(asked, "rejected"), (stands, "ended")]


async def test_overrides_come_in_pages(admin: httpx.AsyncClient) -> None:
    made = [(await put_for(admin, await customer_with(admin, "200"), days))["id"] for days in (1, 2, 3)]
    found: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = (await admin.get("/v1/overrides", params=query)).json()
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == made[::-1]
