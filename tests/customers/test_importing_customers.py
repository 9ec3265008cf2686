"""Files of customers: rows become customers or change them, bad ones are reported, the same file changes nothing."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.checks import findings
from app.core.db import Database
from app.customers.schemas import MOST_CUSTOM
from app.features import CHECKS
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import PHONE, create, external
from tests.imports.sending import completed, counts, csv_of, send

HEADER = "customer_ref,name,kind,title,region,source,language,phone,email,tags,birthday,custom.shop,custom.score"
TAGS = 'b"\\ ; 茶,{};b"\\'
WHOLE = [
    "C1",
    "Blue Lantern",
    "company",
    "Dr",
    "CN-31",
    "fair",
    "zh",
    "138 1234 5678",
    "a@X.example",
    TAGS,
    "1980-02-29",
    " north ",
    "7",
]
Import = Callable[..., Any]


@pytest.fixture
def import_rows(admin: httpx.AsyncClient, run_jobs: RunJobs) -> Import:
    async def run(rows: list[list[str]], header: str = HEADER, *, client: Any = None, **form: Any) -> dict[str, Any]:
        width = header.count(",") + 1
        content = csv_of([[*row, *[""] * (width - len(row))] for row in rows], header)
        return await completed(client or admin, run_jobs, content, kind="customers", **form)

    return run


async def named(client: httpx.AsyncClient, reference: str) -> Any:
    (found,) = (await client.get("/v1/customers", params={"identity": f"external:{reference}"})).json()["items"]
    return found


async def test_a_row_becomes_a_customer_with_all_that_it_says(
    import_rows: Import, admin: httpx.AsyncClient, database: Database
) -> None:
    done = await import_rows([WHOLE, ["C2"]])
    assert (counts(done), done["customers_created"], done["changed"]) == ((2, 0, 0), 2, 2)
    first, second = await named(admin, "C1"), await named(admin, "C2")
    said = ("name", "kind", "title", "region", "source", "language", "phone", "email", "tags", "birthday", "custom")
    known = [PHONE, "a@x.example", ['b"\\', "茶,{}"], "1980-02-29", {"shop": "north", "score": "7"}]
    assert [first[name] for name in said] == [*WHOLE[1:7], *known]
    assert (second["name"], second["kind"], second["source"]) == ("C2", "person", "import")
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT resource_id, action, before, after FROM audit_event WHERE resource = 'customer'"
        )
        told = await connection.fetch("SELECT name, payload FROM outbox_event WHERE name LIKE 'customer.%'")
    from_file = {"import": done["id"]}
    created = [(each["id"], "customer.created", None, from_file) for each in (first, second)]
    *unlike, changed = sorted((tuple(row) for row in rows), key=lambda row: row[1] == "customer.changed")
    assert (sorted(unlike), changed[:2]) == (sorted(created), (first["id"], "customer.changed"))
    assert (changed[2]["kind"], changed[3]["kind"], changed[3]["phone"]) == ("person", "company", {"personal": True})
    assert from_file.items() <= changed[3].items()
    fields = sorted(changed[2])
    assert {(row["name"], row["payload"]["customer_id"]) for row in told} == {
        *(("customer.created", each["id"]) for each in (first, second)),
        ("customer.changed", first["id"]),
    }
    assert [row["payload"]["fields"] for row in told if "fields" in row["payload"]] == [fields]
    found = [each async for each in findings(database, CHECKS)]
    assert [each.promise for each in found if each.violations] == []


async def test_a_cell_that_says_something_changes_whoever_is_there_and_the_last_row_counts(
    import_rows: Import, admin: httpx.AsyncClient, database: Database
) -> None:
    made = await create(admin, name="Li", title="Dr", phone=PHONE, identities=[external("C1")])
    rows = [["C1", "x"], ["C1", "Li Wei", "", "", "CN-31"]]
    for dry_run in (True, False):
        done = await import_rows(rows, dry_run=dry_run)
        assert (counts(done), done["customers_created"], done["changed"]) == ((2, 0, 0), 0, 1)
        assert (await named(admin, "C1"))["name"] == ("Li" if dry_run else "Li Wei")
    after = await named(admin, "C1")
    assert (after["id"], after["title"], after["region"], after["phone"]) == (made["id"], "Dr", "CN-31", PHONE)
    assert after["version"] == made["version"] + 1
    again = await import_rows(rows)
    assert (again["accepted"], again["changed"]) == (2, 0)
    assert (await named(admin, "C1"))["version"] == after["version"]
    async with database.connection() as connection:
        audited = "SELECT count(*) FROM audit_event WHERE action = 'customer.changed' AND resource_id = $1"
        assert await connection.fetchval(audited, made["id"]) == 1
        assert await connection.fetchval("SELECT count(*) FROM customer_import_row") == 0
        due = "SELECT count(*) FROM customer_duplicate_due WHERE customer_id = $1"
        assert await connection.fetchval(due, UUID(made["id"])) == 2, "created, and changed once"


async def test_a_dry_run_says_what_would_be_created_and_creates_nobody(
    import_rows: Import, admin: httpx.AsyncClient
) -> None:
    done = await import_rows([WHOLE], dry_run=True)
    assert (done["accepted"], done["customers_created"], done["changed"]) == (1, 1, 1)
    assert (await admin.get("/v1/customers", params={"include": "total"})).json()["total"] == 0


BAD: list[tuple[list[str], str]] = [
    (["", "Li"], "customer_ref"),
    (["C1", "x" * 201], "name"),
    (["C1", "Li", "robot"], "kind"),
    (["C1", "Li", "", "", "China"], "region"),
    (["C1", "Li", "", "", "", "", "Chinese"], "language"),
    (["C1", "Li", "", "", "", "", "", "12"], "phone"),
    (["C1", "Li", "", "", "", "", "", "", "li at x"], "email"),
    (["C1", "Li", "", "", "", "", "", "", "", "x" * 81], "tags"),
    (["C1", "Li", *[""] * 8, "2999-01-01"], "birthday"),
    (["C1", "Li", *[""] * 9, "x" * 1001], "custom.shop"),
]


async def test_a_bad_row_is_reported_with_its_line_and_field_and_the_others_are_taken(
    import_rows: Import, admin: httpx.AsyncClient
) -> None:
    done = await import_rows([*(row for row, _ in BAD), WHOLE])
    assert [(line, field) for line, field, _ in done["errors"]] == [
        (n, field) for n, (_, field) in enumerate(BAD, start=2)
    ]
    assert counts(done) == (1, len(BAD), 0)
    assert (await named(admin, "C1"))["name"] == "Blue Lantern"


async def test_one_changes_whom_one_may_change_and_no_other(
    import_rows: Import, admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    await create(admin, name="theirs", identities=[external("C1")])
    rights = {"imports:write": "own", "imports:read": "own"}
    seller = await make_user(
        {**rights, "customers:read": "own", "customers:write": "own", "customers:read_contact": "own"}
    )
    done = await import_rows([["C1", "mine"], ["C2", "mine"]], client=seller)
    assert done["errors"] == [(2, "customer_ref", "this customer is out of your reach, or was erased")]
    assert ((await named(admin, "C1"))["name"], (await named(seller, "C2"))["name"]) == ("theirs", "mine")
    reader = await make_user({**rights, "customers:read": "own"})
    assert (await send(reader, csv_of([WHOLE], HEADER), kind="customers")).status_code == 403


async def test_columns_are_mapped(import_rows: Import, admin: httpx.AsyncClient) -> None:
    await import_rows([["C1", "Li Wei"]], "No,Who", mapping={"customer_ref": "No", "name": "Who"})
    assert (await named(admin, "C1"))["name"] == "Li Wei"


SCORE = {"key": "score", "title": "Score", "type": "number", "minimum": "0", "maximum": "10"}
KIND = {"key": "shop", "title": "Shop", "type": "multi_choice", "options": ["north", "south"], "required": True}


async def test_custom_fields_are_kept_as_they_are_defined_and_bad_ones_are_reported(
    import_rows: Import, admin: httpx.AsyncClient
) -> None:
    for definition in (SCORE, KIND):
        assert (await admin.post("/v1/custom-fields", json=definition)).status_code == 201
    made = await create(admin, name="Li", identities=[external("C1")], custom={"shop": "south", "colour": "green"})
    header = "customer_ref,custom.shop,Points,custom.Not a key"
    mapping = {"custom.score": "Points"}
    rows = [["C1", "", "07.50", "x"], ["C2", "south;north", "3"], ["C3", "west", "3"], ["C4", "north", "11"]]
    for dry_run in (True, False):
        done = await import_rows(rows, header, mapping=mapping, dry_run=dry_run)
        assert (counts(done), done["customers_created"], done["changed"]) == ((2, 2, 0), 1, 2)
        assert [(line, field) for line, field, _ in done["errors"]] == [(4, "custom.shop"), (5, "custom.score")]
    first = await named(admin, "C1")
    assert first["custom"] == {"shop": "south", "colour": "green", "score": "7.5"}
    assert first["version"] == made["version"] + 1
    assert (await named(admin, "C2"))["custom"] == {"shop": "north;south", "score": "3"}
    assert (await import_rows(rows[:2], header, mapping=mapping))["changed"] == 0
    (found,) = (
        await admin.post("/v1/customers/search", json={"where": {"field": "custom.score", "op": "eq", "value": "7.5"}})
    ).json()["items"]
    assert found["id"] == made["id"]


async def test_a_customer_gets_no_more_custom_fields_than_a_record_has(
    import_rows: Import, admin: httpx.AsyncClient
) -> None:
    full = {f"key_{n}": "x" for n in range(MOST_CUSTOM)}
    await create(admin, name="Li", identities=[external("C1")], custom=full)
    done = await import_rows([["C1", "y", ""], ["C1", "", "y"]], "customer_ref,custom.key_0,custom.another")
    assert done["errors"] == [(3, "custom", f"a customer has {MOST_CUSTOM} custom fields at most")]
    assert (await named(admin, "C1"))["custom"] == {**full, "key_0": "y"}


async def test_a_custom_field_that_comes_late_in_a_file_of_objects_is_refused(
    admin: httpx.AsyncClient, run_jobs: RunJobs
) -> None:
    lines = [{"customer_ref": f"C{n}", "name": "x" * 190} for n in range(2000)]
    lines += [{"customer_ref": "C1", "custom.shop": "north"}]
    content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    done = await completed(admin, run_jobs, content, kind="customers", name="customers.ndjson")
    assert [(line, why) for line, _, why in done["errors"]] == [
        (2001, "no line at the beginning has 'custom.shop'; give the first line the key, null")
    ]
