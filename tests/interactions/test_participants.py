"""Participants who are contacts of the customer: who may be named, under which name, and what stays without them."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers

CALL = {"kind": "call", "occurred_at": "2020-06-02T03:04:05Z"}
SEES = {"customers:read": "own", "interactions:read": "own", "interactions:write": "own"}


async def contact(client: httpx.AsyncClient, customer: Any, **body: Any) -> str:
    answer = await client.post(f"/v1/customers/{customer['id']}/contacts", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def call(client: httpx.AsyncClient, customer: Any, *contacts: Any) -> Any:
    answer = await client.post(path_of(customer), json={**CALL, "contacts": contacts})
    assert answer.status_code == 201, answer.text
    return answer.json()


def path_of(customer: Any) -> str:
    return f"/v1/customers/{customer['id']}/interactions"


async def give(database: Database, user: httpx.AsyncClient, *customers: Any) -> None:
    owner = UUID(user.headers["X-Test-User"])
    async with database.connection() as connection:
        for each in customers:
            await connection.execute("UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(each["id"]))


async def shown(client: httpx.AsyncClient, interaction: Any) -> list[Any]:
    """The participants, as the interaction, its versions and each list that has it say them."""
    path = path_of({"id": interaction["customer_id"]})
    one = (await client.get(f"{path}/{interaction['id']}")).json()
    for where in (path, "/v1/interactions", f"{path}/{interaction['id']}/versions"):
        items = (await client.get(where)).json()["items"]
        assert next(each for each in items if each["id"] == interaction["id"]) == one, where
    return [(each["contact_id"], each["name"], each["role"]) for each in one["contacts"]]


async def test_a_contact_is_shown_by_the_name_it_goes_by_and_stays_readable_without_it(
    admin: httpx.AsyncClient,
) -> None:
    company = await create(admin, kind="company", name="Lantern")
    desk = await contact(admin, company, name="Desk", role="buyer")
    made = await call(admin, company, {"contact_id": desk}, {"contact_id": desk, "role": "host"}, {"name": "Guest"})
    said = [(desk, "Desk", "buyer"), (desk, "Desk", "host"), (None, "Guest", None)]
    assert [tuple(each.values()) for each in made["contacts"]] == said == await shown(admin, made)
    where = f"/v1/customers/{company['id']}/contacts/{desk}"
    assert (await admin.patch(where, json={"name": "Front desk"})).status_code == 200
    assert [name for _, name, _ in await shown(admin, made)] == ["Front desk", "Front desk", "Guest"]
    assert (await admin.delete(where)).status_code == 204
    assert await shown(admin, made) == said
    mine = f"{path_of(company)}/{made['id']}"
    answer = await admin.patch(mine, json={"contacts": made["contacts"]})
    assert (answer.status_code, answer.json()["version"]) == (200, 1), "nothing is corrected"
    answer = await admin.patch(mine, json={"contacts": [{"contact_id": desk, "role": "left"}]})
    assert [tuple(each.values()) for each in answer.json()["contacts"]] == [(desk, "Desk", "left")]


async def test_what_was_written_before_there_were_contacts_is_read_and_corrected(
    admin: httpx.AsyncClient, database: Database
) -> None:
    customer = await create(admin)
    made = await call(admin, customer)
    async with database.connection() as connection:
        await connection.execute("""UPDATE interaction SET contacts = '[{"name": "Desk", "role": null}]'""")
    assert await shown(admin, made) == [(None, "Desk", None)]
    same = {"contacts": [{"name": "Desk"}]}
    answer = await admin.patch(f"{path_of(customer)}/{made['id']}", json=same)
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


async def test_only_a_contact_of_the_customer_whom_one_may_read_takes_part(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    company, other = [await create(admin, kind="company", name=name) for name in ("Lantern", "Harbour")]
    desk, theirs = [await contact(admin, each, name="Desk") for each in (company, other)]
    blind, seeing = await make_user(SEES), await make_user({**SEES, "contacts:read": "own"})
    body = {**CALL, "contacts": [{"name": "Guest"}, {"contact_id": theirs}]}
    assert pointers(await admin.post(path_of(company), json=body)) == ["/body/contacts/1/contact_id"]
    made = await call(admin, company, {"contact_id": desk})
    await admin.patch(f"/v1/customers/{company['id']}/contacts/{desk}", json={"name": "Front desk"})
    for user, status, name in ((blind, 422, "Desk"), (seeing, 201, "Front desk")):
        await give(database, user, company)
        answer = await user.post(path_of(company), json={**CALL, "contacts": [{"contact_id": desk}]})
        assert answer.status_code == status, answer.text
        assert (await shown(user, made))[0][1] == name
    row = {**CALL, "customer_id": other["id"], "contacts": [{"contact_id": theirs}]}
    answer = await seeing.post("/v1/interactions/batch", json={"interactions": [row]})
    (refused,) = answer.json()["items"]
    assert [each["pointer"] for each in refused["errors"]] == ["/body/interactions/0/contacts/0/contact_id"]


async def test_a_batch_names_contacts_of_many_customers(admin: httpx.AsyncClient) -> None:
    companies = [await create(admin, kind="company", name=name) for name in ("Lantern", "Harbour")]
    desks = [await contact(admin, each, name=f"Desk of {each['name']}", role="buyer") for each in companies]
    rows = [
        {**CALL, "customer_id": companies[whose]["id"], "contacts": [{"contact_id": desks[who]}, {"name": "Guest"}]}
        for whose, who in ((0, 0), (1, 1), (0, 1))
    ]
    answer = await admin.post("/v1/interactions/batch", json={"interactions": rows})
    assert (answer.json()["recorded"], answer.json()["rejected"]) == (2, 1)
    items = answer.json()["items"]
    assert [each["pointer"] for each in items[2]["errors"]] == ["/body/interactions/2/contacts/0/contact_id"]
    for n, name in enumerate(("Lantern", "Harbour")):
        made = {"id": items[n]["id"], "customer_id": companies[n]["id"]}
        assert await shown(admin, made) == [(desks[n], f"Desk of {name}", "buyer"), (None, "Guest", None)]


async def test_contacts_follow_a_merge_and_its_undoing(admin: httpx.AsyncClient) -> None:
    survivor, merged = [await create(admin, kind="company", name=name) for name in ("Lantern", "Harbour")]
    desk = await contact(admin, merged, name="Desk")
    made = await call(admin, merged, {"contact_id": desk})
    body = {"survivor_id": survivor["id"], "merged_id": merged["id"]}
    merge = (await admin.post("/v1/customers/merges", json=body)).json()
    where = f"/v1/customers/{survivor['id']}/contacts/{desk}"
    assert (await admin.patch(where, json={"name": "Front desk"})).status_code == 200
    followed = {**made, "customer_id": survivor["id"]}
    assert await shown(admin, followed) == [(desk, "Front desk", None)]
    since = await call(admin, survivor, {"contact_id": desk})
    assert (await admin.post(f"/v1/customers/merges/{merge['id']}/undo")).status_code == 200
    assert await shown(admin, made) == [(desk, "Front desk", None)]
    assert await shown(admin, since) == [(desk, "Front desk", None)], "it is another's contact again, and kept its name"


@pytest.mark.parametrize("how", ["person", "company"])
async def test_nothing_is_kept_of_the_name_of_a_contact_who_is_erased(
    admin: httpx.AsyncClient, database: Database, how: str
) -> None:
    company = await create(admin, kind="company", name="Lantern")
    person = await create(admin, name="Canary Someone")
    both = [await contact(admin, company, **body) for body in ({"person_id": person["id"]}, {"name": "Canary Desk"})]
    made = await call(admin, company, *({"contact_id": each} for each in both))
    assert [name for _, name, _ in await shown(admin, made)] == ["Canary Someone", "Canary Desk"]
    erased = person if how == "person" else company
    assert (await admin.post(f"/v1/customers/{erased['id']}/erasure")).status_code < 300
    found = await shown(admin, made)
    async with database.connection() as connection:
        kept = await connection.fetchval("SELECT contacts FROM interaction")
    assert "Someone" not in f"{found}{kept}"
    assert ("Canary Desk" in f"{found}{kept}") == (how == "person")
