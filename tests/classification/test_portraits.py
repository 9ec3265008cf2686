"""Portraits of a customer, a class and a segment: every figure equals the one that plain Python computes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import mean, median
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.classification.portraits import habits
from app.core.db import Database
from tests.classification.population import NOON, RunJobs, recalculate
from tests.conftest import MakeUser

ZONE = ZoneInfo("Asia/Shanghai")
GOODS = ("tea", "coffee", "porcelain", None)


@dataclass
class Bought:
    """A purchase: when, and what each of its lines cost."""

    at: datetime
    lines: list[tuple[str | None, Decimal]]
    rate: int = 1

    @property
    def amount(self) -> Decimal:
        return sum((each for _, each in self.lines), Decimal(0)) * self.rate

    @property
    def on(self) -> date:
        return self.at.astimezone(ZONE).date()


@dataclass
class Someone:
    """A customer as it was made."""

    id: str
    record: dict[str, Any]
    bought: list[Bought] = field(default_factory=list)
    refunded: Decimal = Decimal(0)

    @property
    def monetary(self) -> Decimal:
        return sum((each.amount for each in self.bought), -self.refunded)

    @property
    def days(self) -> list[date]:
        return sorted({each.on for each in self.bought})


@pytest.fixture
async def people(
    admin: httpx.AsyncClient, today: Callable[[date], None], setting: Callable[..., None], run_jobs: RunJobs
) -> list[Someone]:
    """Fourteen customers who buy at odd hours of Shanghai, some in dollars, some with a refund, some never."""
    today(NOON.date())
    setting(time_zone="Asia/Shanghai", currency="CNY")
    days = [NOON.date() - timedelta(days=7 * n) for n in range(60)]
    rates = [{"currency": "USD", "day": day.isoformat(), "rate": "7"} for day in days]
    assert (await admin.put("/v1/exchange-rates", json={"rates": rates})).status_code == 204
    made = []
    for n in range(14):
        record = {
            "kind": "company" if n % 5 == 0 else "person",
            "region": [None, "CN-31", "CN-44", "CN-31-PD"][n % 4],
            "language": ["zh", "en", None][n % 3],
            "source": [None, "fair", "web"][n % 3],
            "tags": [tag for k, tag in enumerate(("vip", "wholesale", "fair")) if n % (k + 2) == 0],
        }
        answer = await admin.post("/v1/customers", json={"name": f"c-{n}", **record})
        someone = Someone(answer.json()["id"], record)
        for k in range(n * 3 % 5):
            at = NOON - timedelta(days=(n * 31 + k * 53) % 380 + 1, hours=(n + k * 7) % 24, minutes=k)
            lines = [(GOODS[(n + k + i) % 4], Decimal(10 * (n + 1) + i) + Decimal("0.25")) for i in range(1 + k % 3)]
            someone.bought.append(Bought(at, lines, 7 if (n + k) % 4 == 0 else 1))
        for each in someone.bought:
            await _post(admin, someone.id, each)
        if n % 4 == 2:
            someone.refunded = Decimal(5)
            body = {"kind": "refund", "amount": "5", "occurred_at": (NOON - timedelta(days=1)).isoformat()}
            assert (await admin.post(f"/v1/customers/{someone.id}/purchases", json=body)).status_code == 201
        made.append(someone)
    await recalculate(admin, run_jobs, refit=True)
    return made


async def _post(admin: httpx.AsyncClient, customer: str, bought: Bought) -> None:
    lines = [{"category": category, "amount": str(amount)} for category, amount in bought.lines]
    body = {"occurred_at": bought.at.isoformat(), "amount": str(bought.amount / bought.rate), "lines": lines}
    body |= {"currency": "USD"} if bought.rate > 1 else {}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text


async def portrait(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/v1/{path}/portrait")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def classes_of(admin: httpx.AsyncClient, people: Iterable[Someone]) -> dict[str, dict[str, str]]:
    return {each.id: (await admin.get(f"/v1/customers/{each.id}")).json()["classes"] for each in people}


# ---- the same figures, computed here ---------------------------------------------------------------------------------


def ratio(part: Any, whole: Any) -> float:
    return round(float(part) / float(whole), 6) if whole else 0.0


def lift(part: Any, whole: Any, usual_part: Any, usual_whole: Any) -> float | None:
    if not usual_part:
        return None
    return round((float(part) / float(whole) if whole else 0.0) * float(usual_whole) / float(usual_part), 4)


def shares(
    inside: Sequence[Someone], everybody: Sequence[Someone], of: Callable[[Someone], Iterable[Any]]
) -> dict[Any, tuple[int, float, float, float | None]]:
    """Customers, share, everybody's share and lift of each value that occurs inside."""
    theirs, usual = Counter(v for c in inside for v in of(c)), Counter(v for c in everybody for v in of(c))
    a, b = len(inside), len(everybody)
    return {v: (n, ratio(n, a), ratio(usual[v], b), lift(n, a, usual[v], b)) for v, n in theirs.items()}


