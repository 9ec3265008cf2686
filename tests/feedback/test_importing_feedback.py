"""Files of feedback: rows become facts, complaints and low scores are told, the same file again changes nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, external
from tests.feedback.asking import scored
from tests.imports.sending import completed, counts, csv_of, send

HEADER = "customer_ref,reference,kind,channel,occurred_at,measure,score,topic,text"
COMPLAINT = ["C1", "R1", "complaint", "phone", "2020-01-02 10:00", "", "", "delivery", 'It\tcame\\n\n"open"']
ANSWER = ["C1", "R2", "answer", "email", "2020-01-03", "nps", "9"]
Import = Callable[..., Any]


@pytest.fixture(autouse=True)
def business_day(today: Callable[[date], None]) -> None:
    today(date(2020, 6, 30))


@pytest.fixture
def import_rows(admin: httpx.AsyncClient, run_jobs: RunJobs) -> Import:
    async def run(rows: list[list[str]], *, client: Any = None, **form: Any) -> dict[str, Any]:
        width = HEADER.count(",") + 1
        content = csv_of([[*row, *[""] * (width - len(row))] for row in rows], HEADER)
        return await completed(client or admin, run_jobs, content, kind="feedback", **form)

    return run


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/feedback")).json()["items"]
    return found


async def told(database: Database, *names: str) -> list[tuple[str, dict[str, Any]]]:
    async with database.connection() as connection:
        found = "SELECT name, payload FROM outbox_event WHERE name = ANY($1) ORDER BY name, payload->>'occurred_at'"
        rows = await connection.fetch(found, list(names))
    return [(row["name"], row["payload"]) for row in rows]


async def test_a_row_becomes_feedback(import_rows: Import, admin: httpx.AsyncClient) -> None:
    customer_id = (await create(admin, identities=[external("C1")]))["id"]
    done = await import_rows([COMPLAINT, ANSWER, ["C2", "R1", "review", "app_store", "2020-01-01"]])
    assert (counts(done), done["customers_created"], done["changed"]) == ((3, 0, 0), 1, 3)
    answer, complaint, review = await listed(admin)
    said = ("reference", "kind", "measure", "score", "channel", "topic", "text")
    assert [answer[name] for name in said] == ["R2", "answer", "nps", 9, "email", None, None]
    assert [complaint[name] for name in said] == [
        *("R1", "complaint", None, None, "phone", "delivery"),
        'It\tcame\\n\n"open"',
    ]
    assert (complaint["customer_id"], complaint["occurred_at"]) == (customer_id, "2020-01-02T10:00:00Z")
    assert (review["kind"], review["score"]) == ("review", None)
    me = (await admin.get("/v1/me")).json()["id"]
    assert {each["written_by"] for each in (answer, complaint, review)} == {f"user:{me}"}


SCORES = [("csat", 2, 3), ("nps", 6, 7), ("ces", 3, 4), ("", 2, 3)]


async def test_complaints_and_low_scores_are_told_as_if_they_came_one_by_one(
    import_rows: Import, admin: httpx.AsyncClient, database: Database
) -> None:
    rows = [COMPLAINT, ["C1", "R3", "suggestion", "phone", "2020-01-05"]]
    for n, (measure, low, fine) in enumerate(SCORES):
        kind = "answer" if measure else "review"
        rows += [
            ["C1", f"{measure}{score}", kind, "email", f"2020-02-0{n + 1}", measure, str(score), "tea"]
            for score in (low, fine)
        ]
    await import_rows(rows)
    found = await told(database, "complaint.received", "feedback.scored_low")
    assert Counter(name for name, _ in found) == {"complaint.received": 1, "feedback.scored_low": 4}
    assert [(each["measure"], each["score"]) for _, each in found[1:]] == [
        (measure or None, low) for measure, low, _ in SCORES
    ]
    # The same fields, with the same meaning, as when it is recorded by itself.
    one = await scored(admin, str(found[1][1]["customer_id"]), "csat", 1, topic="tea", channel="email")
    by_itself = (await told(database, "feedback.scored_low"))[-1][1]
    assert by_itself["feedback_id"] == one["id"]
    assert by_itself.keys() == found[1][1].keys()
    facts = {each["id"]: each for each in await listed(admin)}
    for _, payload in found:
        fact = facts[payload["feedback_id"]]
        assert all(fact[name] == payload[name] for name in ("customer_id", "channel", "topic"))


async def test_the_same_file_again_changes_nothing(
    import_rows: Import, admin: httpx.AsyncClient, database: Database
) -> None:
    rows = [COMPLAINT, ["C1", "R1", "suggestion", "shop", "2020-01-03"], ANSWER]
    first = await import_rows(rows)
    assert (counts(first), first["changed"]) == ((3, 0, 0), 2)
    made = await listed(admin)
    assert [each["kind"] for each in made] == ["answer", "complaint"]
    second = await import_rows(rows)
    assert (counts(second), second["changed"]) == ((3, 0, 0), 0)
    assert await listed(admin) == made
    assert len(await told(database, "complaint.received")) == 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM feedback_import_row") == 0


WRONG: list[tuple[list[str], str]] = [
    (["", "R", "complaint", "phone", "2020-01-02"], "customer_ref"),
    (["C1", "", "complaint", "phone", "2020-01-02"], "reference"),
    (["C1", "R", "praise", "phone", "2020-01-02"], "kind"),
    (["C1", "R", "complaint", "", "2020-01-02"], "channel"),
    (["C1", "R", "complaint", "By phone", "2020-01-02"], "channel"),
    (["C1", "R", "complaint", "phone", "yesterday"], "occurred_at"),
    (["C1", "R", "complaint", "phone", "2020-07-30"], "occurred_at"),
    (["C1", "R", "answer", "phone", "2020-01-02"], "measure"),
    (["C1", "R", "answer", "phone", "2020-01-02", "stars", "3"], "measure"),
    (["C1", "R", "review", "phone", "2020-01-02", "csat", "3"], "measure"),
    (["C1", "R", "answer", "phone", "2020-01-02", "csat", ""], "score"),
    (["C1", "R", "answer", "phone", "2020-01-02", "csat", "6"], "score"),
    (["C1", "R", "answer", "phone", "2020-01-02", "csat", "4.5"], "score"),
    (["C1", "R", "answer", "phone", "2020-01-02", "csat", "9" * 400], "score"),
    (["C1", "R", "complaint", "phone", "2020-01-02", "", "3"], "score"),
    (["C1", "R", "complaint", "phone", "2020-01-02", "", "", "Not a key"], "topic"),
    (["C1", "R", "complaint", "phone", "2020-01-02", "", "", "", "x" * 4001], "text"),
    (["C9", "R", "complaint", "phone", "2020-01-02"], "customer_ref"),
]


async def test_bad_rows_are_reported_and_good_ones_kept(import_rows: Import, admin: httpx.AsyncClient) -> None:
    await create(admin, identities=[external("C1")])
    done = await import_rows([*(row for row, _ in WRONG), COMPLAINT], create_customers=False)
    assert counts(done) == (1, len(WRONG), 0)
    assert [field for _, field, _ in done["errors"]] == [field for _, field in WRONG]


async def test_a_dry_run_writes_and_tells_nothing(
    import_rows: Import, admin: httpx.AsyncClient, database: Database
) -> None:
    done = await import_rows([COMPLAINT, ["C2", "R1", "review", "shop", "2020-01-03", "", "1"]], dry_run=True)
    assert (counts(done), done["customers_created"], done["changed"]) == ((2, 0, 0), 2, 2)
    assert await listed(admin) == []
    assert await told(database, "complaint.received", "feedback.scored_low") == []


async def test_an_import_reaches_as_far_as_its_permission(
    import_rows: Import, admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    await create(admin, identities=[external("C1")])
    permissions = {"imports:write": "own", "imports:read": "own", "feedback:read": "all"}
    reader = await make_user(permissions)
    refused = await send(reader, csv_of([ANSWER], HEADER), kind="feedback", create_customers=False)
    assert refused.status_code == 403
    writer = await make_user({**permissions, "feedback:write": "own"})
    done = await import_rows([ANSWER], client=writer, create_customers=False)
    assert [field for _, field, _ in done["errors"]] == ["customer_ref"]
