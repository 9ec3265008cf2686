"""Files of interactions: rows become interactions, bad ones are reported, the same file again changes nothing."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, external
from tests.imports.sending import completed, counts, csv_of, send

HEADER = (
    "customer_ref,reference,kind,occurred_at,direction,outcome,duration_seconds,subject,minutes,matter,"
    "next_step,next_step_due_on"
)
CALL = ["C1", "R1", "call", "2024-01-02 10:00", "inbound", "reached", "60", "Teas", 'a\tb\\n\n"c"', "product", "Send"]
Import = Callable[..., Any]


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(date(2024, 6, 30))


@pytest.fixture
def import_rows(admin: httpx.AsyncClient, run_jobs: RunJobs) -> Import:
    async def run(rows: list[list[str]], header: str = HEADER, *, client: Any = None, **form: Any) -> dict[str, Any]:
        width = header.count(",") + 1
        content = csv_of([[*row, *[""] * (width - len(row))] for row in rows], header)
        done = await completed(client or admin, run_jobs, content, kind="interactions", **form)
        assert done["processed"] == done["total"] == len(rows)
        return done

    return run


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/interactions")).json()["items"]
    return found


async def test_a_row_becomes_an_interaction(import_rows: Import, admin: httpx.AsyncClient) -> None:
    customer_id = (await create(admin, identities=[external("C1")]))["id"]
    rows = [[*CALL, "2024-02-03"], ["C2", "R1", "visit", "2024-01-01T01:00:00+08:00"]]
    done = await import_rows(rows, time_zone="Asia/Shanghai")
    assert (counts(done), done["customers_created"], done["changed"]) == ((2, 0, 0), 1, 2)
    first, second = await listed(admin)
    said = ("reference", "kind", "direction", "outcome", "duration_seconds", "subject", "minutes", "matter")
    assert [first[name] for name in said] == ["R1", "call", "inbound", "reached", 60, "Teas", 'a\tb\\n\n"c"', "product"]
    assert first["next_step"] == {"what": "Send", "due_on": "2024-02-03"}
    assert (first["customer_id"], first["occurred_at"]) == (customer_id, "2024-01-02T02:00:00Z")
    assert (second["kind"], second["occurred_at"], second["minutes"]) == ("visit", "2023-12-31T17:00:00Z", None)
    me = (await admin.get("/v1/me")).json()["id"]
    assert {each["written_by"] for each in (first, second)} == {f"user:{me}"}


async def test_the_same_file_again_changes_nothing(
    import_rows: Import, admin: httpx.AsyncClient, database: Database
) -> None:
    rows = [CALL, ["C1", "R1", "chat", "2024-01-03"], ["C1", "R2", "chat", "2024-01-03"]]
    first = await import_rows(rows)
    assert (counts(first), first["changed"]) == ((3, 0, 0), 2)
    made = await listed(admin)
    assert [each["kind"] for each in made] == ["chat", "call"]
    second = await import_rows(rows)
    assert (counts(second), second["changed"]) == ((3, 0, 0), 0)
    assert await listed(admin) == made
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM interaction_import_row") == 0


async def test_bad_rows_are_reported_and_good_ones_kept(import_rows: Import, admin: httpx.AsyncClient) -> None:
    await create(admin, identities=[external("C1")])
    wrong: list[tuple[list[str], str]] = [
        (["", "R", "call", "2024-01-02"], "customer_ref"),
        (["C1", "", "call", "2024-01-02"], "reference"),
        (["C1", "R", "fax", "2024-01-02"], "kind"),
        (["C1", "R", "call", "yesterday"], "occurred_at"),
        (["C1", "R", "call", "2024-07-30"], "occurred_at"),
        (["C1", "R", "call", "1800-01-01"], "occurred_at"),
        (["C1", "R", "call", "2024-01-02", "up"], "direction"),
        (["C1", "R", "call", "2024-01-02", "", "Not a key"], "outcome"),
        (["C1", "R", "call", "2024-01-02", "", "", "-1"], "duration_seconds"),
        (["C1", "R", "call", "2024-01-02", "", "", "", "x" * 201], "subject"),
        (["C1", "R", "call", "2024-01-02", "", "", "", "", "", "", "", "2024-01-02"], "next_step"),
        (["C9", "R", "call", "2024-01-02"], "customer_ref"),
    ]
    done = await import_rows([*(row for row, _ in wrong), CALL], create_customers=False)
    assert counts(done) == (1, len(wrong), 0)
    assert [(line, field) for line, field, _ in done["errors"]] == [
        (n + 2, field) for n, (_, field) in enumerate(wrong)
    ]


async def test_a_dry_run_writes_nothing(import_rows: Import, admin: httpx.AsyncClient, database: Database) -> None:
    done = await import_rows([CALL, ["C2", "R1", "chat", "2024-01-03"]], dry_run=True)
    assert (counts(done), done["customers_created"], done["changed"]) == ((2, 0, 0), 2, 2)
    assert await listed(admin) == []
    assert (await admin.get("/v1/customers")).json()["items"] == []


async def test_an_import_reaches_as_far_as_its_permission(
    import_rows: Import, admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    await create(admin, identities=[external("C1")])
    permissions = {"imports:write": "own", "imports:read": "own", "interactions:read": "all"}
    reader = await make_user(permissions)
    refused = await send(reader, csv_of([CALL], HEADER), kind="interactions", create_customers=False)
    assert refused.status_code == 403
    seller = await make_user({**permissions, "interactions:write": "own"})
    done = await import_rows([CALL], client=seller, create_customers=False)
    assert [(line, field) for line, field, _ in done["errors"]] == [(2, "customer_ref")]