def shown(rows: Iterable[dict[str, Any]], *names: str, number: str = "customers") -> dict[Any, tuple[Any, ...]]:
    keys = [tuple(row[name] for name in names) for row in rows]
    values = [(row[number], row["share"], row["share_of_everybody"], row["lift"]) for row in rows]
    assert len(set(keys)) == len(keys)
    return {key[0] if len(key) == 1 else key: value for key, value in zip(keys, values, strict=True)}


def by_category(customers: Iterable[Someone]) -> tuple[Counter[str], dict[str, Decimal]]:
    orders: Counter[str] = Counter()
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in (bought for customer in customers for bought in customer.bought):
        orders.update({category for category, _ in each.lines if category is not None})
        for category, amount in each.lines:
            if category is not None:
                amounts[category] += amount * each.rate
    return orders, amounts


def gap(customers: Iterable[Someone]) -> Any:
    gaps = [(b - a).days for each in customers for a, b in zip(each.days, each.days[1:], strict=False)]
    return pytest.approx(mean(gaps), abs=0.0001) if gaps else None


METRICS: dict[str, Callable[[Someone], Any]] = {
    "monetary": lambda c: c.monetary,
    "frequency": lambda c: len(c.bought),
    "average_order": lambda c: sum(b.amount for b in c.bought) / len(c.bought) if c.bought else None,
    "recency_days": lambda c: (NOON.date() - c.days[-1]).days if c.bought else None,
    "tenure_days": lambda c: (NOON.date() - c.days[0]).days if c.bought else None,
    "refund_rate": lambda c: c.refunded / (c.monetary + c.refunded) if c.bought else None,
}


def check(
    found: Any,
    inside: Sequence[Someone],
    everybody: Sequence[Someone],
    classes: dict[str, dict[str, str]],
    but: str | None = None,
) -> None:
    """Every figure of a portrait."""
    money, all_money = sum(c.monetary for c in inside), sum(c.monetary for c in everybody)
    assert (found["customers"], found["share"]) == (len(inside), ratio(len(inside), len(everybody)))
    assert (Decimal(found["monetary"]), found["monetary_share"]) == (money, ratio(money, all_money))
    metrics = {each["name"]: each for each in found["metrics"]}
    for name, of in METRICS.items():
        for suffix, who in (("", inside), ("_of_everybody", everybody)):
            values = [Decimal(of(c)) for c in who if of(c) is not None]
            for which, computed in (("average", mean), ("median", median)):
                text = metrics[name][f"{which}{suffix}"]
                assert (text is None) == (not values), (name, which, suffix)
                if values:
                    assert Decimal(text) == pytest.approx(computed(values), abs=Decimal("0.0002")), (name, which)
    for what, field_name in (("kinds", "kind"), ("regions", "region"), ("languages", "language")):
        wanted = shares(inside, everybody, lambda c, name=field_name: [c.record[name]] if c.record[name] else [])  # type: ignore[misc]
        assert shown(found[what], "value") == wanted, what
    assert shown(found["tags"], "value") == shares(inside, everybody, lambda c: c.record["tags"])
    came = shares(inside, everybody, lambda c: [("source", c.record["source"])] if c.record["source"] else [])
    assert shown(found["channels"], "channel", "value") == came
    held = shares(inside, everybody, lambda c: [pair for pair in classes[c.id].items() if pair[0] != but])
    assert shown(found["classes"], "scheme", "class") == held
    check_bought(found, inside, everybody)


