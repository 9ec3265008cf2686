"""Classes follow the facts: one at a time, in any order, as a full recalculation would have them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from app.classification import refresh
from app.core import clock as business
from app.core.db import Database
from app.core.workers import Worker
from app.imports import handlers as imports

RunJobs = Callable[[], Awaitable[None]]
TODAY = date(2020, 6, 30)
NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)


@pytest.fixture
def clock(today: Callable[[date], None]) -> None:
    today(TODAY)


async def new_customer(admin: httpx.AsyncClient, ref: str) -> str:
    body = {"name": ref, "identities": [{"kind": "external", "value": ref}]}
    answer = await admin.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def buy(admin: httpx.AsyncClient, customer: str, amount: str, days_ago: int, kind: str = "purchase") -> Any:
    body = {"occurred_at": (NOON - timedelta(days=days_ago)).isoformat(), "amount": amount, "kind": kind}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def bring_in(admin: httpx.AsyncClient, run_jobs: RunJobs, rows: list[tuple[str, int, str]]) -> None:
    lines = [f"{ref},{(NOON - timedelta(days=days)).isoformat()},{amount}" for ref, days, amount in rows]
    await send(admin, "customer_ref,occurred_at,amount\n" + "\n".join(lines))
    await run_jobs()


async def send(admin: httpx.AsyncClient, file: str, kind: str = "purchases") -> None:
    form = {"kind": kind, "create_customers": "true"}
    answer = await admin.post("/v1/imports", files={"file": ("p.csv", file)}, data=form)
    assert answer.status_code == 202, answer.text


async def recalculate(admin: httpx.AsyncClient, run_jobs: RunJobs, **asked: Any) -> Any:
    answer = await admin.post("/v1/recalculations", json=asked)
    assert answer.status_code == 202, answer.text
    await run_jobs()
    return (await admin.get(f"/v1/recalculations/{answer.json()['id']}")).json()


async def a_population(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    """Forty customers of all habits, and breakpoints fitted to them."""
    rows = [
        (f"base-{n}", (n * 37 + visit * (5 + n % 11)) % 700, f"{(n * 13 + visit * 7) % 400 + 1}.50")
        for n in range(40)
        for visit in range(n % 7 + 1)
    ]
    await bring_in(admin, run_jobs, rows)


STANDING = """
SELECT k.customer_id, k.scheme, k.class, k.score, m.frequency, m.monetary, m.refunded, m.frequency_365d,
       m.monetary_365d, m.first_purchase_at, m.last_purchase_at, m.first_purchase_on, m.last_purchase_on,
       m.purchase_days, m.window_first_at, m.interactions, m.product_interactions, m.service_interactions,
       m.interactions_90d, m.last_interaction_at, m.interactions_first_at, m.csat, m.nps_score, m.complaints_90d,
       m.complaints_first_at, m.next_fact_at
FROM customer_class k JOIN customer_metrics m USING (customer_id) WHERE {} ORDER BY k.customer_id, k.scheme
"""
CHANGES = "SELECT id FROM class_change WHERE {} ORDER BY id"
LAST_CHANGES = """
SELECT customer_id, scheme, to_class AS class FROM (
    SELECT DISTINCT ON (customer_id, scheme) * FROM class_change ORDER BY customer_id, scheme, id DESC
) last WHERE to_class IS NOT NULL AND {} ORDER BY customer_id, scheme
"""


async def rows_of(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        return [tuple(row.values()) for row in await connection.fetch(query)]


@dataclass(frozen=True)
class Fact:
    """Something bought or given back, recorded, alone or in a batch, or imported; an import may add to an order."""

    how: Literal["record", "batch", "import"]
    who: int
    hours_ago: int
    amount: str
    order: int = 0

    @property
    def at(self) -> str:
        """Half an hour before the full one, so that nothing happens just when it enters or leaves a window."""
        return (business.business_now() - timedelta(hours=self.hours_ago, minutes=30)).isoformat()


@dataclass(frozen=True)
class Talk:
    """An interaction, or a correction of the customer's latest: recorded one by one, or in a batch."""

    how: Literal["record", "batch", "correct"]
    who: int
    hours_ago: int
    matter: str | None

    @property
    def said(self) -> dict[str, Any]:
        return {"occurred_at": Fact("record", self.who, self.hours_ago, "1").at, "matter": self.matter}


