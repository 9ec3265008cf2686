"""`strata check`: each promise is broken once, in a database that keeps all, and the check of it sees that.

What belongs to classes is broken one by one in tests/classification/test_checks.py, the seals in
tests/governance/test_sealing.py.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app import features
from app.classification import checks as classification_checks
from app.core.checks import carry_out, findings
from app.core.db import WriteSession
from app.core.jobs import enqueue
from app.governance import checks as governance_checks
from app.governance.sealing import seal_all
from tests.api_operations import OPERATIONS
from tests.document import made, publish_survey
from tests.service import Service, service

pytestmark = pytest.mark.asyncio(loop_scope="module")

ELSEWHERE = {check.promise for each in (classification_checks, governance_checks) for check in each.CHECKS}
NOBODY = "01890000-0000-7000-8000-000000000000"


def copied(table: str, **changes: Any) -> str:
    """A row of the table once more, with other values: the identities of rows among them."""
    return (
        f'INSERT INTO "{table}" OVERRIDING SYSTEM VALUE'
        f" SELECT (jsonb_populate_record(t, '{json.dumps(changes)}')).* FROM \"{table}\" t LIMIT 1"
    )


def orphaned(table: str, name: str, **changes: Any) -> tuple[str, str, set[str]]:
    return f"every {name} is of a customer who is there", copied(table, customer_id=NOBODY, **changes), set()


def without(constraint: str, table: str, statement: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {constraint} CASCADE; {statement}"


BROKEN: list[tuple[str, str, set[str]]] = [
    ("no job is dead", "UPDATE job SET status = 'dead' WHERE name = 'test.waiting'", set()),
    (
        "every job has ended, or a worker will come to it",
        "DELETE FROM pgqueuer WHERE entrypoint = 'test.waiting'",
        set(),
    ),
    *(
        (
            f"every {work} under way has a job that does it",
            f"UPDATE job SET status = 'done' WHERE name = '{job}'",
            set(),
        )
        for work, job in (
            ("import", "imports.run"),
            ("export", "exports.run"),
            ("transfer", "transfers.run"),
            ("recalculation", "recalculations.run"),
            ("simulation", "simulations.run"),
            ("prediction", "predictions.fit"),
        )
    ),
    (
        "an identity is one customer's",
        without(
            "pk_customer_identity",
            "customer_identity",
            "INSERT INTO customer_identity SELECT kind, value, (SELECT min(id::text)::uuid FROM customer)"
            " FROM customer_identity",
        ),
        set(),
    ),
    (
        "whoever works for a company works for one that is there",
        f"UPDATE customer SET company_id = '{NOBODY}' WHERE name = 'somebody'",
        set(),
    ),
    ("every customer created was announced once", "DELETE FROM outbox_event WHERE name = 'customer.created'", set()),
    (
        "every purchase recorded was announced once",
        copied("outbox_event", id=NOBODY, name="purchase.recorded").replace(
            "LIMIT", "WHERE name = 'purchase.recorded' LIMIT"
        ),
        set(),
    ),
    (
        "every interaction recorded was announced once",
        "DELETE FROM outbox_event WHERE name = 'interaction.recorded'",
        set(),
    ),
    (
        "every piece of feedback recorded was announced once",
        "UPDATE outbox_event SET name = 'x' WHERE name = 'feedback.received'",
        set(),
    ),
    orphaned("customer_identity", "identity", value="another"),
    orphaned("customer_consent", "consent"),
    orphaned("customer_note", "note"),
    orphaned("customer_transfer", "transfer"),
    orphaned("customer_address", "address"),
    orphaned("customer_contact", "contact"),
    orphaned("duplicate_dismissal", "dismissal"),
    ("who was said to differ is there", copied("duplicate_dismissal", other_id="ff" + NOBODY[2:]), set()),
    (
        "who a contact says it is is there",
        f"UPDATE customer_contact SET person_id = '{NOBODY}'",
        set(),
    ),
    orphaned("profile_change", "change that waits for a code"),
    (
        "every account of a customer is of a customer who is there",
        f"UPDATE customer_account SET customer_id = '{NOBODY}'",
        set(),
    ),
    (
        "an account is one customer's",
        "INSERT INTO customer_account SELECT c.id, a.user_id, a.linked_at, a.linked_by"
        " FROM customer c, customer_account a WHERE c.name = 'firm'",
        set(),
    ),
    ("an account of a customer may use self-service only", "UPDATE user_account SET for_customer = false", set()),
    orphaned("purchase", "purchase"),
    orphaned("interaction", "interaction", version=1),
    orphaned("feedback", "piece of feedback"),
    orphaned("survey_invitation", "invitation to a survey", response_id=None),
    orphaned("survey_response", "filled-in survey"),
    orphaned("customer_merge_row", "row of a merge"),
    orphaned("customer_merge", "merge", merged_id=NOBODY.replace("01", "02")),
    (
        "every line of a purchase is of a customer who is there",
        copied("purchase_line", customer_id=NOBODY),
        {"every line is of a purchase that is there"},
    ),
    ("every line is of a purchase that is there", copied("purchase_line", purchase_id=NOBODY), set()),
    *(
        (
            f"every row of {kind}s that waits is of an import".replace("feedbacks", "feedback"),
            f"INSERT INTO {kind}_import_row SELECT (jsonb_populate_record(NULL::{kind}_import_row, row)).* FROM"
            f" (SELECT jsonb_object_agg(column_name, CASE data_type WHEN 'timestamp with time zone'"
            f" THEN to_jsonb(now()) WHEN 'bytea' THEN to_jsonb('\\x00'::text) WHEN 'uuid' THEN to_jsonb(uuidv7())"
            f" WHEN 'date' THEN to_jsonb(current_date) WHEN 'ARRAY' THEN to_jsonb('{{}}'::text[])"
            f" ELSE to_jsonb('1'::text) END) || '{{\"import_number\": 987654}}' AS row FROM information_schema.columns"
            f" WHERE table_name = '{kind}_import_row') made",
            set(),
        )
        for kind in ("purchase", "interaction", "feedback", "customer")
    ),
    (
        "a corrected interaction keeps all its earlier versions",
        "DELETE FROM interaction_version",
        set(),
    ),
    (
        "every earlier version is of an interaction that stands",
        copied("interaction_version", id=NOBODY),
        set(),
    ),
    (
        "the version of a survey that is asked is a published one",
        "UPDATE survey SET published_version = 7 WHERE published_version IS NOT NULL",
        set(),
    ),
    ("every filled-in survey answers a published version", "UPDATE survey_response SET survey_version = 7", set()),
    (
        "every answer to a survey is of a filled-in one",
        f"UPDATE feedback SET response_id = '{NOBODY}' WHERE response_id IS NOT NULL",
        set(),
    ),
    (
        "every invitation that was answered leads to its answers",
        f"UPDATE survey_invitation SET response_id = '{NOBODY}'",
        set(),
    ),
    ("no invitation that was withdrawn is answered", "UPDATE survey_invitation SET revoked_at = now()", set()),
    (
        "no event is of a transaction to come: readers meet new events behind old ones",
        "UPDATE outbox_event SET transaction_id = transaction_id + 1000000000",
        set(),
    ),
    (
        "who was merged is not there",
        "INSERT INTO customer (id, kind, name) SELECT merged_id, 'person', 'again' FROM customer_merge;"
        " INSERT INTO dirty_customer SELECT merged_id FROM customer_merge",
        {"nothing is left of who was merged but history"},
    ),
    ("a customer was merged into one other", copied("customer_merge", id=NOBODY), set()),
    (
        "nothing is left of who was merged but history",
        "UPDATE purchase SET customer_id = (SELECT merged_id FROM customer_merge)"
        " WHERE customer_id = (SELECT survivor_id FROM customer_merge)",
        {
            "every purchase is of a customer who is there",
            "every line is of a purchase that is there",
            "metrics are what the facts come to, of up to 1000 customers",
        },
    ),
    (
        "every column is one of which is known whether it holds personal data",
        "ALTER TABLE customer ADD COLUMN passport text",
        set(),
    ),
    ("every customer was measured, or waits for it", "INSERT INTO customer (kind, name) VALUES ('person', 'x')", set()),
    *(
        (
            "metrics are what the facts come to, of up to 1000 customers",
            f"UPDATE customer_metrics SET {column} = {value} WHERE {condition}",
            set(),
        )
        for column, value, condition in (
            ("frequency", "frequency + 1", "frequency > 0"),
            ("monetary", "monetary - 1", "frequency > 0"),
            ("monetary_365d", "0.01", "frequency > 0"),
            ("last_purchase_on", "NULL", "frequency > 0"),
            ("interactions", "0", "interactions > 0"),
            ("nps_score", "1", "nps_score IS NOT NULL"),
        )
    ),
    (
        "metrics are what the facts come to, of up to 1000 customers",
        "UPDATE purchase SET base_amount = base_amount * 2",
        set(),
    ),
    (
        "every change of class was announced once",
        "DELETE FROM outbox_event WHERE name = 'customer.class_changed' AND payload -> 'before' <> 'null'",
        set(),
    ),
    (
        "every change of class was announced once",
        "INSERT INTO outbox_event (name, payload, transaction_id) SELECT name, payload, transaction_id"
        " FROM outbox_event WHERE name = 'customer.class_changed' AND payload -> 'before' <> 'null' LIMIT 1",
        set(),
    ),
    (
        "no change of class was announced that did not happen",
        "UPDATE outbox_event SET payload = payload || '{\"change_id\": 987654321}' WHERE id ="
        " (SELECT id FROM outbox_event WHERE name = 'customer.class_changed' AND payload -> 'before' = 'null' LIMIT 1)",
        set(),
    ),
    ("every mark to measure anew is of a customer who is there", "INSERT INTO dirty_customer VALUES (uuidv7())", set()),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Service]:
    """A service in which something of every kind was done, and some work waits."""
    async with service() as started:
        await _fill(started)
        yield started


async def _fill(served: Service) -> None:
    async def sent(method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = await served.send(method, path, token=served.tokens["admin"], body=body, **options)
        assert answer.status < 300, (path, answer.body)
        return answer.json() if answer.body else None

    unit = await made(served, "unit_id")
    bodies = [{"name": name, "identities": [{"kind": "external", "value": name}]} for name in ("somebody", "other")]
    somebody, other = [str((await sent("POST", "/v1/customers", body))["id"]) for body in bodies]
    firm = str((await sent("POST", "/v1/customers", {"name": "firm", "kind": "company"}))["id"])
    await sent("PATCH", f"/v1/customers/{somebody}", {"company_id": firm})
    for customer, amount in ((somebody, "10"), (somebody, "20000"), (other, "5")):
        body = {"occurred_at": "2026-01-02T03:04:05Z", "amount": amount}
        await sent("POST", f"/v1/customers/{customer}/purchases", body)
    call = await sent("POST", f"/v1/customers/{somebody}/interactions", OPERATIONS["record_interaction"].example)
    correction = {"outcome": "declined", "reason": "misheard"}
    await sent("PATCH", f"/v1/customers/{somebody}/interactions/{call['id']}", correction)
    await sent("POST", f"/v1/customers/{somebody}/feedback", OPERATIONS["record_feedback"].example)
    await sent("POST", f"/v1/customers/{somebody}/notes", {"text": "Likes green tea."})
    await sent("POST", f"/v1/customers/{somebody}/consents", OPERATIONS["record_consent"].example)
    await sent("POST", f"/v1/customers/{somebody}/addresses", OPERATIONS["add_address"].example)
    await sent("POST", f"/v1/customers/{firm}/contacts", {"name": "Mei", "role": "buyer"})
    await served.fetch(
        "INSERT INTO duplicate_dismissal (customer_id, other_id, dismissed_by) VALUES ($1, $2, 'user')",
        *sorted(map(UUID, (somebody, firm))),
    )
    await sent("POST", f"/v1/customers/{somebody}/account", OPERATIONS["open_customer_account"].example)
    await served.fetch(
        "INSERT INTO profile_change (customer_id, field, value, expires_at)"
        " VALUES ($1, 'email', 'somebody@example.com', now() + interval '1 hour')",
        UUID(somebody),
    )
    await sent("POST", f"/v1/customers/{somebody}/transfer", {"unit_id": unit})
    survey = await made(served, "survey_id")
    await publish_survey(served, survey)
    answers = {**OPERATIONS["record_survey_response"].example, "customer_id": somebody}
    invited = {**OPERATIONS["invite_to_survey"].example, "customer_ids": [somebody]}
    response = await sent("POST", f"/v1/surveys/{survey}/responses", answers)
    await sent("POST", f"/v1/surveys/{survey}/invitations", invited)
    await served.fetch("UPDATE survey_invitation SET response_id = $1", UUID(response["id"]))
    await sent("POST", "/v1/customers/merges", {"survivor_id": somebody, "merged_id": other})
    await served.run_jobs()
    for name in ("import_id", "export_id", "recalculation_id", "simulation_id", "prediction_id"):
        await made(served, name)
    await sent(
        "POST",
        "/v1/customers/transfers",
        {"dry_run": True, "from_unit_id": str(served.unit_id), "to": {"unit_id": unit}},
    )
    async with served.database.transaction() as session:
        await enqueue(session, "test.waiting", {})
    await seal_all(served.database)


@asynccontextmanager
async def undone(served: Service) -> AsyncIterator[WriteSession]:
    """A transaction in which anything can be broken, and nothing stays so."""
    async with served.database.connection() as connection:
        await connection.execute("BEGIN; SET LOCAL session_replication_role = replica")
        try:
            yield WriteSession(served.database, connection)
        finally:
            await connection.execute("ROLLBACK")


async def test_every_promise_holds_of_what_the_service_did(served: Service) -> None:
    found = [each async for each in findings(served.database, features.CHECKS)]
    assert [each for each in found if each.violations] == []
    assert {each.promise for each in found} == {check.promise for check in features.CHECKS}


@pytest.mark.parametrize(
    ("promise", "statement", "more"), BROKEN, ids=[f"{n}-{each[0]}" for n, each in enumerate(BROKEN)]
)
async def test_a_promise_that_is_broken_is_seen_and_no_other(
    served: Service, promise: str, statement: str, more: set[str]
) -> None:
    async with undone(served) as session:
        await session.connection.execute(statement)
        found = [await carry_out(session, check) for check in features.CHECKS]
        wrong = [each for each in found if each.violations]
    assert {each.promise for each in wrong} == {promise} | more, wrong
    assert all(each.examples for each in wrong)


async def test_every_promise_is_broken_somewhere() -> None:
    assert {check.promise for check in features.CHECKS} - ELSEWHERE <= {promise for promise, _, _ in BROKEN}
