"""What is sent is what the API document says: each type of event, by its schema and as its example shows."""

import asyncio
import importlib
import json
import pkgutil
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import httpx
import jsonschema_rs
import pytest

import app
from app.core import events
from app.core.db import Database
from app.core.http.docs import document
from app.core.jobs import JobContext
from app.mail import post
from app.main import create_app
from app.quality.reminders import remind
from app.webhooks.events import WebhookTest
from tests.classification import schemes
from tests.conftest import ActAs, MakeUser, RunJobs
from tests.customers.customers import create
from tests.feedback.asking import published, said
from tests.imports.sending import csv_of, started
from tests.webhooks.endpoint import Endpoint, answer, endpoint
from tests.webhooks.horizon import others_have_ended
from tests.webhooks.test_delivering import make, send

DOCUMENT = document(create_app(url="postgresql://nowhere", secret="a secret that only the tests know, long enough"))
TOLD = DOCUMENT["webhooks"]
EACH = pytest.mark.parametrize("name", TOLD)
TODAY, LATER = date(2020, 6, 30), date(2020, 7, 9)
SEGMENT = {"metric": "monetary", "op": "gte", "value": "650"}


def checker(name: str) -> Callable[[Any], None]:
    schema = TOLD[name]["post"]["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True).validate


def names_of(name: str) -> set[str]:
    schemas = DOCUMENT["components"]["schemas"]
    envelope = TOLD[name]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    data = schemas[envelope]["properties"]["data"]["$ref"].rsplit("/", 1)[-1]
    return set(schemas[data]["properties"])


def test_every_event_that_the_outbox_keeps_is_documented() -> None:
    """Also of a package whose events nobody declared."""
    kept = {WebhookTest.name}
    for package in pkgutil.iter_modules(app.__path__):
        if package.ispkg and package.name != "core":
            names = [each.name for each in pkgutil.iter_modules([f"{app.__path__[0]}/{package.name}"])]
            if "events" in names:
                module = importlib.import_module(f"app.{package.name}.events")
                kept |= {each.name for each in events.announced_by(module)}
    assert kept == {*TOLD}


@EACH
def test_the_example_is_one(name: str) -> None:
    operation = TOLD[name]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    checker(name)(example)
    assert (example["type"], set(example["data"])) == (name, names_of(name))
    assert operation["description"], "give the event a docstring: it says what has happened"
    assert not operation["description"].startswith(operation["operationId"])


@EACH
def test_what_does_not_fit_is_found(name: str) -> None:
    example = TOLD[name]["post"]["requestBody"]["content"]["application/json"]["example"]
    for wrong in ({**example, "type": "else"}, {**example, "data": {}}, {**example, "timestamp": "soon"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            checker(name)(wrong)


def test_operations_have_names_of_their_own() -> None:
    ids = [item["post"]["operationId"] for item in TOLD.values()]
    others = [each["operationId"] for item in DOCUMENT["paths"].values() for each in item.values()]
    assert len({*ids, *others}) == len(ids) + len(others)


async def test_whatever_is_sent_is_as_it_is_documented(
    admin: httpx.AsyncClient,
    database: Database,
    server: Endpoint,
    make_user: MakeUser,
    act_as: ActAs,
    run_jobs: RunJobs,
    today: Callable[[date], None],
) -> None:
    """Everything that can be announced happens once."""
    today(TODAY)
    hook = await make(admin, server, "*")
    tested = await admin.post(f"/v1/webhooks/{hook['id']}/test")
    assert tested.status_code == 202, tested.text
    await classified(admin, database, run_jobs, today)
    await recorded(admin, database, make_user, run_jobs)
    customer_id = (await create(admin))["id"]
    asked = await done(admin.post("/v1/data-requests", json={"customer_id": customer_id, "kind": "export"}))
    await done(admin.post(f"/v1/data-requests/{asked['id']}/complete"))
    opened = (await admin.post(f"/v1/customers/{customer_id}/account", json={})).json()
    await done((await act_as(opened["username"])).patch("/v1/my/profile", json={"email": "mei@example.com"}))
    async with database.transaction() as session:
        about = {"letter": "profile_change_code", "about": {"customer_id": customer_id}}
        await post.given_up(session, about, "the server refused it for good: 550")
    async with endpoint() as gone:
        gone.says = lambda _: answer(410)
        await make(admin, gone, "customer.created")
        await create(admin)
        await others_have_ended(database)
        await send(database)
    await others_have_ended(database)
    await send(database)
    told = [json.loads(each.body) for each in server.received]
    for event in told:
        checker(event["type"])(event)
        assert set(event["data"]) == names_of(event["type"]), event["type"]
    assert {event["type"] for event in told} == {*TOLD}


async def classified(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    """Classes that change, wait and are called off, each way."""
    movement = {"upgrade": "next_month", "downgrade": {"grace_days": 30}}
    await schemes.publish(database, "spending", schemes.spending(**movement))
    await done(admin.post("/v1/segments", json={"key": "big", "title": "Big", "when": SEGMENT}))
    await run_jobs()
    one = (await create(admin))["id"]
    await bought(admin, one, "2020-06-30", "700")  # an upgrade waits, the segment is entered
    await bought(admin, one, "2020-06-30", "690", "refund")  # called off, and left
    two = (await create(admin))["id"]
    await bought(admin, two, "2019-07-10", "600")
    await schemes.on_day(database, run_jobs, today, date(2020, 7, 1))  # silver
    await schemes.on_day(database, run_jobs, today, LATER)  # and a grace begins
    await bought(admin, two, "2020-07-09", "600")  # which is called off
    rules = {"kind": "rules", "rules": [{"class": "any", "when": SEGMENT}], "default": "other"}
    await done(admin.post("/v1/schemes", json={"key": "brief", "title": "Brief", "document": rules}))
    await done(admin.post("/v1/schemes/brief/versions/1/publish", json={"refit": True}))
    await run_jobs()
    await done(admin.delete("/v1/schemes/brief"))
    await run_jobs()


async def bought(admin: httpx.AsyncClient, customer: str, day: str, amount: str, kind: str = "purchase") -> Any:
    body = {"occurred_at": f"{day}T00:00:00Z", "amount": amount, "kind": kind}
    return await done(admin.post(f"/v1/customers/{customer}/purchases", json=body))


async def recorded(admin: httpx.AsyncClient, database: Database, make_user: MakeUser, run_jobs: RunJobs) -> None:
    """What becomes of a record and of the facts about it."""
    one, other = await create(admin, tags=["tea"]), await create(admin)
    path = f"/v1/customers/{one['id']}"
    await done(admin.patch(path, json={"region": "CN-11"}))
    owner = (await make_user({"customers:read": "own"})).headers["X-Test-User"]
    await done(admin.post(f"{path}/transfer", json={"owner_id": owner}))
    await done(admin.patch("/v1/tags/tea", json={"tag": "green tea"}))
    for status in ("given", "withdrawn"):
        consent = {"channel": "email", "purpose": "news", "status": status, "source": "shop"}
        await done(admin.post(f"{path}/consents", json=consent))
    call = {"kind": "call", "direction": "inbound", "occurred_at": "2020-06-30T12:00:00Z"}
    spoken = await done(admin.post(f"{path}/interactions", json=call))
    corrected = {"subject": "else", "reason": "misheard"}
    await done(admin.patch(f"{path}/interactions/{spoken['id']}", json=corrected))
    await said(admin, one["id"], kind="complaint", topic="delivery", text="late")
    await said(admin, one["id"], kind="answer", measure="nps", score=1)
    survey = await published(admin)
    response = {"customer_id": one["id"], "channel": "phone", "answers": {"delivery": 4}}
    await done(admin.post(f"/v1/surveys/{survey}/responses", json=response))
    purchase = await bought(admin, one["id"], "2020-06-30", "10")
    await done(admin.delete(f"{path}/purchases/{purchase['id']}"))
    await started(admin, csv_of([["C-1", "SO-1", "2020-06-30", "5"]]), currency="CNY")
    await run_jobs()
    merged = await done(
        admin.post("/v1/customers/merges", json={"survivor_id": one["id"], "merged_id": other["id"], "take": []})
    )
    await done(admin.post(f"/v1/customers/merges/{merged['id']}/undo"))
    await remind(JobContext(database, {}, None, asyncio.Event()))
    await done(admin.post(f"{path}/erasure"))
    await done(admin.delete(f"/v1/customers/{other['id']}"))


async def done(asked: Awaitable[httpx.Response]) -> Any:
    found = await asked
    assert found.is_success, found.text
    return found.json() if found.content else None