def check_bought(found: Any, inside: Sequence[Someone], everybody: Sequence[Someone]) -> None:
    theirs, usual = [b for c in inside for b in c.bought], [b for c in everybody for b in c.bought]
    a, b = len(theirs), len(usual)
    amount, all_amount = sum(each.amount for each in theirs), sum(each.amount for each in usual)
    (orders, amounts), (usual_orders, usual_amounts) = by_category(inside), by_category(everybody)
    wanted = {
        each: (orders[each], ratio(orders[each], a), ratio(usual_orders[each], b), lift(orders[each], a, n, b))
        for each in orders
        if (n := usual_orders[each])
    }
    assert shown(found["categories"], "value", number="purchases") == wanted
    for each in found["categories"]:
        name = each["value"]
        assert Decimal(each["amount"]) == amounts[name]
        assert each["amount_share"] == ratio(amounts[name], amount)
        assert each["amount_share_of_everybody"] == ratio(usual_amounts[name], all_amount)
        assert each["amount_lift"] == lift(amounts[name], amount, usual_amounts[name], all_amount)
    rhythm = found["rhythm"]
    assert rhythm["mean_gap_days"] == gap(inside)
    assert rhythm["mean_gap_days_of_everybody"] == gap(everybody)
    for time, of, values in (
        ("weekdays", lambda each: each.on.isoweekday(), range(1, 8)),
        ("months", lambda each: each.on.month, range(1, 13)),
        ("hours", lambda each: each.at.astimezone(ZONE).hour, range(24)),
    ):
        now, then = Counter(map(of, theirs)), Counter(map(of, usual))
        assert shown(rhythm[time], "value", number="purchases") == {
            v: (now[v], ratio(now[v], a), ratio(then[v], b), lift(now[v], a, then[v], b)) for v in values
        }, time
    measured = found["measured"]
    assert (measured["customers"], measured["customers_of_everybody"]) == (len(inside), len(everybody))
    assert (measured["purchases"], measured["purchases_of_everybody"]) == (a, b)
    assert (Decimal(measured["amount"]), Decimal(measured["amount_of_everybody"])) == (amount, all_amount)


# ---- what is shown ---------------------------------------------------------------------------------------------------


async def test_a_class_a_segment_and_a_customer_are_shown_as_plain_python_counts_them(
    admin: httpx.AsyncClient, people: list[Someone], run_jobs: RunJobs
) -> None:
    body = {
        "key": "fair",
        "title": "x",
        "when": {"any": [{"tag": "fair"}, {"field": "source", "op": "eq", "value": "web"}]},
    }
    assert (await admin.post("/v1/segments", json=body)).status_code == 201
    await run_jobs()
    classes = await classes_of(admin, people)
    for name in ("A", "B", "C"):
        inside = [each for each in people if classes[each.id]["abc"] == name]
        assert inside
        check(await portrait(admin, f"schemes/abc/classes/{name}"), inside, people, classes, "abc")
    inside = [each for each in people if "fair" in each.record["tags"] or each.record["source"] == "web"]
    check(await portrait(admin, "segments/fair"), inside, people, classes, "fair")
    for each in people:
        check(await portrait(admin, f"customers/{each.id}"), [each], people, classes)