@dataclass(frozen=True)
class Opinion:
    """What a customer says of us: recorded by itself, or imported."""

    how: Literal["record", "import"]
    who: int
    hours_ago: int
    what: Literal["complaint", "suggestion", "csat", "nps", "ces"]
    score: int = 3

    @property
    def said(self) -> dict[str, Any]:
        at = Fact("record", self.who, self.hours_ago, "1").at
        if self.what in ("complaint", "suggestion"):
            return {"kind": self.what, "channel": "phone", "occurred_at": at}
        return {"kind": "answer", "channel": "phone", "occurred_at": at, "measure": self.what, "score": self.score}


@dataclass(frozen=True)
class Clock:
    """The business clock is put forward, or back."""

    days: int


Step = Fact | Talk | Opinion | Clock | Literal["measure everybody", "settle"]
TWO = ("c", "d")
HOURS = st.sampled_from([-20, -3, 1, 2, 72, 364 * 24, 366 * 24]) | st.integers(0, 800).map(lambda days: days * 24)
MONEY = st.decimals(min_value="0.01", max_value="999.99", places=2).map(str)
FACT = st.builds(
    Fact,
    st.sampled_from(["record", "record", "batch", "import"]),
    st.integers(0, 1),
    HOURS,
    MONEY | MONEY.map("-{}".format),
    st.integers(0, 5),
)
TALK = st.builds(
    Talk,
    st.sampled_from(["record", "record", "batch", "correct"]),
    st.integers(0, 1),
    HOURS | st.sampled_from([89 * 24, 90 * 24, 91 * 24]),
    st.sampled_from([None, "product", "service"]),
)
OPINION = st.builds(
    Opinion,
    st.sampled_from(["record", "record", "import"]),
    st.integers(0, 1),
    HOURS | st.sampled_from([89 * 24, 90 * 24, 91 * 24]),
    st.sampled_from(["complaint", "complaint", "suggestion", "csat", "nps", "ces"]),
    st.integers(1, 5),
)
STEP = st.one_of(
    FACT,
    FACT,
    TALK,
    TALK,
    OPINION,
    OPINION,
    st.sampled_from([-40, -1, 1, 2, 30, 364, 366, 500]).map(Clock),
    st.sampled_from(["measure everybody", "settle"]),
)
EVERYBODY = refresh.Range(refresh.NOBODY, UUID(int=2**128 - 1))


