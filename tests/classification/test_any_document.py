"""Documents are data from outside: each is refused with a reason, or decides and is explained for anybody."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError
from sqlalchemy import insert, update

from app.classification import fitting
from app.classification.definitions import Document
from app.classification.engine import Cause, Evaluation, Scheme, evaluate
from app.classification.explain import explain
from app.classification.fitting import Fit
from app.classification.models import breakpoints, scheme, scheme_version
from app.classification.refresh import NOBODY, Range
from app.classification.schemes import document_adapter
from app.core.db import Database, WriteSession
from tests.classification.any_document import broken, sensible

AS_OF = datetime(2020, 6, 30, 12, tzinfo=UTC)
CAUSE = Cause("request", "somebody", None)
EVERYBODY = Range(NOBODY, UUID(int=2**128 - 1))
# frequency, monetary, refunded, both in 365 days, first and last purchase, days with a purchase, probability alive
PEOPLE: list[tuple[Any, ...]] = [
    (0, "0", "0", 0, "0", None, None, 0, None),
    (1, "0.0001", "0", 1, "0.0001", "2020-06-30", "2020-06-30", 1, "0"),
    (1, "-9999999999999999.9999", "9999999999999999.9999", 0, "0", "1900-01-01", "1900-01-01", 1, "1"),
    (1, "-9999999999999999.9998", "9999999999999999.9999", 0, "0", "1900-01-01", "1900-01-01", 1, "1"),
    (1, "9999999999999999.9999", "9999999999999999.9999", 0, "0", "2020-06-29", "2020-06-29", 1, "1"),
    (
        2147483647,
        "9999999999999999.9999",
        "0",
        2147483647,
        "9999999999999999.9999",
        "1900-01-01",
        "2020-06-30",
        9,
        "0.5",
    ),
    (2, "0", "5", 2, "-5", "2020-06-30", "2020-06-30", 1, None),
    (3, "100", "99999999999999.9999", 0, "0", "2199-12-31", "2199-12-31", 2, "0.00000001"),
]


class _Undo(Exception):
    pass


async def _populate(database: Database) -> None:
    async with database.connection() as connection, connection.transaction():
        if await connection.fetchval("SELECT count(*) FROM customer_metrics"):
            return
        for n, person in enumerate(PEOPLE):
            customer_id = await connection.fetchval(
                "INSERT INTO customer (name, region, tags) VALUES ($1, $2, $3) RETURNING id",
                f"Person {n}",
                [None, "CN-31", "US"][n % 3],
                ["vip"] if n % 2 else [],
            )
            await connection.execute(
                "INSERT INTO customer_metrics (customer_id, frequency, monetary, refunded, frequency_365d,"
                " monetary_365d, first_purchase_on, last_purchase_on, first_purchase_at, last_purchase_at,"
                " purchase_days, probability_alive, as_of) VALUES ($1, $2, $3::text::numeric, $4::text::numeric, $5,"
                " $6::text::numeric, $7::text::date, $8::text::date, $7::text::date, $8::text::date, $9,"
                " $10::text::numeric, $11)",
                customer_id,
                *person,
                AS_OF,
            )
            await connection.execute(
                "WITH bought AS (INSERT INTO purchase (customer_id, kind, occurred_at, occurred_on, amount,"
                " currency, base_amount) SELECT $1, kind, day, day, abs(n), 'CNY', n FROM (VALUES"
                " ('purchase', date '1900-01-01', 5), ('purchase', '2020-06-29', 9),"
                " ('refund', '2020-06-30', -1)) AS made (kind, day, n) RETURNING id)"
                " INSERT INTO purchase_line (customer_id, purchase_id, content_hash, occurrence, position, category,"
                " quantity, amount) SELECT $1, id, 1, 1, 1, 'CN-31', 99999999999999.9999, 5 FROM bought",
                customer_id,
            )


async def _run(database: Database, document: Document) -> None:
    """Fit, decide everybody, decide some, explain each; and leave nothing behind."""
    each = Scheme("tested", 1, "Tested", document)
    fit = await fitting.fit(database.reading(), each, AS_OF)
    evaluation = Evaluation([[each]])
    try:
        async with database.transaction() as session:
            await _publish(session, fit)
            await evaluate(session, evaluation, EVERYBODY, as_of=AS_OF, cause=CAUSE)
            rows = await session.connection.fetch("SELECT customer_id FROM customer_metrics")
            ids: list[UUID] = [row[0] for row in rows]
            again = await evaluate(session, evaluation, ids, as_of=AS_OF, cause=CAUSE)
            assert again.changed == 0
            for customer_id in ids:
                await explain(session, each, customer_id, AS_OF)
            names = await session.connection.fetch("SELECT DISTINCT class FROM customer_class WHERE scheme = 'tested'")
            assert {row[0] for row in names} <= set(document.class_names)
            raise _Undo
    except _Undo:
        pass


async def _publish(session: WriteSession, fit: Fit) -> None:
    key, document = fit.scheme.key, fit.scheme.document.model_dump(mode="json", by_alias=True)
    await session.execute(insert(scheme).values(key=key, title="Tested", version=1))
    await session.execute(insert(scheme_version).values(scheme=key, version=1, document=document, status="published"))
    fitted = {"scheme": key, "version": 1, "as_of": AS_OF, "population": fit.population, "values": fit.values}
    fitted_id = await session.scalar(insert(breakpoints).values(**fitted).returning(breakpoints.c.id))
    await session.execute(update(scheme).where(scheme.c.key == key).values(breakpoints_id=fitted_id))


HYPOTHESIS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@HYPOTHESIS
@given(made=sensible)
async def test_a_sensible_document_decides_for_anybody(database: Database, made: Any) -> None:
    await _populate(database)
    try:
        document = document_adapter.validate_python(made)
    except ValidationError:
        return
    await _run(database, document)


@HYPOTHESIS
@given(made=broken)
async def test_a_broken_document_is_refused_or_decides(database: Database, made: Any) -> None:
    await _populate(database)
    try:
        document = document_adapter.validate_python(made)
    except ValidationError:
        return
    await _run(database, document)