async def test_nobody_is_shown_without_shares(admin: httpx.AsyncClient, people: list[Someone]) -> None:
    assert (await admin.post("/v1/segments", json={"key": "none", "title": "x", "static": True})).status_code == 201
    check(await portrait(admin, "segments/none"), [], people, await classes_of(admin, people))


async def test_one_sees_those_whom_the_permission_reaches_and_purchases_as_far_as_one_may_read_them(
    admin: httpx.AsyncClient, database: Database, people: list[Someone], make_user: MakeUser
) -> None:
    everything = ("customers:read", "classes:read", "segments:read")
    seller = await make_user({**dict.fromkeys(everything, "own"), "purchases:read": "all", "schemes:read": "all"})
    reader = await make_user({**dict.fromkeys(everything, "all"), "purchases:read": "own"})
    blind = await make_user(dict.fromkeys(everything, "all"))
    mine = {"seller": people[3:9], "reader": people[9:12]}
    async with database.connection() as connection:
        for user, some in ((seller, mine["seller"]), (reader, mine["reader"])):
            owner = UUID(user.headers["X-Test-User"])
            ids = [UUID(each.id) for each in some]
            await connection.execute("UPDATE customer SET owner_id = $1 WHERE id = ANY($2::uuid[])", owner, ids)
    classes = await classes_of(admin, people)
    inside = [each for each in people if classes[each.id]["abc"] == "A"]
    theirs = [each for each in inside if each in mine["seller"]]
    check(await portrait(seller, "schemes/abc/classes/A"), theirs, mine["seller"], classes, "abc")
    check(await portrait(seller, f"customers/{people[4].id}"), [people[4]], mine["seller"], classes)
    assert (await seller.get(f"/v1/customers/{people[0].id}/portrait")).status_code == 404
    found = await portrait(reader, "schemes/abc/classes/A")
    assert found["customers"] == len(inside)
    read = [bought for each in inside if each in mine["reader"] for bought in each.bought]
    assert found["measured"]["purchases"] == len(read)
    assert found["measured"]["purchases_of_everybody"] == sum(len(each.bought) for each in mine["reader"])
    found = await portrait(blind, f"customers/{people[4].id}")
    assert (found["measured"]["purchases_of_everybody"], found["categories"]) == (0, [])
    assert {each["share"] for each in found["rhythm"]["hours"]} == {0.0}


async def test_of_many_a_sample_is_measured_and_the_rest_is_counted(
    admin: httpx.AsyncClient, people: list[Someone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(habits, "SAMPLE", 4)
    classes = await classes_of(admin, people)
    inside = [each for each in people if classes[each.id]["abc"] == "C"]
    found = await portrait(admin, "schemes/abc/classes/C")
    assert len(inside) > 4
    assert (found["customers"], found["share"]) == (len(inside), ratio(len(inside), len(people)))
    assert (found["measured"]["customers"], found["measured"]["customers_of_everybody"]) == (4, 4)
    assert found["measured"]["purchases_of_everybody"] < sum(len(each.bought) for each in people)
    assert await portrait(admin, "schemes/abc/classes/C") | {"as_of": found["as_of"]} == found
    none = [each["lift"] for each in found["rhythm"]["hours"] if each["share_of_everybody"] == 0]
    assert none
    assert set(none) == {None}


async def test_a_portrait_of_what_there_is_not_is_refused(admin: httpx.AsyncClient) -> None:
    nobody = "0197f0c0-0000-7000-8000-000000000001"
    for path, status in [
        (f"customers/{nobody}", 404),
        ("schemes/nope/classes/A", 404),
        ("schemes/abc/classes/Z", 422),
        ("segments/abc", 404),
    ]:
        assert (await admin.get(f"/v1/{path}/portrait")).status_code == status, path


def test_the_population_lies_on_both_sides_of_midnight() -> None:
    """What is counted by the wrong zone would not be noticed otherwise."""
    at = [NOON - timedelta(hours=n) for n in range(24)]
    assert {each.astimezone(UTC).date() == each.astimezone(ZONE).date() for each in at} == {True, False}