@pytest.mark.usefixtures("clock")
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate, Phase.target],
)
@given(steps=st.lists(STEP, min_size=1, max_size=10))
@example([Fact("record", 0, 364 * 24, "10"), Clock(30)])  # leaves the window
@example([Fact("record", 0, 366 * 24, "10"), Fact("record", 0, 364 * 24, "-4"), Clock(2)])
@example([Fact("record", 0, 72, "10"), Fact("record", 0, -20, "20"), Clock(500)])  # enters and leaves at once
@example([Fact("record", 0, -20, "10"), Fact("record", 0, -20, "20"), Clock(2)])  # two of one day become due
@example([Fact("record", 0, -20, "10"), Clock(1), Fact("record", 0, 4, "5")])
@example([Fact("record", 0, 72, "10"), Fact("record", 0, 72, "20"), Fact("record", 0, 96, "5")])
@example([Fact("record", 0, 72, "-10"), Fact("record", 0, 72, "20"), Fact("record", 0, 72, "-5")])
@example([Fact("record", 0, 72, "10"), Fact("import", 0, 366 * 24, "5", 0), Fact("import", 0, 48, "5", 1)])
@example([Fact("import", 0, 72, "10"), "settle", Fact("import", 0, 96, "10"), "measure everybody"])
@example([Fact("record", 0, 72, "10"), Clock(-40), Fact("record", 0, 72, "10")])
@example([Fact("record", 0, -20, "10"), Clock(2), "measure everybody", Fact("record", 0, 72, "10")])
@example([Fact("import", 0, 72, "10"), Fact("batch", 0, -20, "5"), Clock(1), Fact("batch", 0, 366 * 24, "-1")])
@example([Talk("record", 0, 89 * 24, "service"), Clock(2)])  # leaves its window
@example([Talk("record", 0, -20, "product"), Clock(2)])  # enters
@example([Talk("record", 0, 1, None), Fact("record", 0, 2, "5"), Talk("correct", 0, 91 * 24, "service")])
@example([Fact("record", 0, 2, "5"), Talk("batch", 0, 1, "service"), Talk("record", 0, 3, "service")])
@example([Talk("record", 0, 1, "service"), "measure everybody", Talk("batch", 0, -20, "product"), "settle", Clock(1)])
@example([Opinion("record", 0, 89 * 24, "complaint"), Opinion("record", 0, 1, "csat"), Clock(2)])  # leaves its window
@example([Opinion("record", 0, 3, "nps", 9), Opinion("record", 0, -20, "nps", 0), Opinion("record", 0, 72, "nps", 1)])
@example([Opinion("record", 0, -20, "csat", 1), Opinion("record", 0, -20, "complaint"), Clock(2)])  # both enter
@example([Opinion("record", 0, -20, "suggestion"), Opinion("record", 0, -3, "ces"), Fact("record", 0, 2, "5")])
@example([Opinion("record", 0, 1, "csat", 5), Opinion("import", 0, 1, "csat", 2), Fact("record", 0, 2, "5"), "settle"])
async def test_inline_classes_equal_a_full_recalculation(
    admin: httpx.AsyncClient,
    run_jobs: RunJobs,
    database: Database,
    today: Callable[[date], None],
    steps: list[Step],
) -> None:
    day = TODAY
    today(day)
    (number,) = (await rows_of(database, "SELECT count(*) FROM customer"))[0]
    if not number:
        await a_population(admin, run_jobs)
    refs = [f"{name}-{number}" for name in TWO]
    customers = [await new_customer(admin, ref) for ref in refs]
    for place, step in enumerate(steps):
        match step:
            case Fact("record" | "batch"):
                await record(admin, customers[step.who], step, f"o-{place}")
            case Fact("import"):
                row = f"{refs[step.who]},{step.at},{step.amount},o-{step.order}"
                await send(admin, f"customer_ref,occurred_at,amount,order_ref\n{row}")
            case Talk() | Opinion():
                await say(admin, customers[step.who], step, refs[step.who], f"r-{place}")
            case Clock():
                day += timedelta(days=step.days)
                today(day)
            case "measure everybody":
                async with database.transaction() as session:
                    await refresh.refresh_metrics(session, EVERYBODY, as_of=business.business_now())
            case "settle":
                await run_jobs()
        await Worker(database, imports.JOBS, [], concurrency=1).drain()  # an import's recalculation is still to come
    for customer in customers:
        await record(admin, customer, Fact("record", 0, 0, "1"), "the last")
    theirs = f"customer_id IN ('{customers[0]}', '{customers[1]}')"
    inline, changes = await rows_of(database, STANDING.format(theirs)), await rows_of(database, CHANGES.format(theirs))
    await recalculate(admin, run_jobs)
    assert await rows_of(database, STANDING.format(theirs)) == inline
    assert await rows_of(database, CHANGES.format(theirs)) == changes
    assert await rows_of(database, LAST_CHANGES.format(theirs)) == [row[:3] for row in inline]


async def talk(admin: httpx.AsyncClient, customer: str, said: Talk) -> None:
    body, path = {"kind": "call", **said.said}, f"/v1/customers/{customer}/interactions"
    latest = (await admin.get(path)).json()["items"]
    if said.how == "batch":
        answer = await admin.post("/v1/interactions/batch", json={"interactions": [{**body, "customer_id": customer}]})
    elif said.how == "correct" and latest:
        answer = await admin.patch(f"{path}/{latest[0]['id']}", json=body)
    else:
        answer = await admin.post(path, json=body)
    assert answer.is_success, answer.text


async def say(admin: httpx.AsyncClient, customer: str, said: Talk | Opinion, ref: str, reference: str) -> None:
    if isinstance(said, Talk):
        await talk(admin, customer, said)
    elif said.how == "import":
        row = {"customer_ref": ref, "reference": reference, **said.said}
        await send(admin, f"{','.join(row)}\n{','.join(map(str, row.values()))}", "feedback")
    else:
        answer = await admin.post(f"/v1/customers/{customer}/feedback", json=said.said)
        assert answer.status_code == 201, answer.text


