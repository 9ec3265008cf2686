"""Imports over HTTP: sending, watching, cancelling, and what bad requests get."""

import gzip
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser, RunJobs
from tests.imports.sending import HEADER, counts, csv_of, errors, send, shown, started

ROWS = [["C1", "O1", "2024-01-02", "10.00"], ["C1", "O1", "2024-01-02", "5.50"], ["C2", "O2", "2024-01-03", "7"]]
GOOD = csv_of(ROWS)
NDJSON = b"\n".join(json.dumps(dict(zip(HEADER.split(","), row, strict=True))).encode() for row in ROWS)


async def test_a_file_is_accepted_at_once_and_imported_by_a_job(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    answer = await send(admin, GOOD)
    assert answer.status_code == 202
    queued = answer.json()
    assert answer.headers["location"] == f"/v1/imports/{queued['id']}"
    assert (queued["status"], queued["processed"], queued["total"], queued["file_name"]) == (
        "queued", 0, None, "purchases.csv",
    )  # fmt: skip
    await run_jobs()
    done = await shown(admin, queued["id"])
    assert (done["status"], done["total"], done["rows_read"], done["eta"]) == ("completed", 3, 3, None)
    assert counts(done) == (3, 0, 0)
    assert (done["customers_created"], done["changed"]) == (2, 2)
    assert done["started_at"] <= done["finished_at"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (GOOD, "purchases.csv"),
        (GOOD.replace(b",", b";"), "purchases.csv"),
        (GOOD.replace(b",", b"\t"), "purchases.tsv"),
        (b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"), "purchases.csv"),
        (gzip.compress(GOOD, mtime=0), "purchases.csv.gz"),
        (gzip.compress(GOOD, mtime=0), "upload"),
        (NDJSON, "purchases.ndjson"),
        (gzip.compress(NDJSON, mtime=0), "purchases.jsonl.gz"),
    ],
)
async def test_every_format_gives_the_same(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database, content: bytes, name: str
) -> None:
    import_id = await started(admin, content, name=name)
    await run_jobs()
    assert counts(await shown(admin, import_id)) == (3, 0, 0)
    async with database.connection() as connection:
        found = await connection.fetch("SELECT order_ref, amount::text FROM purchase ORDER BY order_ref")
        assert [tuple(row) for row in found] == [("O1", "15.5000"), ("O2", "7.0000")]
        assert await connection.fetchval("SELECT count(*) FROM import_chunk") == 0
        assert await connection.fetchval("SELECT count(*) FROM purchase_import_row") == 0


@pytest.mark.parametrize(
    ("content", "form", "pointer"),
    [
        (b"", {}, "/body/file"),
        (b"\x00\x01\x02", {}, "/body/file"),
        ("ä,ö\n".encode("latin-1"), {}, "/body/file"),
        (GOOD, {"name": "purchases.csv.gz"}, "/body/file"),
        (GOOD, {"name": "purchases.ndjson"}, "/body/file"),
        (GOOD, {"kind": "cats"}, "/body/kind"),
        (GOOD, {"mapping": "{"}, "/body/mapping"),
        (GOOD, {"mapping": "[" * 5000}, "/body/mapping"),
        (GOOD, {"mapping": "[]"}, "/body/mapping"),
        (GOOD, {"mapping": {"amount": "Total"}}, "/body/mapping/amount"),
        (GOOD, {"mapping": {"colour": "amount"}}, "/body/mapping/colour"),
        (b"a,b\n1,2\n", {"mapping": {"customer_ref": "a", "amount": "b"}}, "/body/mapping/occurred_at"),
        (GOOD, {"skip_when": {"nothing": "x"}}, "/body/skip_when/nothing"),
        (GOOD, {"skip_when": "nonsense"}, "/body/skip_when"),
        (GOOD, {"currency": "XXX"}, "/body/currency"),
        (GOOD, {"currency": "euro"}, "/body/currency"),
        (GOOD, {"time_zone": "Mars/Olympus"}, "/body/time_zone"),
        (GOOD, {"time_zone": "../../etc/passwd"}, "/body/time_zone"),
        (GOOD, {"dry_run": "perhaps"}, "/body/dry_run"),
        (GOOD, {"colour": "red"}, "/body/colour"),
        (GOOD, {"mapping": '{"amount": "\\u0000"}'}, "/body/mapping"),
        (GOOD, {"mapping": '{"\\ud800": "amount"}'}, "/body/mapping"),
        (GOOD, {"skip_when": '{"order_ref": "\\ud800*"}'}, "/body/skip_when"),
        (GOOD, {"skip_when": '{"order_ref": "\\u0000"}'}, "/body/skip_when"),
    ],
)
async def test_a_bad_request_names_its_field_and_stores_nothing(
    admin: httpx.AsyncClient, database: Database, content: bytes, form: dict[str, Any], pointer: str
) -> None:
    answer = await send(admin, content, **form)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM import") == 0
        assert await connection.fetchval("SELECT count(*) FROM job") == 0


@pytest.mark.parametrize(
    "name", ["a\ud800b.csv".encode("utf-8", "surrogatepass").decode("latin-1"), "n\x7f.csv", "x" * 1000]
)
async def test_whatever_the_file_is_called(admin: httpx.AsyncClient, name: str) -> None:
    assert (await send(admin, GOOD, name=name)).status_code == 202


async def test_a_request_without_a_file_is_refused(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/v1/imports", data={"kind": "purchases"})
    assert answer.status_code == 422
    assert "/body/file" in [error["pointer"] for error in answer.json()["errors"]]
    answer = await admin.post("/v1/imports", data={"kind": "purchases", "file": "text"})
    assert answer.status_code == 422


async def test_a_file_beyond_the_limit_is_refused(
    admin: httpx.AsyncClient, setting: Callable[..., None], database: Database
) -> None:
    setting(max_import_bytes=2000)
    answer = await send(admin, csv_of([["C1", "O1", "2024-01-02", "1"]] * 200))
    assert answer.status_code == 413
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM import_chunk") == 0


async def test_the_same_key_starts_one_import(admin: httpx.AsyncClient) -> None:
    admin.headers["Idempotency-Key"] = "once"
    first = await send(admin, GOOD)
    again = await send(admin, GOOD)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert (await send(admin, GOOD + b"C3,O3,2024-01-01,1\n")).status_code == 422


async def test_bad_rows_are_listed_page_by_page(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    rows: list[list[object]] = [
        ["", "O", "2024-01-01", "1"] if n % 2 else ["C", "O", "2024-01-01", n] for n in range(1, 501)
    ]
    import_id = await started(admin, csv_of(rows))
    await run_jobs()
    assert counts(await shown(admin, import_id)) == (250, 250, 0)
    found = await errors(admin, import_id)
    assert found == [(line, "customer_ref", "customer_ref is missing") for line in range(2, 502, 2)]
    page = (await admin.get(f"/v1/imports/{import_id}/errors", params={"limit": 1})).json()
    other = await started(admin, GOOD)
    crossed = await admin.get(f"/v1/imports/{other}/errors", params={"cursor": page["next_cursor"]})
    assert crossed.status_code == 422


async def test_imports_are_listed_newest_first(admin: httpx.AsyncClient) -> None:
    ids = [await started(admin, GOOD) for _ in range(3)]
    first = (await admin.get("/v1/imports", params={"limit": 2})).json()
    second = (await admin.get("/v1/imports", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in [*first["items"], *second["items"]]] == ids[::-1]
    assert second["next_cursor"] is None


async def test_a_file_that_turns_bad_further_on_fails_and_changes_nothing(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    good = csv_of([[f"C{n}", "", "2024-01-02", "1.00"] for n in range(60_000)])
    import_id = await started(admin, good + "C,,2024-01-02,Löwe\n".encode("latin-1"))
    await run_jobs()
    failed = await shown(admin, import_id)
    assert failed["status"] == "failed"
    assert "not UTF-8" in failed["error"]
    async with database.connection() as connection:
        for table in ("customer", "purchase", "import_chunk", "purchase_import_row"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.slow
async def test_a_bomb_fails(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    bomb = gzip.compress(GOOD + b"C1,O1,2024-01-02,1\n" * 5_000_000, mtime=0)
    import_id = await started(admin, bomb, name="purchases.csv.gz")
    await run_jobs()
    failed = await shown(admin, import_id)
    assert (failed["status"], failed["accepted"]) == ("failed", 0)
    assert "too large" in failed["error"]


async def test_a_queued_import_can_be_cancelled_once(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    import_id = await started(admin, GOOD)
    answer = await admin.post(f"/v1/imports/{import_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await admin.post(f"/v1/imports/{import_id}/cancel")).status_code == 409
    await run_jobs()
    assert counts(await shown(admin, import_id)) == (0, 0, 0)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM import_chunk") == 0
        assert await connection.fetchval("SELECT count(*) FROM customer") == 0


async def test_an_import_that_is_done_cannot_be_cancelled(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    import_id = await started(admin, GOOD)
    await run_jobs()
    answer = await admin.post(f"/v1/imports/{import_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:strata:problem:import-ended"


async def test_an_import_that_is_not_there_is_not_found(admin: httpx.AsyncClient) -> None:
    path = f"/v1/imports/{uuid4()}"
    assert [(await admin.get(path)).status_code, (await admin.get(f"{path}/errors")).status_code] == [404, 404]
    assert (await admin.post(f"{path}/cancel")).status_code == 404


ALL = {"imports:read": "all", "imports:write": "all", "purchases:write": "all", "customers:write": "all"}


@pytest.mark.parametrize(
    ("missing", "status"), [("imports:write", 403), ("purchases:write", 403), ("customers:write", 403), (None, 202)]
)
async def test_an_import_needs_every_permission(make_user: MakeUser, missing: str | None, status: int) -> None:
    user = await make_user({name: scope for name, scope in ALL.items() if name != missing})
    assert (await send(user, GOOD)).status_code == status


async def test_without_creating_customers_their_permission_is_not_needed(make_user: MakeUser) -> None:
    user = await make_user({"imports:write": "all", "purchases:write": "all"})
    assert (await send(user, GOOD, create_customers=False)).status_code == 202


async def test_one_sees_and_cancels_only_ones_own_imports(make_user: MakeUser, admin: httpx.AsyncClient) -> None:
    mine = await make_user(dict.fromkeys(ALL, "own"))
    other = await make_user(dict.fromkeys(ALL, "subtree"))
    import_id = await started(mine, GOOD)
    assert (await mine.get(f"/v1/imports/{import_id}")).status_code == 200
    assert (await admin.get(f"/v1/imports/{import_id}")).status_code == 200
    for path in ("", "/errors"):
        assert (await other.get(f"/v1/imports/{import_id}{path}")).status_code == 404
    assert (await other.post(f"/v1/imports/{import_id}/cancel")).status_code == 404
    assert [item["id"] for item in (await mine.get("/v1/imports")).json()["items"]] == [import_id]
    assert (await other.get("/v1/imports")).json()["items"] == []
    assert [item["id"] for item in (await admin.get("/v1/imports")).json()["items"]] == [import_id]


async def test_an_import_is_audited_and_announced(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    import_id = await started(admin, GOOD + b",O,2024-01-01,1\n")
    await run_jobs()
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT action, after FROM audit_event WHERE resource = 'import' ORDER BY id")
        event = await connection.fetchval("SELECT payload FROM outbox_event WHERE name = 'import.completed'")
    assert [row["action"] for row in rows] == ["import.started", "import.completed"]
    assert rows[0]["after"]["create_customers"] is True
    assert (rows[1]["after"]["accepted"], rows[1]["after"]["rejected"]) == (3, 1)
    assert event == {"import_id": import_id, "kind": "purchases", "accepted": 3, "changed": 2}
