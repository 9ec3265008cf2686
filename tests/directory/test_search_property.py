"""Whatever is asked: the search finds whom plain Python would choose from what the API shows."""

import asyncio
import operator
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.customers.customers import create

Seen = dict[str, Any]
NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}
REGIONS = ["CN", "CN-3", "CN-31", "CN-310", "CN-31-PD"]
NAMES = ["Anna", "anna_b", "Bo 5%", "Dora"]
NUMBERS = ["0", "1", "2", "10", "40", "100", "100.5", "-1", "75.25"]
METRICS = ["frequency", "monetary", "recency_days", "monetary_365d", "average_order", "refund_rate", "tenure_days"]


def leaf(subject: str, names: list[str], ops: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({subject: st.sampled_from(names), "op": st.sampled_from(ops), "value": values})


def one_or_many(names: list[str], values: list[str], subject: str, ordered: list[str]) -> st.SearchStrategy[Any]:
    one = st.sampled_from(values)
    return (
        leaf(subject, names, ["eq", "ne", *ordered], one)
        | leaf(subject, names, ["in", "not_in"], st.lists(one, min_size=1, max_size=3))
        | leaf(subject, names, ["is_null"], st.booleans())
    )


LEAVES = (
    one_or_many(METRICS, NUMBERS, "metric", ["lt", "lte", "gt", "gte"])
    | one_or_many(["region", "title"], REGIONS, "field", ["within", "contains"])
    | leaf("field", ["region"], ["within"], st.lists(st.sampled_from(REGIONS), min_size=1, max_size=3))
    | one_or_many(["name"], NAMES, "field", ["contains"])
    | one_or_many(["abc"], ["A", "B", "C"], "class", [])
    | st.fixed_dictionaries({"tag": st.sampled_from(["fair", "vip", "none"])})
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=8,
)


def holds(node: Any, seen: Seen) -> bool:
    if "all" in node:
        return all(holds(part, seen) for part in node["all"])
    if "any" in node:
        return any(holds(part, seen) for part in node["any"])
    if "not" in node:
        return not holds(node["not"], seen)
    if "tag" in node:
        return node["tag"] in seen["tags"]
    read: Callable[[str], Any] = str
    if "metric" in node:
        subject, read = seen["metrics"][node["metric"]], Decimal
    elif "class" in node:
        subject = seen["classes"].get(node["class"])
    else:
        subject = seen[node["field"]]
    return compares(node["op"], subject, node["value"], read)


def compares(op: str, subject: Any, value: Any, read: Callable[[str], Any]) -> bool:
    if op == "is_null":
        return (subject is None) is bool(value)
    if subject is None:
        return False
    if op in ("in", "not_in"):
        return (read(subject) in [read(each) for each in value]) is (op == "in")
    if op == "contains":
        return str(value).lower() in str(subject).lower()
    if op == "within":
        codes = value if isinstance(value, list) else [value]
        return any(subject == code or str(subject).startswith(f"{code}-") for code in codes)
    return ORDER[op](read(subject), read(value))


async def people(admin: httpx.AsyncClient) -> None:
    """A dozen customers of all habits."""
    for n in range(12):
        tags = [tag for bit, tag in enumerate(["fair", "vip"]) if n >> bit & 1]
        region = [*REGIONS, None][n % 6]
        made = await create(admin, name=NAMES[n % 4], region=region, tags=tags, title="CN-31" if n % 3 else None)
        for visit in range(n % 4):
            at = NOON - timedelta(days=n * 40 + visit * 10)
            body = {"occurred_at": at.isoformat(), "amount": ["100", "100.5", "40"][visit], "kind": "purchase"}
            body["kind"] = "refund" if n == 7 and visit == 2 else "purchase"
            answer = await admin.post(f"/v1/customers/{made['id']}/purchases", json=body)
            assert answer.status_code == 201, answer.text


async def with_metrics(admin: httpx.AsyncClient, listed: list[Seen]) -> list[Seen]:
    for each in listed:
        items = (await admin.get(f"/v1/customers/{each['id']}/metrics")).json()["items"]
        each["metrics"] = {item["name"]: item["value"] for item in items}
    return listed


async def test_a_search_finds_whom_plain_python_would_choose(
    admin: httpx.AsyncClient, today: Callable[[date], None], run_jobs: Any
) -> None:
    today(NOON.date())
    await people(admin)
    assert (await admin.post("/v1/recalculations", json={"refit": True})).status_code == 202
    await run_jobs()
    seen = await with_metrics(admin, (await admin.get("/v1/customers")).json()["items"])
    assert {each["classes"]["abc"] for each in seen} == {"A", "B", "C"}
    await _compare(admin, seen)


async def _compare(admin: httpx.AsyncClient, seen: list[Seen]) -> None:
    """Hypothesis asks from a thread, so that what was set up once serves all examples."""
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    @given(where=TREES)
    def agree(where: Any) -> None:
        body = {"where": where, "limit": 200}
        answer = asyncio.run_coroutine_threadsafe(admin.post("/v1/customers/search", json=body), loop).result(30)
        assert answer.status_code == 200, answer.text
        found = {each["id"] for each in answer.json()["items"]}
        assert found == {each["id"] for each in seen if holds(where, each)}

    await asyncio.to_thread(agree)