async def record(admin: httpx.AsyncClient, customer: str, fact: Fact, order_ref: str) -> None:
    body = {
        "occurred_at": fact.at,
        "amount": fact.amount.lstrip("-"),
        "kind": "refund" if fact.amount.startswith("-") else "purchase",
        "order_ref": order_ref,
    }
    if fact.how == "batch":
        rows = [{**body, "customer_id": customer}, {**body, "customer_id": customer, "order_ref": f"{order_ref}-2"}]
        answer = await admin.post("/v1/purchases/batch", json={"purchases": rows})
        assert answer.json()["recorded"] > 0, answer.text
        return
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code in (201, 409), answer.text  # 409: an import brought this order before


@pytest.mark.usefixtures("clock")
async def test_the_answer_to_a_purchase_carries_the_classes_after_it(
    admin: httpx.AsyncClient, run_jobs: RunJobs
) -> None:
    await a_population(admin, run_jobs)
    customer = await new_customer(admin, "newcomer")
    assert (await admin.get(f"/v1/customers/{customer}")).json()["classes"]["lifecycle"] == "prospect"
    first = await buy(admin, customer, "5000.00", 1)
    assert first["classes"]["abc"] == "A"
    assert first["classes"]["lifecycle"] == "first_purchase"
    assert (await admin.get(f"/v1/customers/{customer}")).json()["classes"] == first["classes"]
    refunded = await buy(admin, customer, "4999.00", 0, "refund")
    assert refunded["classes"]["abc"] == "C"
    history = (await admin.get(f"/v1/customers/{customer}/classes/abc/history")).json()["items"]
    assert [change["to_class"] for change in history] == ["C", "A", "C"]
    assert [change["cause"] for change in history] == ["correction", "correction", "event"]
    assert history[0]["inputs"] == {"monetary": "1"}
    assert history[1]["actor"].startswith("user:")


@pytest.mark.usefixtures("clock")
async def test_a_class_at_an_instant_is_the_last_change_before_it(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    await a_population(admin, run_jobs)
    customer = await new_customer(admin, "newcomer")
    await buy(admin, customer, "5000.00", 1)
    changes = (await admin.get(f"/v1/customers/{customer}/classes/abc/history")).json()["items"]
    for change in changes:
        answer = await admin.get(f"/v1/customers/{customer}/classes", params={"as_of": change["at"]})
        found = {item["scheme"]: item["class"] for item in answer.json()["items"]}
        assert found["abc"] == change["to_class"]
    before = await admin.get(f"/v1/customers/{customer}/classes", params={"as_of": "2019-01-01T00:00:00Z"})
    assert before.json()["items"] == []


@pytest.mark.usefixtures("clock")
async def test_writers_and_a_recalculation_at_once_leave_one_truth(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    await a_population(admin, run_jobs)
    ids = [row[0] for row in await rows_of(database, "SELECT id FROM customer")]

    async def write(n: int) -> None:
        for visit in range(6):
            await buy(admin, str(ids[(n + visit) % len(ids)]), f"{n * 50 + visit + 1}", (n * 31 + visit) % 400)

    asked = await admin.post("/v1/recalculations", json={"refit": True})
    assert asked.status_code == 202
    await asyncio.gather(run_jobs(), *(write(n) for n in range(8)))
    standing = await rows_of(database, STANDING.format(True))
    assert await rows_of(database, LAST_CHANGES.format(True)) == [row[:3] for row in standing]
    done = await recalculate(admin, run_jobs)
    assert done["changed"] == 0
    assert await rows_of(database, STANDING.format(True)) == standing


@pytest.mark.usefixtures("clock")
async def test_what_lies_ahead_does_not_count_yet(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    await a_population(admin, run_jobs)
    customer = await new_customer(admin, "early")
    tomorrow = datetime.now(UTC).replace(year=2020, month=7, day=1, hour=0, minute=0)
    body = {"occurred_at": tomorrow.isoformat(), "amount": "10"}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["classes"]["lifecycle"] == "prospect"
